"""The confidence in a prediction: low for what is no digit, and calibrated for digits."""

from pathlib import Path

import numpy as np
import pytest
from digit_images import DIGITS

from mnistctl.inference import confidence, load
from mnistctl.inference.predict import compute_probabilities

RECORDS = Path(__file__).parents[2] / "records"
CONV = RECORDS / "conv.safetensors"


def confidence_in(images):
    net = load.load_classifier(CONV)[1]
    probabilities = compute_probabilities(CONV, net, images, confidence.temperature_of("conv"))
    return confidence.confidences(images, probabilities)


def test_most_digits_are_certain_and_pairs_and_noise_are_not():
    assert (confidence_in(DIGITS.images) >= confidence.MIN_CONFIDENCE).mean() > 0.9
    pairs = np.ascontiguousarray(
        np.concatenate((DIGITS.images[:100, :, ::2], DIGITS.images[100:200, :, ::2]), 2)
    )
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28)).astype(np.uint8)
    for images in (pairs, noise):
        assert (confidence_in(images) < confidence.MIN_CONFIDENCE).mean() > 0.9


def test_confidence_is_never_above_the_probability():
    images = DIGITS.images[:200]
    probabilities = compute_probabilities(CONV, load.load_classifier(CONV)[1], images)
    assert (confidence.confidences(images, probabilities) <= probabilities.max(1)).all()


def test_temperature_changes_probabilities_but_no_prediction():
    images, net = DIGITS.images[:200], load.load_classifier(CONV)[1]
    plain, sharper = (compute_probabilities(CONV, net, images, temperature) for temperature in (1.0, 0.5))
    assert (plain.argmax(1) == sharper.argmax(1)).all()
    assert sharper.max(1).mean() > plain.max(1).mean()


@pytest.mark.parametrize("model", ["linear", "of_my_own"])
def test_model_without_a_fitted_temperature_has_1(model):
    assert confidence.temperature_of(model) == 1.0
