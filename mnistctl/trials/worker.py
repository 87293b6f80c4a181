"""One trial: train a recipe from one seed and measure it, in whatever process it runs."""

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path

import torch
from torch import nn

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data.batches import Digits
from mnistctl.data.holdout import HeldOut
from mnistctl.data.training_set import TrainingSet, describe_training_set
from mnistctl.errors import DataError, UsageError
from mnistctl.evaluation.metrics import compute_score, find_mismatches
from mnistctl.inference.load import NetHeader
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.models.sources import Model, package_models, to_model
from mnistctl.nn.device import get_device, set_arithmetic, set_threads, tune_malloc
from mnistctl.nn.schedules import changes_every_step
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.config import TrainingData, load_training_data
from mnistctl.training.environment import machine_info, versions
from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions
from mnistctl.trials.task import TrialResult, TrialSettings, TrialWithNet

BASELINE, AVERAGED = "baseline", "averaged"  # the two arms of a recipe that averages weights
# Besides the learning rate, an epoch depends on these fields of the recipe.
_FIELDS_OF_AN_EPOCH = (
    *("net", "optimizer", "batch_size", "shuffle", "label_smoothing", "loss", "augment", "seed_offset"),
)
_FIELDS_OF_A_SCHEDULE = ("lr_schedule", "peak_lr", "epochs")
# The random generators and the number of threads are global to a process, so it runs one trial at a time.
_PROCESS_LOCK = threading.Lock()


def arms_of(model: str | os.PathLike[str] | Model, *, sweep: bool = False) -> dict[str, str]:
    """The arms of a trial of `model`: for each, the name of the recipe that it trains.

    A recipe that averages weights has two arms, the baseline and the averaged one. Others, and all in a
    `sweep`, have one, which is called as the model.

    Raises:
        UsageError: there is no such model, or it is a generator.
    """
    model = to_model(model)
    baseline = RunOptions().classifier_recipe(model).baseline
    if baseline is None or sweep:
        return {model.name: model.name}
    shipped = (name for name in models.CLASSIFIERS if models.load_classifier(name) is baseline)
    return {BASELINE: next(shipped, f"{model.name}-baseline"), AVERAGED: model.name}


def recipes_of(model: Model, options: RunOptions, *, sweep: bool = False) -> dict[str, ClassifierRecipe]:
    """The recipe of each arm of a trial of `model`, with the numbers of the options.

    Raises:
        UsageError: as `arms_of`, or a number is out of range.
    """
    recipe = options.classifier_recipe(model)
    if recipe.baseline is None or sweep:
        return {model.name: recipe}
    baseline = options.apply(recipe.baseline)
    assert isinstance(baseline, ClassifierRecipe)
    return {BASELINE: baseline, AVERAGED: recipe}


def shared_epochs(one: ClassifierRecipe, other: ClassifierRecipe) -> int:
    """How many epochs, counted from the first, two recipes train in exactly the same way."""
    if any(getattr(one, field) != getattr(other, field) for field in _FIELDS_OF_AN_EPOCH):
        return 0
    rates = zip(one.learning_rates(), other.learning_rates(), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], rates))
    if changes_every_step(one.lr_schedule) or changes_every_step(other.lr_schedule):
        # One rate for each epoch says nothing about its steps; equal schedules do.
        if any(getattr(one, field) != getattr(other, field) for field in _FIELDS_OF_A_SCHEDULE):
            return 0
        return min(shared, one.first_averaged, other.first_averaged)
    return shared


def run_trial(model: str, seed: int, settings: TrialSettings) -> TrialResult:
    """Train `model` from `seed` on one thread. Each arm has the bits of a run of its recipe on one thread.

    Raises:
        DivergedError: a loss, a weight or a buffer is no longer finite.
        UsageError: the versions here are not those of the settings, or the device does not exist.
        RecipeError: the model's recipe file is wrong.
        DataError: the data set here is missing, damaged, or not that of the settings.
    """
    _check_versions(settings.versions)
    chosen = settings.model(model)
    _check_package(chosen)
    # stdout is for results. What the recipe prints goes to stderr.
    with chosen.reporting_errors(), _PROCESS_LOCK, redirect_stdout(sys.stderr):
        set_threads(1)
        set_arithmetic()
        tune_malloc()
        device = get_device(settings.device)
        checksums = tuple(sorted(settings.sha256.items()))
        digits = _load_digits(settings.dataset, settings.data_dir, device, checksums, settings.holdout)
        train, scored = digits.train, digits.scored
        start, processor_start = time.perf_counter(), time.process_time()
        accuracies, digests, mismatches, before_averaging, nets = {}, {}, {}, {}, []
        for arm, training in _train_arms(chosen, seed, settings, device, train, scored):
            score, logits = training.final_score or compute_score(training.final_net, scored)
            wrong = find_mismatches(logits, scored)
            accuracies[arm] = score.accuracy
            digests[arm] = checkpoint.digest(training.final_net.state_dict())
            mismatches[arm] = tuple(zip(wrong.indices, wrong.true, wrong.predicted, strict=True))
            if training.final_net is not training.net:
                before_averaging[arm] = compute_score(training.net, scored)[0].accuracy
            nets.append(training.final_net)
        result = TrialResult(
            accuracies=accuracies,
            digests=digests,
            mismatches=mismatches,
            before_averaging=before_averaging,
            seconds=time.perf_counter() - start,
            processor_seconds=time.process_time() - processor_start,
            machine=machine_info(device),
        )
        return _with_net(result, chosen, digits, nets[0]) if settings.send_nets else result


