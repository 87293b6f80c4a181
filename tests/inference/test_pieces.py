"""The scores of the pieces of a row."""

import numpy as np
import pytest
from number_images import picture

from mnistctl.data import photos, rows
from mnistctl.inference import detector, numbers, pieces


def pieces_of(number, gap):
    (row,) = rows.find_rows(photos.find_ink(photos.to_grey(picture(number, gap=gap)))[0])
    found = row.pieces()
    logits = detector.digit_logits(np.stack([numbers.frame(piece.ink) for piece in found]))
    return row, found, logits


def test_features_are_about_one_and_as_many_as_the_net_receives():
    row, found, logits = pieces_of("2043", -2)
    features = pieces.features_of(row, found, logits)
    assert features.shape == (len(found), pieces.FEATURES)
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 8


@pytest.mark.parametrize("number", ["86318", "29977"])
def test_touching_digits_are_cut_that_the_detector_alone_would_cut_elsewhere(number, monkeypatch):
    found = rows.find_rows(photos.find_ink(photos.to_grey(picture(number, gap=-2)))[0])
    ((_, cut),) = numbers.choose(found)
    assert len(cut) == len(number)
    monkeypatch.setattr(numbers, "score", lambda row, found, logits: pieces.odds_of(logits) - 2)
    ((_, cut),) = numbers.choose(found)
    assert len(cut) != len(number)


def test_log_odds_of_the_detector_are_limited():
    logits = np.zeros((2, 11))
    logits[0, 3], logits[1, detector.NO_DIGIT] = 100, 100
    assert pieces.odds_of(logits).tolist() == [pieces.MAX_ODDS, -pieces.MAX_ODDS]
