"""What memory format and slices of a batch bring to a step of conv: python bench/slices.py [FILE]."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.fusion import optimize_for
from mnistctl.training.classifier import ClassifierTraining, train_step

CPU = torch.device("cpu")
ROUNDS, STEPS = 15, 2


def merged(net: nn.Module) -> nn.Module:
    """The prepared net with its weights laid out as before: merged relus and nothing else changed."""
    return optimize_for(net, CPU).to(memory_format=torch.contiguous_format)


VARIANTS: dict[str, tuple[Callable[[nn.Module], nn.Module], int]] = {
    "plain": (lambda net: net, 1000),
    "merged": (merged, 1000),
    "merged, slices of 200": (merged, 200),
    **{
        f"merged, channels-last, slices of {n}": (lambda net: optimize_for(net, CPU), n)
        for n in (50, 100, 125, 200, 250, 500, 1000)
    },
}


def main() -> None:
    """Time every variant in turn, round after round, so that a busy neighbour slows all of them alike."""
    tune_malloc()  # for all of them: what is compared here is not the allocator
    recipe = models.load("conv")
    digits = Digits.of(datasets.load("sample", None, "train")[0], CPU)
    pixels, labels = digits.take(slice(0, 1000))
    runs = {}
    for name, (made, n) in VARIANTS.items():
        run = runs[name] = ClassifierTraining(recipe, 0, CPU)
        run.net, run.micro_batch_size = made(recipe.net()), n
        run.optimizer = recipe.optimizer(run.net.parameters())
        train_step(run, recipe, pixels, labels)  # the first step also allocates
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                train_step(run, recipe, pixels, labels)
            seconds[name].append(time.perf_counter() - began)
    body = {
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "variants": {
            name: {
                "microseconds_per_image": round(1e6 * statistics.median(times) / STEPS / 1000, 1),
                # Of each round on its own: noise that lasts longer than a round falls out.
                "times_faster_than_plain": round(
                    statistics.median(p / t for p, t in zip(seconds["plain"], times, strict=True)), 2
                ),
            }
            for name, times in seconds.items()
        },
    }
    text = json.dumps(body, indent=1)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
