"""How far a prediction can be trusted: calibrated probabilities, and whether the image is a digit at all."""

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts.grids import ImageArray
from mnistctl.inference import detector

MIN_CONFIDENCE = 0.78
_TEMPERATURES = {"conv": 0.33}


def temperature_of(model: str) -> float:
    """What the logits of a net of this model are divided by before they become probabilities."""
    return _TEMPERATURES.get(model, 1.0)


def confidences(images: ImageArray, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The confidence in each prediction: its probability times the probability that the image is a digit.

    Args:
        images: as the net received them, [N, 28, 28].
        probabilities: the net's for the ten digits, [N, 10].
    """
    if not len(images):
        return np.zeros(0)
    joint: NDArray[np.float64] = probabilities.max(1) / (1 + np.exp(-detector.digit_odds(images)))
    return joint
