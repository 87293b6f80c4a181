"""The time and the accuracy of `fast` beside one epoch of conv.

    python bench/fast.py DATA_DIR [FILE] [--seeds 20] [--first-version FOLDER]

Each is timed whole in this process, one after the other for every seed: reading and checking the files,
making the net, one epoch, and one scoring of the test digits. The clock starts after `import torch`. FOLDER
is a checkout of the first version of this package (commit 389b315), whose conv takes turns with them.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.evaluation.statistics import summarize
from mnistctl.nn.device import hardware_info, set_threads, tune_malloc
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.events import Epoch

CPU = torch.device("cpu")
Trained = Callable[[int], float]  # a seed to the accuracy in percent


def trains(name: str, data_dir: Path) -> Trained:
    """Trains a model of this version for one epoch."""

    def train(seed: int) -> float:
        recipe = replace(models.load_classifier(name), epochs=1)
        digits = [Digits.of(datasets.load("mnist", data_dir, split)[0], CPU) for split in ("train", "test")]
        training = ClassifierTraining(recipe, seed, CPU)
        (epoch,) = (e for e in fit(training, digits[0], digits[1]) if isinstance(e, Epoch))
        return epoch.accuracy

    return train


def trains_first_version(folder: Path, data_dir: Path) -> Trained:
    """Trains conv of the first version, whose modules are loaded beside those of this one."""
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "mnistctl"}
    for name in ours:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        supervised, data, old_datasets, old_models = (
            import_module(f"mnistctl.{name}") for name in ("supervised", "data", "datasets", "models")
        )
        recipe = replace(old_models.load("conv"), epochs=1)
    finally:
        sys.path.remove(str(folder))
        theirs = [name for name in sys.modules if name.partition(".")[0] == "mnistctl"]
        for name in theirs:
            del sys.modules[name]
        sys.modules.update(ours)
    assert Path(str(supervised.__file__)).is_relative_to(folder.resolve())

    def train(seed: int) -> float:
        digits: list[Any] = [
            data.Digits.of(old_datasets.load("mnist", data_dir, split)[0], CPU) for split in ("train", "test")
        ]
        events = list(supervised.fit(supervised.Training(recipe, seed, CPU), recipe, *digits))
        return float(events[-1].accuracy)

    return train


def main() -> None:
    """Train with every seed in turn; print and write times, accuracies and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-version", type=Path)
    options = parser.parse_args()
    threads = set_threads(None)
    tune_malloc()
    trained = {name: trains(name, options.folder) for name in ("fast", "conv")}
    if options.first_version:
        trained["conv of the first version"] = trains_first_version(options.first_version, options.folder)
    seconds: dict[str, list[float]] = {name: [] for name in trained}
    accuracies: dict[str, list[float]] = {name: [] for name in trained}
    for seed in range(options.seeds):
        for name, train in trained.items():
            started = time.perf_counter()
            accuracies[name].append(round(train(seed), 2))
            seconds[name].append(round(time.perf_counter() - started, 3))
        print(
            f"seed {seed}: "
            + ", ".join(f"{n} {a[-1]:.2f} % {seconds[n][-1]:.2f} s" for n, a in accuracies.items())
        )
    print(text := json.dumps(summary(seconds, accuracies, options.seeds, threads), indent=1))
    if options.file:
        options.file.write_text(text + "\n")


def summary(
    seconds: dict[str, list[float]], accuracies: dict[str, list[float]], seeds: int, threads: int
) -> dict[str, object]:
    """The record: for each net its times and accuracies, and the ratio of fast's time to its own."""
    body: dict[str, object] = {
        "command": f"python bench/fast.py data --seeds {seeds}"
        + (" --first-version FOLDER" if len(seconds) > 2 else ""),
        "machine": hardware_info() | {"threads": threads, "torch": torch.__version__},
    }
    for name, times in seconds.items():
        ratios = [fast / other for fast, other in zip(seconds["fast"], times, strict=True)]
        accuracy = summarize(accuracies[name])
        body[name] = {
            "seconds": times,
            "median_seconds": round(statistics.median(times), 2),
            "accuracies": accuracies[name],
            "mean": accuracy.mean,
            "sd": accuracy.sd,
            "fast_over_this": [round(each, 3) for each in statistics.quantiles(ratios, n=4)],
        }
    return body


if __name__ == "__main__":
    main()
