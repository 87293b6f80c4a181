"""Time the scoring of digits in batches of several sizes: python bench/scoring.py [--out FILE] [MODEL ...]

On one thread, in processor time. The sizes take turns. `times_mm` is the time divided by that of as many
floating-point operations in a product of two 1024 x 1024 matrices.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.fusion import optimize_for

SIZES = (500, 250, 100, 50, 25)
IMAGES = 500
ROUNDS = 7
LSTM_FLOP = 28 * 2 * 512 * (28 + 128 + 128 + 128) + 2 * 1280  # its kernel is not counted


def seconds(run: object) -> float:
    start = time.process_time()
    run()  # type: ignore[operator]
    return time.process_time() - start


def measure(name: str, digits: Digits) -> dict[str, object]:
    """Microseconds per image of one model by batch size."""
    plain = models.load_classifier(name).net().eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        plain(digits.take(slice(0, 1))[0])
    flop = LSTM_FLOP if name == "lstm" else counter.get_total_flops()
    net = optimize_for(plain, torch.device("cpu"))
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)

    def score(size: int) -> None:
        with torch.inference_mode():
            for start in range(0, IMAGES, size):
                net(digits.take(slice(start, start + size))[0])

    score(SIZES[0])
    products, times = [], {size: [] for size in SIZES}  # type: ignore[var-annotated]
    for _ in range(ROUNDS):
        products.append(seconds(lambda: a @ b))
        for size in SIZES:
            times[size].append(seconds(lambda size=size: score(size)) / IMAGES)
    at_mm = flop / (2 * 1024**3) * statistics.median(products)
    medians = {size: statistics.median(values) for size, values in times.items()}
    return {
        "megaflop_per_image": round(flop / 1e6, 3),
        "microseconds_per_image": {size: round(1e6 * value, 1) for size, value in medians.items()},
        "times_mm": {size: round(value / at_mm, 2) for size, value in medians.items()},
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["logit", "linear", "conv", "lstm", "simple"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_malloc()
    arrays, _ = datasets.load("sample", None, "test")
    digits = Digits.of(arrays, torch.device("cpu"))
    body = {
        "command": "python bench/scoring.py",
        "machine": hardware_info() | {"torch": torch.__version__, "threads": 1},
        "models": {name: measure(name, digits) for name in options.models},
    }
    print(json.dumps(body, indent=1))
    if options.out:
        options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
