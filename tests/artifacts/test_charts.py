"""Charts: what they show, and the same bytes every time."""

from dataclasses import replace

import numpy as np
import pytest

from mnistctl.artifacts import charts
from mnistctl.artifacts.charts import LearningCurves, ReliabilityCurve

COUNTS = [
    [90 if row == column else int((row, column) == (4, 9)) * 7 for column in range(10)] for row in range(10)
]
NAME = "$x_{\\frac$ \N{CJK UNIFIED IDEOGRAPH-6570} \udcff\n"  # a file may have this name
HISTOGRAM = [0] * 9 + [3] + [0] * 4 + [97]
RELIABILITY = [ReliabilityCurve(name, [65.0, 98.0], [33.3, 99.0], [3, 97], HISTOGRAM) for name in (NAME, "b")]
CURVES = LearningCurves([0.5, 0.2], [0.3, 0.25], [90.0, 95.0], [0.1, 0.05], averaged=(1, 2, 96.0))


def cells(*framed):
    return [charts.Cell(np.full((28, 28), 17 * n, np.uint8), str(n), n in framed) for n in range(3)]


CHARTS = {
    "confusion": lambda: charts.confusion_chart(NAME, COUNTS),
    "curves": lambda: charts.curves_chart(NAME, CURVES),
    "calibration": lambda: charts.calibration_chart(NAME, RELIABILITY),
    "histogram": lambda: charts.histogram_chart([("regular", [99.5, 99.5, 99.52]), ("averaging", [99.51])]),
    "digits": lambda: charts.digits_chart(NAME, ["a", NAME], [charts.Block("some", [cells(), cells(1)])]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_ignores_the_settings_of_matplotlib_and_leaves_them_unchanged(name):
    import matplotlib

    first = CHARTS[name]()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert np.array_equal(CHARTS[name](), first)
        assert matplotlib.rcParams["font.size"] == 30
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10


def test_only_errors_are_coloured_in_a_confusion_matrix():
    chart = CHARTS["confusion"]().astype(int)
    redness = chart[..., 0] - chart[..., 2]
    rows, columns = np.nonzero(redness > 100)
    # The axes span 10 % to 97 % and 10 % to 93 %; the error is in the fifth row and the tenth column.
    height, width = redness.shape
    assert 0.88 < columns.mean() / width < 0.97
    assert 0.44 < rows.mean() / height < 0.53
    assert len(rows) < height * width / 100


def test_images_in_a_chart_are_unchanged_and_have_a_frame_if_requested():
    chart = charts.digits_chart("", ["row"], [charts.Block("", [cells(1)])])
    for cell in cells()[1:]:
        assert (chart == cell.image[0, 0]).all(axis=2).sum() >= (2 * 28) ** 2
    red = (chart[..., 0] > 200) & (chart[..., 1] < 100)
    assert red.sum() == 62**2 - 56**2
    assert not ((chart == 34).all(axis=2) & red).any()


def test_learning_curves_of_different_lengths_are_refused():
    for name in ("losses", "test_losses", "accuracies", "learning_rates"):
        with pytest.raises(ValueError, match="different lengths"):
            replace(CURVES, **{name: [1.0]})


def test_a_histogram_has_a_bar_for_each_accuracy_and_wide_bars_for_a_wide_range():
    def bars(columns):
        chart = charts.histogram_chart(columns).astype(int)
        return int(((np.diff((chart[..., 2] - chart[..., 0] > 100).sum(0) > 20)) > 0).sum()) // 2

    assert bars([("regular", [99.5, 99.5, 99.52])]) == 2
    assert bars([("logit", [10.0, 92.0])]) == 2
