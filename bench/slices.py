"""Time a training step of conv with several memory formats and micro-batch sizes.

    python bench/slices.py [FILE]

"merged" stands for fused ReLUs, "slices" for micro-batches; the names of the variants are those of
records/slices.json.
"""

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
from mnistctl.data.batches import Digits
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.fusion import optimize_for
from mnistctl.training.classifier import ClassifierTraining, train_step

CPU = torch.device("cpu")
ROUNDS, STEPS = 15, 2


def fused(net: nn.Module) -> nn.Module:
    """The net with fused ReLUs, but in the contiguous memory format."""
    return optimize_for(net, CPU).to(memory_format=torch.contiguous_format)


VARIANTS: dict[str, tuple[Callable[[nn.Module], nn.Module], int]] = {
    "plain": (lambda net: net, 1000),
    "merged": (fused, 1000),
    "merged, slices of 200": (fused, 200),
    **{
        f"merged, channels-last, slices of {n}": (lambda net: optimize_for(net, CPU), n)
        for n in (50, 100, 125, 200, 250, 500, 1000)
    },
}


def main() -> None:
    """Time each variant once per round, so that other work on the machine slows all of them equally."""
    tune_malloc()  # for all variants: the allocator is not what is compared
    recipe = models.load("conv")
    digits = Digits.of(datasets.load("sample", None, "train")[0], CPU)
    pixels, labels = digits.take(slice(0, 1000))
    trainings = {}
    for name, (prepare, size) in VARIANTS.items():
        training = trainings[name] = ClassifierTraining(recipe, 0, CPU)
        training.net, training.micro_batch_size = prepare(recipe.net()), size
        training.params = list(training.net.parameters())
        training.optimizer = recipe.optimizer(training.params)
        train_step(training, pixels, labels)  # the first step also allocates
    seconds: dict[str, list[float]] = {name: [] for name in trainings}
    for _ in range(ROUNDS):
        for name, training in trainings.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                train_step(training, pixels, labels)
            seconds[name].append(time.perf_counter() - start)
    body = {
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "variants": {
            name: {
                "microseconds_per_image": round(1e6 * statistics.median(times) / STEPS / 1000, 1),
                # A ratio per round, so that noise that lasts longer than a round cancels.
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