def _with_net(result: TrialResult, model: Model, digits: "_TrialDigits", net: nn.Module) -> TrialWithNet:
    header = NetHeader(
        model=model.name, generator=False, origin=model.origin, training_set=digits.training_set
    )
    content = checkpoint.encode(Path("net"), checkpoint.NET, header.to_json(), net.state_dict())
    return TrialWithNet(**vars(result), net=content)


def _train_arms(
    model: Model, seed: int, settings: TrialSettings, device: torch.device, train: Digits, scored: Digits
) -> Iterator[tuple[str, ClassifierTraining]]:
    """Train each arm and yield it at its end."""
    options = RunOptions(epochs=settings.epochs, batch_size=settings.batch_size, lr=settings.lr)
    recipes = recipes_of(model, options, sweep=settings.sweep)
    trainings = {
        arm: ClassifierTraining(recipe, seed, device, precision=settings.precision)
        for arm, recipe in recipes.items()
    }
    if len(recipes) == 2:
        _train_pair(trainings, train, scored)
    else:
        for training in trainings.values():
            for _ in fit(training, train, scored):
                pass
    yield from trainings.items()


def _train_pair(trainings: Mapping[str, ClassifierTraining], train: Digits, scored: Digits) -> None:
    """Train the averaged arm and the baseline. The epochs that both share are trained once."""
    baseline, averaged = trainings[BASELINE], trainings[AVERAGED]
    fork = shared_epochs(baseline.recipe, averaged.recipe)
    for event in fit(averaged, train, scored):
        if isinstance(event, Epoch) and event.epoch == fork:
            # `restore` copies the tensors. It takes the weights, and not their average if that has begun.
            baseline.restore(averaged.state())
    for _ in fit(baseline, train, scored):
        pass


@dataclass(frozen=True)
class _TrialDigits:
    """The digits to train on, in memory and on the device, and those to score, on the device."""

    data: TrainingData
    train: Digits
    scored: Digits

    @cached_property
    def training_set(self) -> TrainingSet:
        """What checkpoints keep about the training digits."""
        return describe_training_set(self.data.train, self.data.files.name, self.data.holdout)


@lru_cache(maxsize=2)
def _load_digits(
    dataset: str,
    data_dir: str,
    device: torch.device,
    checksums: tuple[tuple[str, str], ...],
    holdout: HeldOut | None,
) -> _TrialDigits:
    """The digits of a trial. A process loads the same ones once."""
    count = None if holdout is None else holdout.count
    data = load_training_data(RunOptions(dataset=dataset, data_dir=Path(data_dir), holdout=count))
    if data.files.sha256 != dict(checksums):
        message = f"{data_dir}: the files on {platform.node()} are not those of the process that started it"
        raise DataError(message)
    if data.holdout != holdout:
        message = f"the worker on {platform.node()} holds out other digits than the process that started it"
        raise UsageError(message)
    return _TrialDigits(data, Digits.of(data.train, device), Digits.of(data.scored, device))


def _check_versions(expected: Mapping[str, str]) -> None:
    here = versions()
    differences = [
        f"{name} {here.get(name)} instead of {version}"
        for name, version in expected.items()
        if here.get(name) != version
    ]
    if differences:
        raise UsageError(f"the worker on {platform.node()} has other versions: {', '.join(differences)}")


def _check_package(model: Model) -> None:
    if model.kind == "package" and package_models().get(model.base) != model.package:
        message = f"the worker on {platform.node()} does not have {model.package}, which offers {model.base}"
        raise UsageError(message)
