"""Charts: what is drawn where, the same bytes each time."""

import numpy as np
import pytest

from mnistctl.artifacts import charts
from mnistctl.evaluation.calibration import Bin, Calibration

COUNTS = [
    [90 if row == column else int((row, column) == (4, 9)) * 7 for column in range(10)] for row in range(10)
]
SURE = Calibration(2.5, (Bin(60.0, 66.7, 3, 65.0, 33.3), Bin(93.3, 100.0, 97, 98.0, 99.0)))
RUN = {
    "losses": [0.5, 0.2],
    "test_losses": [0.3, 0.25],
    "accuracies": [90.0, 95.0],
    "recipe": {"rates": [0.1, 0.05]},
    "averages": [{"first": 1, "last": 2, "accuracy": 96.0}],
}
NAME = "$x_{\\frac$ \N{CJK UNIFIED IDEOGRAPH-6570} \udcff\n"  # a file may be called that


def cells(*framed):
    return [charts.Cell(np.full((28, 28), 17 * n, np.uint8), str(n), n in framed) for n in range(3)]


DRAWN = {
    "confusion": lambda: charts.confusion_chart(NAME, COUNTS),
    "curves": lambda: charts.curves_chart(NAME, RUN),
    "calibration": lambda: charts.calibration_chart(NAME, {NAME: SURE, "b": SURE}),
    "histogram": lambda: charts.histogram_chart([("regular", [99.5, 99.5, 99.52]), ("averaging", [99.51])]),
    "digits": lambda: charts.digits_chart(NAME, ["a", NAME], [charts.Block("some", [cells(), cells(1)])]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_the_same_whatever_a_user_sets_and_leaves_that_as_it_was(name):
    import matplotlib

    first = DRAWN[name]()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert np.array_equal(DRAWN[name](), first)
        assert matplotlib.rcParams["font.size"] == 30
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10


def test_a_confusion_stands_out_by_its_colour_and_what_is_right_does_not():
    picture = DRAWN["confusion"]().astype(int)
    redness = picture[..., 0] - picture[..., 2]
    rows, columns = np.nonzero(redness > 100)
    # Of the axes from 10 % to 97 % and 10 % to 93 %, in the fifth row and the tenth column.
    height, width = redness.shape
    assert 0.88 < columns.mean() / width < 0.97
    assert 0.44 < rows.mean() / height < 0.53
    assert len(rows) < height * width / 100


def test_a_digit_stands_in_a_chart_as_it_is_and_framed_where_asked():
    picture = charts.digits_chart("", ["row"], [charts.Block("", [cells(1)])])
    for cell in cells()[1:]:
        assert (picture == cell.image[0, 0]).all(axis=2).sum() >= (2 * 28) ** 2
    red = (picture[..., 0] > 200) & (picture[..., 1] < 100)
    assert red.sum() == 62**2 - 56**2
    assert not ((picture == 34).all(axis=2) & red).any()


def test_what_is_no_record_of_a_run_is_refused():
    for broken in ({}, RUN | {"losses": [1.0]}, RUN | {"recipe": None}, RUN | {"averages": [{}]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            charts.curves_chart("", broken)


def test_a_histogram_has_a_bar_for_each_accuracy_and_few_where_they_lie_far_apart():
    def bars(columns):
        picture = charts.histogram_chart(columns).astype(int)
        return int(((np.diff((picture[..., 2] - picture[..., 0] > 100).sum(0) > 20)) > 0).sum()) // 2

    assert bars([("regular", [99.5, 99.5, 99.52])]) == 2
    assert bars([("logit", [10.0, 92.0])]) == 2
