"""One trial, in whatever process it is run: a recipe trained from one seed, and what came of each column."""

import platform
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.errors import DataError, DivergedError, UsageError
from mnistctl.evaluation.metrics import compute_score, find_mismatches
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.device import get_device, hardware_info, set_deterministic, set_threads, tune_malloc
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.environment import versions
from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions

BASELINE, AVERAGED = "regular", "averaging"  # the two columns of a recipe that averages
_SAME_FIELDS = (
    "net",
    "optimizer",
    "batch_size",
    "shuffle",
    "label_smoothing",
)  # what an epoch depends on, beside its rate
_ONE_AT_A_TIME = (
    threading.Lock()
)  # random draws and thread counts belong to the process: one trial at a time in it


def arms_of(model: str) -> dict[str, str]:
    """What a trial of `model` gives: each column, and the model that gives the same under `train`.

    Raises:
        UsageError: no such model.
    """
    regular = models.load_classifier(model).baseline
    if regular is None:
        return {model: model}
    return {
        BASELINE: next(n for n in models.CLASSIFIERS if models.load_classifier(n) is regular),
        AVERAGED: model,
    }


def shared_epochs(one: ClassifierRecipe, other: ClassifierRecipe) -> int:
    """How many epochs two recipes have in common from the first on: those of equal rates, if all else is."""
    if any(getattr(one, field) != getattr(other, field) for field in _SAME_FIELDS):
        return 0
    rates = zip(one.learning_rates(), other.learning_rates(), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], rates))


def run_trial(model: str, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train `model` from `seed` on one thread, as `train --threads 1` does; plain values in and out.

    `settings` has `epochs, batch, rate` (None for the recipe's own), `precision, dataset, data_dir, device`,
    and what must be the same here: `versions`, and `sha256` of the digits' files.

    Gives `results` and `digests` of the weights by column, `wrong` by column ([index, true digit, answer]),
    `seconds` by the clock, `processor_seconds`, and `machine`; or only `diverged`, the reason, when a loss or
    weight is no longer finite.

    Raises:
        UsageError, DataError: versions, device or digits here are not those of the parent.
    """
    _check_match("versions", settings["versions"], versions())
    with _ONE_AT_A_TIME:
        set_threads(1)
        set_deterministic()
        tune_malloc()
        device = get_device(settings["device"])
        sums = tuple(sorted(settings["sha256"].items()))
        train, test = _load_digits(settings["dataset"], settings["data_dir"], device, sums)
        began, spent = time.perf_counter(), time.process_time()
        told: dict[str, Any] = {"results": {}, "digests": {}, "wrong": {}}
        try:
            for column, training in _train_arms(model, seed, settings, device, train, test):
                score, outputs = compute_score(training.result, test)
                missed = find_mismatches(outputs, test)
                told["results"][column] = score.accuracy
                told["digests"][column] = checkpoint.digest(training.result.state_dict())
                told["wrong"][column] = [
                    list(row) for row in zip(missed.indices, missed.true, missed.predicted, strict=True)
                ]
        except DivergedError as fault:
            return {"diverged": str(fault)}
        return told | {
            "seconds": time.perf_counter() - began,
            "processor_seconds": time.process_time() - spent,
            "machine": hardware_info(),
        }


def _train_arms(
    model: str, seed: int, settings: Mapping[str, Any], device: torch.device, train: Digits, test: Digits
) -> Iterator[tuple[str, ClassifierTraining]]:
    """Each column's training at its end; the stretch that two columns share is trained once."""
    recipes = {
        column: RunOptions(
            model=name, **{f: settings[f] for f in ("epochs", "batch_size", "lr")}
        ).classifier()
        for column, name in arms_of(model).items()
    }
    precision = settings["precision"]
    if len(recipes) == 1:
        ((column, recipe),) = recipes.items()
        training = ClassifierTraining(recipe, seed, device, precision=precision)
        _exhaust(fit(training, recipe, train, test))
        yield column, training
        return
    regular, averaging = recipes[BASELINE], recipes[AVERAGED]
    fork = shared_epochs(regular, averaging)
    plain = ClassifierTraining(regular, seed, device, precision=precision)
    training = ClassifierTraining(averaging, seed, device, precision=precision)
    for event in fit(training, averaging, train, test):
        if isinstance(event, Epoch) and event.epoch == fork:
            plain.restore(training.state())  # which copies; the average, if it has begun, is left behind
    _exhaust(fit(plain, regular, train, test))
    yield BASELINE, plain
    yield AVERAGED, training


def _exhaust(told: Iterable[object]) -> None:
    for _ in told:
        pass


@lru_cache(maxsize=2)
def _load_digits(
    name: str, folder: str, device: torch.device, expected: tuple[tuple[str, str], ...]
) -> tuple[Digits, Digits]:
    # Once a process, unless other digits are expected than the last time.
    train, sums = datasets.load(name, Path(folder), "train")
    test, more = datasets.load(name, Path(folder), "test")
    if sums | more != dict(expected):
        raise DataError(f"{folder}: the digits are not those of the parent on {platform.node()}")
    return Digits.of(train, device), Digits.of(test, device)


def _check_match(what: str, expected: Mapping[str, str], here: Mapping[str, str]) -> None:
    differing = [f"{n} {here.get(n)}, not {v}" for n, v in expected.items() if here.get(n) != v]
    if differing:
        raise UsageError(f"the worker on {platform.node()} has other {what}: {'; '.join(differing)}")
