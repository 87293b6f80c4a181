"""The settings of one run, resolved from options, recipe and machine."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mnistctl import __version__
from mnistctl.data import datasets
from mnistctl.errors import UsageError
from mnistctl.models.summary import recipe_to_json
from mnistctl.nn.device import (
    autocast_for,
    get_device,
    hardware_info,
    set_deterministic,
    set_threads,
    tune_malloc,
)
from mnistctl.training.checkpoints import RunCheckpoint
from mnistctl.training.options import RunOptions
from mnistctl.training.record import RunSettings
from mnistctl.training.resume import check_environment
from mnistctl.training.tasks import TrainingContext


@dataclass(frozen=True)
class RunConfig:
    """A run about to begin or to go on."""

    options: RunOptions
    command: str
    setting: TrainingContext
    run: dict[str, Any]  # what makes it this run and no other
    machine: dict[str, Any]
    inexact: dict[str, list[Any]]  # where an unfinished run goes on elsewhere than it was: [was, is]


def resolve(
    model: str, options: RunOptions, held: RunCheckpoint | None, allow_inexact: bool, command: str
) -> RunConfig:
    """Settle the options, load the digits, and see that an unfinished run is the one that is asked for."""
    place, threads = options.get("device"), options.threads
    if held is not None:
        options.check_matches(model, RunSettings.from_json(held.run))
        options = options.with_saved(RunOptions.from_json(held.options))
        place = held.run["device"] if place == "auto" else place
        threads = held.run["threads"] if threads is None else threads
    recipe = options.recipe(model)
    device, threads = get_device(place), set_threads(threads)
    autocast_for(options.get("precision"), device)
    set_deterministic()
    tune_malloc()
    name, folder = options.get("dataset"), options.get("data_dir")
    train, checksums = datasets.load(name, folder, "train")
    test, more = datasets.load(name, folder, "test")
    if recipe.batch_size > len(train.labels):
        message = f"{name} has {len(train.labels)} training images"
        raise UsageError(message, field="batch_size", value=recipe.batch_size)
    run = {
        "model": model,
        "recipe": recipe_to_json(recipe),
        "seed": options.get("seed"),
        "device": str(device),
        "threads": threads,
        "precision": options.get("precision"),
        "dataset": {"name": name, "sha256": checksums | more},
        "versions": {"mnistctl": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    machine = hardware_info()
    inexact = {} if held is None else check_environment(held, run, machine, allow_inexact)
    setting = TrainingContext(
        options.run_path(model), model, recipe, run["seed"], run["precision"], device, train, test
    )
    return RunConfig(options, command if held is None else held.command, setting, run, machine, inexact)
