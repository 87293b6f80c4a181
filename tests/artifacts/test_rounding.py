"""Numbers as they are printed: a percentage reads 100 only if it is 100, a small rate never 0.0000."""

import pytest

from mnistctl.artifacts.rounding import (
    format_learning_rate,
    format_loss,
    format_percent,
    format_percent_interval,
)


def test_percentage_reads_100_only_if_every_digit_is_right():
    assert format_percent(100 * 25_000 / 25_001) == "99.996"
    assert format_percent(100 * 199_999 / 200_000, 4) == "99.9995"
    assert format_percent(100.0) == "100.00"
    for count in (3, 10_000, 25_001, 10**6, 10**9):
        assert float(format_percent(100 * (count - 1) / count)) < 100
        assert float(format_percent(100 * count / count)) == 100


def test_interval_of_a_percentage_is_printed_up_to_100():
    assert format_percent_interval((99.1, 99.43), 2) == "99.10 to 99.43"
    assert format_percent_interval((90.0, 107.3), 4) == "90.0000 to 100.0000"
    assert format_percent_interval((-3.0, 50.0), 2) == "0.00 to 50.00"
    assert format_percent_interval((99.9, 99.99999), 4) == "99.9000 to 99.99999"


def test_other_percentages_keep_their_decimals():
    assert [format_percent(value) for value in (0.0, 96.5, 99.58, 99.994)] == [
        "0.00",
        "96.50",
        "99.58",
        "99.99",
    ]
    assert format_percent(99.5875, 4) == "99.5875"


def test_percentage_with_limited_decimals_is_rounded_down():
    assert format_percent(99.97, 1, 1) == "99.9"
    assert format_percent(99.97, 0, 0) == "99"
    assert format_percent(100 * (1 - 1e-15)) == "99.999999999"


@pytest.mark.parametrize(
    ("lr", "text"),
    [
        (0.01, "0.0100"),
        (0.0002, "0.0002"),
        (0.00003, "3.0e-5"),
        (0.000213, "2.1e-4"),
        (1e-12, "1.0e-12"),
        (1e9, "1.0e+9"),
    ],
)
def test_learning_rate_is_never_printed_as_another_one(lr, text):
    assert format_learning_rate(lr) == text


def test_large_loss_stays_in_its_column():
    assert format_loss(0.2873, 6, 13) == "0.287300"
    assert format_loss(1e9, 6, 13) == "1.0e+09"
