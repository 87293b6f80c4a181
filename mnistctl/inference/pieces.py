"""How likely each piece of a row is one of its digits, rather than a part of one or parts of two.

The detector sees a piece without the row: the stem of a 4 is a good 1. A small net corrects the detector's
log odds by the size of the piece, its place in the row, and the ink that was cut. `tools/make_pieces.py`
trained it.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from scipy import ndimage
from scipy.special import softmax
from torch import nn

from mnistctl.data.components import TOUCHING
from mnistctl.data.rows import CROSSING, HEIGHT, INKED, Piece, Row
from mnistctl.inference import detector

WEIGHTS = Path(__file__).with_name("pieces.safetensors")
FEATURES = 26
MAX_ODDS = 10.0  # of the log of the odds: the detector is never more certain


def net() -> nn.Sequential:
    """The net without trained weights: features [N, 26] to what is added to the log odds, [N, 1]."""
    return nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 1))


@cache
def _trained() -> nn.Sequential:
    trained = net()
    trained.load_state_dict(load(WEIGHTS.read_bytes()))
    return trained.eval()


def score(row: Row, found: Sequence[Piece], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of each piece, [N]. Summed over a cut: the log of its probability, plus a constant.

    Args:
        row: as `find_rows` gives it.
        found: pieces of the row.
        logits: the detector's for each piece, [N, 11].
    """
    features = features_of(row, found, logits)
    with torch.inference_mode():
        added = _trained()(torch.from_numpy(features))[:, 0].double().numpy()
    result: NDArray[np.float64] = odds_of(logits) + added
    return result


def odds_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log of the odds that each piece is a digit, from -10 to 10, [N], by its logits [N, 11]."""
    odds: NDArray[np.float64] = detector.odds_of(logits).clip(-MAX_ODDS, MAX_ODDS)
    return odds


def features_of(row: Row, found: Sequence[Piece], logits: NDArray[np.float64]) -> NDArray[np.float32]:
    """What the net receives for each piece, each number about 1: float32 [N, 26].

    They are the log odds, the probabilities of the ten digits and of none, the height, width, ink, top,
    bottom and further components of the piece, and the ink that its two seams cross.

    Args:
        row: as `find_rows` gives it.
        found: pieces of the row.
        logits: the detector's for each piece, [N, 11].
    """
    first, last = (np.array([getattr(piece, end) for piece in found]) for end in ("first", "last"))
    left, right = row.costs[first], row.costs[last]
    cuts = (
        left >= CROSSING, right >= CROSSING,
        left / 5, right / 5,
        np.minimum(left, 2), np.minimum(right, 2),
        first == 0, last == len(row.costs) - 1,
    )  # fmt: skip
    shapes = np.array([_shape_of(piece) for piece in found])
    parts = (odds_of(logits)[:, None] / 5, softmax(logits, 1), shapes, np.stack(cuts, 1))
    return np.concatenate(parts, 1).astype(np.float32)


def _shape_of(piece: Piece) -> tuple[float, ...]:
    """Height, width, ink, top, bottom and the number of further components, up to 3."""
    inked = piece.ink > INKED
    height, width = inked.shape
    further = min(ndimage.label(inked, TOUCHING)[1] - 1, 3)
    top, bottom = piece.top / HEIGHT, (piece.top + height - 1) / HEIGHT
    return height / HEIGHT, width / HEIGHT, float(inked.sum()) / 400, top, bottom, further
