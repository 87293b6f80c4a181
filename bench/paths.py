"""Whether the fast path learns what the plain one learns, over some seeds, each trained both ways.

    python bench/paths.py DATA_DIR [FILE] [--recipe conv] [--epochs 3] [--seeds 6]

The plain path is a loop of its own over torch's own layers and optimizer in its default form, the whole batch
at once; the initial weights are the same, the order of the digits and the dropout's draws are not.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.evaluation.statistics import paired
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.events import Epoch

CPU = torch.device("cpu")


def fast(recipe: ClassifierRecipe, seed: int, train: Digits, test: Digits) -> Iterator[float]:
    """Percent of the test digits read right after each epoch, by the package."""
    for event in fit(ClassifierTraining(recipe, seed, CPU), recipe, train, test):
        if isinstance(event, Epoch):
            yield event.accuracy


def plain(recipe: ClassifierRecipe, seed: int, train: Digits, test: Digits) -> Iterator[float]:
    """The same by a loop that shares the table of the net and the rates with it, and nothing else."""
    torch.manual_seed(derive_seed(seed, 0))
    net = recipe.net()
    optimizer = recipe.optimizer(net.parameters())
    pixels, labels = train.take(slice(None))
    for rate in recipe.learning_rates():
        optimizer.param_groups[0]["lr"] = rate
        net.train()
        order = torch.randperm(len(train)) if recipe.shuffle else torch.arange(len(train))
        for chosen in order.split(recipe.batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(
                net(pixels[chosen]), labels[chosen], label_smoothing=recipe.label_smoothing
            )
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            answers = torch.cat(
                [net(test.take(part)[0]).argmax(1) for part in torch.arange(len(test)).split(500)]
            )
        yield 100 * (answers == test.labels).double().mean().item()


def main() -> None:
    """Train every seed both ways in turn; print and write the accuracies and their difference."""
    asking = argparse.ArgumentParser()
    asking.add_argument("folder", type=Path)
    asking.add_argument("file", type=Path, nargs="?")
    asking.add_argument("--recipe", default="conv")
    asking.add_argument("--epochs", type=int, default=3)
    asking.add_argument("--seeds", type=int, default=6)
    asked = asking.parse_args()
    train, test = (
        Digits.of(datasets.load("mnist", asked.folder, split)[0], CPU) for split in ("train", "test")
    )
    tune_malloc()
    recipe = replace(models.load_classifier(asked.recipe), epochs=asked.epochs)
    both: dict[str, list[list[float]]] = {"fast": [], "plain": []}
    for seed in range(asked.seeds):
        for way, path in (("fast", fast), ("plain", plain)):
            both[way].append([round(accuracy, 2) for accuracy in path(recipe, seed, train, test)])
        print(
            f"seed {seed}: fast {both['fast'][-1][-1]:.2f} %, plain {both['plain'][-1][-1]:.2f} %", flush=True
        )
    last = {way: [accuracies[-1] for accuracies in runs] for way, runs in both.items()}
    difference = paired(last["plain"], last["fast"])
    words = "--recipe", asked.recipe, "--epochs", str(asked.epochs), "--seeds", str(asked.seeds)
    body = {
        "command": f"python bench/paths.py data {' '.join(words)}",
        "recipe": f"{asked.recipe}, {asked.epochs} epochs",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        **last,
        "means": {way: statistics.mean(values) for way, values in last.items()},
        "means_by_epoch": {
            way: [round(statistics.mean(each), 3) for each in zip(*runs, strict=True)]
            for way, runs in both.items()
        },
        "difference": difference.difference,
        "interval": difference.interval,  # 95 %, paired by seed
    }
    text = json.dumps(body, indent=1)
    print(text)
    if asked.file:
        asked.file.write_text(text + "\n")


if __name__ == "__main__":
    main()
