"""How `train` and `eval` print wrong predictions, and how an epoch's row shows unusual numbers."""

import pytest

from mnistctl.cli.output.train import _epoch_row, print_mismatches
from mnistctl.evaluation.metrics import Mismatches
from mnistctl.training.events import Epoch


def printed(pairs, marked=()):
    lines = []
    true, predicted = zip(*pairs, strict=True) if pairs else ((), ())
    starred = print_mismatches(Mismatches(tuple(range(len(pairs))), true, predicted), lines.append, marked)
    return lines, starred


def test_few_wrong_predictions_of_a_digit_are_listed():
    lines, starred = printed([(3, 5), (3, 8), (4, 9)], marked={1})
    assert lines == ["mismatches (digit| wrong predictions):", "3| 5 8*", "4| 9"]
    assert starred


@pytest.mark.parametrize("count", [19, 20, 500])
def test_many_wrong_predictions_of_a_digit_are_counted(count):
    lines, starred = printed([(3, 5)] * (count - 1) + [(3, 8), (4, 9)])
    if count < 20:
        assert lines[1] == "3| " + "5 " * 18 + "8"
    else:
        assert lines[1] == f"3| {count} wrong, 5: {count - 1}, 8: 1"
        assert lines[0] == "mismatches (digit| wrong predictions; from 20 on, how many of each):"
    assert lines[2] == "4| 9"
    assert max(map(len, lines)) < 80
    assert not starred


def test_no_wrong_prediction_needs_no_explanation():
    assert printed([]) == (["mismatches: none"], False)


@pytest.mark.parametrize(("wide", "width"), [(True, 69), (False, 42)])
def test_row_of_an_epoch_keeps_its_columns_with_unusual_numbers(wide, width):
    usual = _epoch_row(Epoch(1, 0.01, 0.798619, 0.4181, 97.17, 40.8), wide)
    unusual = _epoch_row(Epoch(2, 0.00003, 1e9, 7e10, 100 * 25_000 / 25_001, 40.8), wide)
    assert "3.0e-5" in unusual
    assert "99.996 %" in unusual
    assert "1.0e+09" in unusual
    assert len(usual) <= len(unusual) <= width
