"""The net that tells digits from what is none."""

import numpy as np
from digit_images import DIGITS

from mnistctl.inference import detector


def test_digits_are_digits_and_halves_and_pairs_are_none():
    digits = DIGITS.images[:200]
    assert (detector.digit_odds(digits) > 0).mean() > 0.95
    halves = digits.copy()
    halves[:, 14:] = 0
    pairs = np.concatenate((digits[:100, :, ::2], digits[100:, :, ::2]), 2)
    assert (detector.digit_odds(np.ascontiguousarray(pairs)) > 0).mean() < 0.1
    assert (detector.digit_odds(halves) > 0).mean() < 0.5


def test_detector_reads_digits_too():
    assert (detector.digit_logits(DIGITS.images).argmax(1) == DIGITS.labels).mean() > 0.95


def test_logits_do_not_depend_on_the_batch():
    together = detector.digit_logits(DIGITS.images[:3])
    alone = np.concatenate([detector.digit_logits(DIGITS.images[n : n + 1]) for n in range(3)])
    assert np.allclose(together, alone, atol=1e-4)
