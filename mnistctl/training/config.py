"""The configuration of a run: what options, checkpoint and machine come to."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mnistctl import __version__
from mnistctl.data import datasets
from mnistctl.errors import UsageError
from mnistctl.models.summary import summarize_recipe
from mnistctl.nn.device import autocast_for, get_device, set_deterministic, set_threads, tune_malloc
from mnistctl.training.environment import MachineInfo, machine_info
from mnistctl.training.options import RunOptions
from mnistctl.training.record import Change, DatasetFiles, RunSettings
from mnistctl.training.resume import Existing, check_environment
from mnistctl.training.tasks import TrainingContext


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
    model: str,
    options: RunOptions,
    existing: Existing,
    *,
    command: str = "",
    allow_inexact: bool = False,
) -> RunConfig:
    """Resolve the options of a run, set up the process for it, and load the data.

    Args:
        model: the model's name.
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
        options.check_matches(model, header.settings)
        options, command = options.with_saved(header.options, header.settings), header.command
    options = replace(options, data_dir=options.get("data_dir"))  # the default may change

    recipe, precision = options.recipe(model), options.get("precision")
    device, threads = get_device(options.get("device")), set_threads(options.threads)
    autocast_for(precision, device)  # an unavailable precision is an error now, not after loading the data
    set_deterministic()
    tune_malloc()

    dataset, data_dir = options.get("dataset"), options.get("data_dir")
    train, train_sums = datasets.load(dataset, data_dir, "train")
    test, test_sums = datasets.load(dataset, data_dir, "test")
    if recipe.batch_size > len(train.labels):
        message = f"{dataset} has {len(train.labels)} training images"
        raise UsageError(message, field="batch_size", value=recipe.batch_size)

    settings = RunSettings(
        model=model,
        recipe=summarize_recipe(recipe),
        seed=options.get("seed"),
        device=str(device),
        threads=threads,
        precision=precision,
        dataset=DatasetFiles(name=dataset, sha256=train_sums | test_sums),
        versions={"mnistctl": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    )
    machine = machine_info()
    changes = check_environment(checkpoint, settings, machine, allow_inexact)
    run_path = existing.run_path
    return RunConfig(
        command=command,
        options=options,
        settings=settings,
        machine=machine,
        context=TrainingContext(
            run_path, model, recipe, settings.seed, precision, device, dataset, train, test
        ),
        existing=existing,
        environment_changes=changes,
    )
