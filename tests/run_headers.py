"""The header of a checkpoint of an unfinished run, for tests of what is written and read."""

from dataclasses import replace

from mnistctl.models import load
from mnistctl.models.summary import summarize_recipe
from mnistctl.training.checkpoints import CheckpointHeader, RunProgress
from mnistctl.training.machine import MachineInfo
from mnistctl.training.options import RunOptions
from mnistctl.training.record import DatasetFiles, RunSettings


def header(*epochs, recipe_epochs=20):
    """The header of a checkpoint of logit after these epochs of `recipe_epochs`."""
    return CheckpointHeader(
        command="",
        options=RunOptions(),
        settings=RunSettings(
            model="logit",
            recipe=summarize_recipe(replace(load("logit"), epochs=recipe_epochs)),
            seed=0,
            device="cpu",
            threads=1,
            precision="float32",
            dataset=DatasetFiles(name="sample", sha256={}),
            versions={},
        ),
        machine=MachineInfo(processor="", cores=2, vectors="", system="", python=""),
        progress=RunProgress(started="now", epochs=list(epochs)),
    )
