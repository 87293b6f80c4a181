"""The configuration of a run: what options, checkpoint and machine come to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnistctl import __version__
from mnistctl.artifacts import checkpoint as checkpoints
from mnistctl.data import datasets
from mnistctl.data.datasets import Arrays
from mnistctl.data.holdout import HeldOut, hold_out
from mnistctl.errors import UsageError, plural
from mnistctl.models.checks import error_with_one_image
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe, Recipe
from mnistctl.models.sources import Model
from mnistctl.models.summary import summarize_recipe
from mnistctl.nn.device import autocast_for, get_device, set_arithmetic, set_threads, tune_malloc
from mnistctl.nn.perceptron import find_perceptron
from mnistctl.nn.seeding import separate_draws
from mnistctl.training.checkpoints import RunCheckpoint
from mnistctl.training.environment import machine_info
from mnistctl.training.machine import MachineInfo
from mnistctl.training.options import RunOptions
from mnistctl.training.record import Change, DatasetFiles, RunSettings
from mnistctl.training.resume import Existing, check_environment, check_initial_weights, resumed_model
from mnistctl.training.tasks import TrainingContext

_MIN_SHARED_WORK = 7_000_000  # multiply-adds of a forward pass; between those of logit and linear


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All that `run.execute` needs.

    Args:
        command: the command that repeats the run, for its record.
        options: the options, those of the checkpoint included.
        settings: what identifies the run.
        machine: the machine of this session.
        context: what the task needs.
        existing: what exists at the run's path: the checkpoint to resume, the files to replace.
        environment_changes: what may change the last bits of a resumed run.
    """

    command: str
    options: RunOptions
    settings: RunSettings
    machine: MachineInfo
    context: TrainingContext
    existing: Existing
    environment_changes: dict[str, Change]


