"""Time the convolutions and the pooling of conv in other ways than the net's.

    python bench/convolutions.py [--out FILE]

Milliseconds for a micro-batch of 200 images, on one thread, channels-last. The ways take turns.

- `second convolution`: its three products with other numbers of channels. 20 and 50 are those of conv; the
  others are multiples of 16, the numbers in a vector of AVX-512.
- `first convolution`: its forward pass and weight gradient by torch's convolution, and as products with
  patches that are unfolded once.
- `pool`: forward and backward by torch's pool, and as two maxima one after the other.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from speed import matmul
from torch import Tensor

from mnistctl.nn.device import hardware_info, tune_malloc

IMAGES, ROUNDS = 200, 30
CHANNELS = ((20, 50), (16, 48), (32, 64))
Work = Callable[[], object]


def channels_last(*shape: int) -> Tensor:
    """Random numbers in channels-last memory."""
    return torch.randn(*shape).to(memory_format=torch.channels_last)


def second_convolution(inputs: int, outputs: int) -> dict[str, Work]:
    """The products of a 5x5 convolution of 12x12 pixels."""
    x, weight = channels_last(IMAGES, inputs, 12, 12), channels_last(outputs, inputs, 5, 5)
    grad = channels_last(IMAGES, outputs, 8, 8)

    def backward(*wanted: bool) -> object:
        arguments = [outputs], [1, 1], [0, 0], [1, 1], False, [0, 0], 1
        return torch.ops.aten.convolution_backward(grad, x, weight, *arguments, wanted)

    name = f"{inputs} to {outputs} channels"
    return {
        f"{name}: forward": lambda: F.conv2d(x, weight),
        f"{name}: gradient of the input": lambda: backward(True, False, False),
        f"{name}: gradient of the weights": lambda: backward(False, True, False),
    }


def first_convolution() -> dict[str, Work]:
    """Forward pass and weight gradient of a 5x5 convolution of the image."""
    x, weight = channels_last(IMAGES, 1, 28, 28), channels_last(20, 1, 5, 5)
    grad = channels_last(IMAGES, 20, 24, 24)
    arguments = [20], [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    rows = grad.permute(0, 2, 3, 1).reshape(-1, 20)

    def convolved() -> None:
        F.conv2d(x, weight)
        torch.ops.aten.convolution_backward(grad, x, weight, *arguments, [False, True, False])

    def unfolded() -> None:
        patches = x.squeeze(1).unfold(1, 5, 1).unfold(2, 5, 1).reshape(-1, 25)
        patches @ weight.view(20, 25).t()
        rows.t() @ patches

    return {"convolution": convolved, "products with patches": unfolded}


def pool() -> dict[str, Work]:
    """Pooling of 2x2 pixels of the first convolution's output."""
    x = channels_last(IMAGES, 20, 24, 24).requires_grad_()
    grad = channels_last(IMAGES, 20, 12, 12)

    def pooled() -> None:
        F.max_pool2d(x, 2).backward(grad)

    def two_maxima() -> None:
        rows = x.permute(0, 2, 3, 1).view(IMAGES, 12, 2, 24 * 20)
        columns = torch.maximum(rows[:, :, 0], rows[:, :, 1]).view(IMAGES, 12, 12, 2, 20)
        torch.maximum(columns[:, :, :, 0], columns[:, :, :, 1]).permute(0, 3, 1, 2).backward(grad)

    return {"torch's pool": pooled, "two maxima": two_maxima}


def measure(ways: dict[str, Work]) -> dict[str, float]:
    """The median milliseconds of each way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-3, ROUNDS):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: round(1e3 * statistics.median(times), 2) for name, times in seconds.items()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tune_malloc()
    torch.set_num_threads(1)
    second = {}
    for channels in CHANNELS:
        second |= second_convolution(*channels)
    body = {
        "command": "python bench/convolutions.py",
        "machine": hardware_info() | {"threads": 1, "torch": torch.__version__},
        "images": IMAGES,
        "second convolution, as a matrix product": {  # of each of its three products
            f"{inputs} to {outputs} channels": round(
                1e3 * 2 * IMAGES * 64 * 25 * inputs * outputs / matmul(9), 2
            )
            for inputs, outputs in CHANNELS
        },
        "second convolution": measure(second),
        "first convolution": measure(first_convolution()),
        "pool": measure(pool()),
    }
    text = json.dumps(body, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
