"""Measure what augmentation costs, and draw what it does.

    python bench/augmentation.py records/augmentation.json
    python bench/augmentation.py --picture docs/augmentation.png

For each amount alone and for all of them together: the processor time per image on one thread, and the part
of the time of conv's step that it adds on one thread (processor time) and on two (elapsed time).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mnistctl import models
from mnistctl.artifacts import grids
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.nn.augmentation import Augmentation, Augmenter, draw_examples
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.training.classifier import ClassifierTraining, train_step

CPU = torch.device("cpu")
ROUNDS, BATCH_SIZE = 31, 1000
MAX_SHARE = 1 / 3  # of conv's step, which all amounts together may add on two threads
NAMES = ("shift", "rotation", "scale", "shear", "elastic", "stroke", "erase", "mixup")
AMOUNTS = dict(zip(NAMES, (2.0, 10.0, 0.1, 0.1, 0.6, 0.7, 0.2, 0.4), strict=True))
LARGE = dict(zip(NAMES, (4.0, 25.0, 0.25, 0.3, 1.0, 1.0, 0.2, 0.4), strict=True))  # for the picture
COLUMNS, LEFT, ENLARGED = 10, 84, 2


def measure(variants: dict[str, Callable[[], object]], clock: Callable[[], float]) -> dict[str, list[float]]:
    """The seconds of each variant in each round. Other work on the machine slows all of them equally."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(ROUNDS + 1):
        for name, run in variants.items():
            start = clock()
            run()
            if round_:  # the first round also allocates
                seconds[name].append(clock() - start)
    return seconds


def draw() -> Image.Image:
    """A row for each amount, with its name: a digit, and what it is changed to in nine epochs."""
    arrays = datasets.load("sample", None, "train")[0]
    digits = arrays.images[[int(np.flatnonzero(arrays.labels == digit)[0]) for digit in range(10)]]
    rows = []
    for digit, (name, amount) in zip((2, 3, 4, 5, 7, 8, 6, 9), LARGE.items(), strict=True):
        drawn = draw_examples(digits, Augmentation(**{name: amount}), count=COLUMNS - 1, seed=0)
        rows.append(np.concatenate((digits[digit : digit + 1], drawn[digit])))
    grid = grids.enlarge(grids.make_grid(np.concatenate(rows), COLUMNS), ENLARGED)
    picture = Image.new("L", (LEFT + grid.shape[1], grid.shape[0]), 255)
    picture.paste(Image.fromarray(grid), (LEFT, 0))
    for row, (name, amount) in enumerate(LARGE.items()):
        place = LEFT - 6, (row + 0.5) * grid.shape[0] / len(LARGE)
        ImageDraw.Draw(picture).text(place, f"{name} {amount:g}", 0, ImageFont.load_default(12), "rm")
    return picture


def main() -> None:
    """Time conv's step and each augmentation of its batch; print and write the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, nargs="?")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.picture is not None:
        grids.write_png(arguments.picture, np.asarray(draw()))
        return
    tune_malloc()
    recipe = models.load("conv")
    training = ClassifierTraining(recipe, 0, CPU)
    pixels, labels = Digits.of(datasets.load("sample", None, "train")[0], CPU).take(slice(0, BATCH_SIZE))
    chosen = {name: Augmentation(**{name: amount}) for name, amount in AMOUNTS.items()}
    chosen["all"] = Augmentation(**AMOUNTS)
    augmenters = {name: Augmenter(augmentation, 0, 1, CPU) for name, augmentation in chosen.items()}
    variants: dict[str, Callable[[], object]] = {
        "step": lambda: train_step(training, pixels, labels),
        **{name: lambda each=each: each(pixels, labels) for name, each in augmenters.items()},
    }
    torch.set_num_threads(1)
    on_one = measure(variants, time.process_time)
    torch.set_num_threads(2)
    on_two = measure(variants, time.perf_counter)

    def share(seconds: dict[str, list[float]], name: str) -> float:
        ratios = (part / step for part, step in zip(seconds[name], seconds["step"], strict=True))
        return round(statistics.median(ratios), 3)

    micro = {name: round(1e6 * statistics.median(times) / BATCH_SIZE, 1) for name, times in on_one.items()}
    body = {
        "machine": hardware_info() | {"torch": torch.__version__},
        "batch_size": BATCH_SIZE,
        "amounts": AMOUNTS,
        "microseconds_per_image": micro,
        "share_of_step_on_one_thread": {name: share(on_one, name) for name in chosen},
        "share_of_step_on_two_threads": {name: share(on_two, name) for name in chosen},
    }
    text = json.dumps(body, indent=1)
    print(text)
    if arguments.record is not None:
        arguments.record.write_text(text + "\n")
    assert body["share_of_step_on_two_threads"]["all"] <= MAX_SHARE


if __name__ == "__main__":
    main()
