"""Compare the accuracy of mnistctl's training loop with that of a plain PyTorch loop, over several seeds.

    python bench/paths.py DATA_DIR [FILE] [--recipe conv] [--epochs 3] [--seeds 6]

The plain loop uses torch's layers and its optimizer in the default form, with the whole batch at once. Both
loops start from the same initial weights; the order of the images and the dropout masks differ.
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
from mnistctl.data.batches import Digits
from mnistctl.evaluation.statistics import paired
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.classifier import ClassifierTraining, fit
from mnistctl.training.events import Epoch

CPU = torch.device("cpu")


def ours(recipe: ClassifierRecipe, seed: int, train: Digits, test: Digits) -> Iterator[float]:
    """Test accuracy in percent after each epoch, with the package's training loop."""
    for event in fit(ClassifierTraining(recipe, seed, CPU), train, test):
        if isinstance(event, Epoch):
            yield event.accuracy


def plain(recipe: ClassifierRecipe, seed: int, train: Digits, test: Digits) -> Iterator[float]:
    """The same with a plain loop, which shares only the net's layers and the learning rates."""
    torch.manual_seed(derive_seed(seed, 0))
    net = recipe.net()
    optimizer = recipe.optimizer(net.parameters())
    pixels, labels = train.take(slice(None))
    for lr in recipe.learning_rates():
        optimizer.param_groups[0]["lr"] = lr
        net.train()
        order = torch.randperm(len(train)) if recipe.shuffle else torch.arange(len(train))
        for index in order.split(recipe.batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(pixels[index]), labels[index], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            predicted = torch.cat(
                [net(test.take(index)[0]).argmax(1) for index in torch.arange(len(test)).split(500)]
            )
        yield 100 * (predicted == test.labels).double().mean().item()


def main() -> None:
    """Train every seed with both loops in turn; print and write the accuracies and their difference."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--recipe", default="conv")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    train, test = (
        Digits.of(datasets.load("mnist", options.folder, split)[0], CPU) for split in ("train", "test")
    )
    tune_malloc()
    recipe = replace(models.load_classifier(options.recipe), epochs=options.epochs)
    # Accuracies by seed and epoch. "fast" is the package's loop, as records/paths.json calls it.
    runs: dict[str, list[list[float]]] = {"fast": [], "plain": []}
    for seed in range(options.seeds):
        for name, loop in (("fast", ours), ("plain", plain)):
            runs[name].append([round(accuracy, 2) for accuracy in loop(recipe, seed, train, test)])
        print(
            f"seed {seed}: ours {runs['fast'][-1][-1]:.2f} %, plain {runs['plain'][-1][-1]:.2f} %", flush=True
        )
    last = {name: [accuracies[-1] for accuracies in seeds] for name, seeds in runs.items()}
    difference = paired(last["plain"], last["fast"])
    arguments = "--recipe", options.recipe, "--epochs", str(options.epochs), "--seeds", str(options.seeds)
    body = {
        "command": f"python bench/paths.py data {' '.join(arguments)}",
        "recipe": f"{options.recipe}, {options.epochs} epochs",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        **last,
        "means": {name: statistics.mean(values) for name, values in last.items()},
        "means_by_epoch": {
            name: [round(statistics.mean(epoch), 3) for epoch in zip(*seeds, strict=True)]
            for name, seeds in runs.items()
        },
        "difference": difference.difference,
        "interval": difference.interval,  # 95 %, paired by seed
    }
    text = json.dumps(body, indent=1)
    print(text)
    if options.file:
        options.file.write_text(text + "\n")


if __name__ == "__main__":
    main()
