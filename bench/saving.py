"""Measure what saving checkpoints costs: python bench/saving.py DATA_DIR [FILE].

For each recipe: the time to write a checkpoint and flush it to disk, compared with the time of an epoch, and
how much saving adds to the peak memory of training.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.models.summary import summarize_recipe
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.training.checkpoints import CheckpointHeader, RunCheckpoints, RunProgress
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.environment import machine_info, versions
from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions
from mnistctl.training.record import DatasetFiles, RunSettings

CPU = torch.device("cpu")
SAVES = 20
MAX_SHARE = 0.02  # of an epoch of conv, which saving may take


def peak_memory() -> int:
    """The peak memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_header(name: str, recipe: ClassifierRecipe, epoch: Epoch) -> CheckpointHeader:
    """The header of the checkpoint after the last epoch, which is the longest one."""
    settings = RunSettings(
        model=name,
        recipe=summarize_recipe(recipe),
        seed=0,
        device="cpu",
        threads=torch.get_num_threads(),
        precision="float32",
        dataset=DatasetFiles(name="mnist", sha256={}),
        versions=versions(),
    )
    progress = RunProgress(started="now", epochs=[epoch] * recipe.epochs)
    return CheckpointHeader(
        command="", options=RunOptions(), settings=settings, machine=machine_info(), progress=progress
    )


def main() -> None:
    """Train one epoch of each recipe on MNIST, then save its state repeatedly; print and write the times."""
    folder = Path(sys.argv[1])
    tune_malloc()
    train, test = (Digits.of(datasets.load("mnist", folder, split)[0], CPU) for split in ("train", "test"))
    costs = {}
    for name in ("logit", "linear", "lstm", "conv", "swa"):
        recipe = models.load_classifier(name)
        training = ClassifierTraining(recipe, 0, CPU)
        epoch = next(event for event in fit(training, train, test) if isinstance(event, Epoch))
        header = make_header(name, recipe, epoch)
        before = peak_memory()
        with tempfile.TemporaryDirectory(dir=".") as folder_name:
            checkpoints = RunCheckpoints(Path(folder_name) / name)
            checkpoints.create_folder()
            seconds = []
            for _ in range(SAVES):
                start = time.perf_counter()
                checkpoints.save(header, training.state())
                seconds.append(time.perf_counter() - start)
            size = next(checkpoints.folder.iterdir()).stat().st_size
        costs[name] = {
            "epoch_seconds": round(epoch.seconds, 3),
            "saving_seconds": round(statistics.median(seconds), 4),
            "slowest_saving_seconds": round(max(seconds), 4),
            "share_of_epoch": round(statistics.median(seconds) / epoch.seconds, 4),
            "megabytes_on_disk": round(size / 1e6, 1),
            "peak_megabytes_added": round((peak_memory() - before) / 1e6, 1),
        }
        print(name, costs[name], flush=True)
    assert costs["conv"]["share_of_epoch"] < MAX_SHARE
    body = {
        "command": "python bench/saving.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "costs": costs,
    }
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
