"""A small net that tells single digits from everything else, in MNIST's layout.

A classifier that was trained on digits alone gives every image a digit, also half a digit, two digits or a
letter. This net has eleven outputs: the ten digits and "no digit". `tools/make_detector.py` trained it.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import nn

from mnistctl.artifacts.grids import ImageArray

WEIGHTS = Path(__file__).with_name("detector.safetensors")
NO_DIGIT = 10  # index of the output


def net() -> nn.Sequential:
    """The net without trained weights: pixels [N, 1, 28, 28] from 0 to 1 to logits [N, 11]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, 2, 2), nn.ReLU(),   # 32 x 14 x 14
        nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),  # 64 x 7 x 7
        nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU(),  # 64 x 4 x 4
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, 11),
    )  # fmt: skip


@cache
def _trained() -> nn.Sequential:
    trained = net()
    weights = load(WEIGHTS.read_bytes())
    trained.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return trained.eval()


def digit_logits(images: ImageArray) -> NDArray[np.float64]:
    """The logits of the ten digits and of "no digit" for images [N, 28, 28]: [N, 11].

    Args:
        images: white on black, in the layout of MNIST.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1).float() / 255
    with torch.inference_mode():
        logits = torch.cat([_trained()(batch) for batch in pixels.split(500)])
    return np.asarray(logits.double().numpy())


def digit_odds(images: ImageArray) -> NDArray[np.float64]:
    """The log of the odds that each of the images [N, 28, 28] is a digit: [N]."""
    return odds_of(digit_logits(images))


def odds_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log of the odds that an image is a digit, [N], by its logits [N, 11]."""
    odds: NDArray[np.float64] = np.logaddexp.reduce(logits[:, :NO_DIGIT], 1) - logits[:, NO_DIGIT]
    return odds