def resolve(
    model: Model,
    options: RunOptions,
    existing: Existing,
    *,
    command: str = "",
    allow_inexact: bool = False,
) -> RunConfig:
    """Resolve the options of a run, set up the process for it, and load the data.

    Args:
        model: the model.
        options: the options of the run.
        existing: what exists at its path. A checkpoint there is resumed, with the options stored in it.
        command: the command that repeats the run, for its record.
        allow_inexact: resume even if the last bits may differ from those of an uninterrupted run.

    Raises:
        UsageError: a number is out of range, or there is no such device.
        DataError: the data set is missing or damaged.
        CheckpointError: the checkpoint is of another run.
    """
    checkpoint = existing.checkpoint
    if checkpoint is not None:
        header = checkpoint.header
        model = resumed_model(model, header.settings, existing.run_path, allow_inexact=allow_inexact)
        options.check_matches(existing.run_path, header.settings)
        check_initial_weights(options.init, header.settings, existing.run_path, saved=header.options.init)
        options, command = options.with_saved(header.options, header.settings), header.command
    options = replace(options, data_dir=options.get("data_dir"))  # the default may change

    recipe = options.recipe(model)
    device, threads = _set_up_process(options, recipe)
    initial = None if checkpoint is not None else _initial_weights(options.init)
    data = load_training_data(options, [recipe])
    settings = RunSettings(
        model=model.name,
        recipe=summarize_recipe(recipe),
        seed=options.get("seed"),
        device=str(device),
        threads=threads,
        precision=options.get("precision"),
        dataset=data.files,
        versions={"mnistctl": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        origin=model.origin,
        initial_weights=_initial_digest(checkpoint, initial),
        holdout=data.holdout,
    )
    machine = machine_info(device)
    changes = check_environment(checkpoint, settings, machine, allow_inexact)
    context = TrainingContext(
        run_path=existing.run_path,
        model=model,
        recipe=recipe,
        settings=settings,
        device=device,
        train=data.train,
        scored=data.scored,
        initial_weights=initial,
    )
    return RunConfig(
        command=command,
        options=options,
        settings=settings,
        machine=machine,
        context=context,
        existing=existing,
        environment_changes=changes,
    )


def default_threads(recipe: Recipe) -> int | None:
    """The number of threads for a step of `recipe`; None for as many as there are cores.

    A step of logit has 0.8 million multiply-adds in its forward pass. On two quiet cores, a second thread
    saves an eighth of its time for twice the processor time; beside other work it saves nothing. The next
    recipe in size, linear, has 64 million and is faster with two threads (records/busy.json). That the others
    gain from more than two cores is an estimate.
    """
    if isinstance(recipe, GanRecipe):
        return None
    with separate_draws():
        perceptron = find_perceptron(recipe.net())
    small = perceptron is not None and perceptron.multiply_adds * recipe.batch_size < _MIN_SHARED_WORK
    return 1 if small else None


def _set_up_process(options: RunOptions, recipe: Recipe) -> tuple[torch.device, int]:
    """Set up torch for the run; return its device and number of threads.

    Raises:
        UsageError: there is no such device, or it does not have the precision.
    """
    device = get_device(options.get("device"))
    threads = set_threads(default_threads(recipe) if options.threads is None else options.threads)
    autocast_for(options.get("precision"), device)  # an error now, not after loading the data
    set_arithmetic()
    tune_malloc()
    return device, threads


@dataclass(frozen=True)
class TrainingData:
    """The digits of a training.

    Args:
        train: the digits to train on.
        scored: the digits to score: those of the test split, or held-out ones.
        holdout: which digits are held out; None for none.
        files: what identifies the data set.
    """

    train: Arrays
    scored: Arrays
    holdout: HeldOut | None
    files: DatasetFiles


def load_training_data(options: RunOptions, recipes: Sequence[Recipe] = ()) -> TrainingData:
    """The digits that the options choose.

    Args:
        options: the options.
        recipes: what is to be trained with them.

    Raises:
        DataError: the data set is missing or damaged.
        UsageError: so many digits cannot be held out, a batch has more images than there are left, or the
            last batch has a single one, on which the net cannot be trained.
    """
    dataset, data_dir = options.get("dataset"), options.get("data_dir")
    train, train_sums = datasets.load(dataset, data_dir, "train")
    scored, test_sums = datasets.load(dataset, data_dir, "test")
    files = DatasetFiles(name=dataset, sha256=train_sums | test_sums)
    data = TrainingData(train, scored, None, files)
    if options.holdout:
        split = hold_out(train, options.holdout, dataset)
        data = TrainingData(split.kept, split.validation, split.held_out, files)
    for recipe in recipes:
        _check_batches(recipe, data, dataset)
    return data


def _check_batches(recipe: Recipe, data: TrainingData, dataset: str) -> None:
    size, count = recipe.batch_size, len(data.train.labels)
    if size > count:
        left = "" if data.holdout is None else f" without the {data.holdout.count:,} that are held out"
        message = f"{dataset} has {plural(count, 'training image')}{left}; give {count:,} or less"
        raise UsageError(message, field="batch_size", value=size)
    shorter = count % size == 1 and isinstance(recipe, ClassifierRecipe)  # the others drop a shorter batch
    if (size == 1 or shorter) and (error := error_with_one_image(recipe)):
        what = "each batch has one image" if size == 1 else "a batch of one image is left"
        message = f"{what}, on which the net cannot be trained ({error}); give another number"
        raise UsageError(message, field="batch_size", value=size)


def _initial_weights(path: Path | None) -> dict[str, Tensor] | None:
    """The weights in the checkpoint of a trained model, by name; None without a path.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    return None if path is None else checkpoints.load(path, checkpoints.NET)[1]


def _initial_digest(checkpoint: RunCheckpoint | None, weights: dict[str, Tensor] | None) -> str | None:
    if checkpoint is not None:
        return checkpoint.header.settings.initial_weights
    return None if weights is None else checkpoints.digest(weights)
