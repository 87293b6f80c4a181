"""Charts: what they show, and the same bytes every time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mnistctl.artifacts import charts, drawing
from mnistctl.artifacts.charts import LearningCurves, ReliabilityCurve
from mnistctl.artifacts.image_charts import Block, Cell, digits_chart, grid_chart
from mnistctl.artifacts.sweep_charts import SweepAxis, SweepPoint, sweep_grid_chart, sweep_line_chart

COUNTS = [
    [90 if row == column else int((row, column) == (4, 9)) * 7 for column in range(10)] for row in range(10)
]
NAME = "$x_{\\frac$ \N{CJK UNIFIED IDEOGRAPH-6570} \udcff\n"  # a file may have this name
HISTOGRAM = [0] * 9 + [3] + [0] * 4 + [97]
RELIABILITY = ReliabilityCurve("b", [65.0, 98.0], [33.3, 99.0], [3, 97], HISTOGRAM)
CURVES = LearningCurves([0.5, 0.2], [0.3, 0.25], [90.0, 95.0], [0.1, 0.05], averaged=(1, 2, 96.0))
POINT = SweepPoint([97.0, 98.0], (91.15, 103.85), unchanged=True)


def cells(*framed):
    return [Cell(np.full((28, 28), 17 * n, np.uint8), str(n), n in framed) for n in range(3)]


NAMED = {  # the kinds of charts, as functions of a name
    "confusion": lambda name: charts.confusion_chart(name, COUNTS),
    "curves": lambda name: charts.curves_chart(name, CURVES),
    "losses": lambda name: charts.losses_chart(name, {"generator": [1.0, 2.0], name: [2.0, 0.0]}),
    "compared": lambda name: charts.compared_curves_chart(name, {"a": CURVES, name: CURVES}),
    "calibration": lambda name: charts.calibration_chart(
        name, [replace(RELIABILITY, label=name), RELIABILITY]
    ),
    "histogram": lambda name: charts.histogram_chart([("regular", [99.5, 99.5, 99.52]), (name, [99.51])]),
    "digits": lambda name: digits_chart(name, ["a", name], [Block(name, [cells(), cells(1)])]),
    "grid": lambda name: grid_chart(name, np.zeros((64, 32), np.uint8), legend=[name], rows=["a", name]),
    "sweep": lambda name: sweep_line_chart(name, SweepAxis(name, ["1", name]), {0: POINT, 1: POINT}, "test"),
    "sweep of two": lambda name: sweep_grid_chart(
        name, SweepAxis(name, ["1", name]), SweepAxis("lr", [name]), {(0, 0): POINT}
    ),
}
CHARTS = {kind: make(NAME) for kind, make in NAMED.items()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ("confusion", "sweep") else pytest.mark.long) for name in CHARTS],
)
def test_a_chart_ignores_the_settings_of_matplotlib_and_leaves_them_unchanged(name):
    import matplotlib

    first = CHARTS[name].pixels()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert np.array_equal(CHARTS[name].pixels(), first)
        assert matplotlib.rcParams["font.size"] == 30
    assert first.dtype == np.uint8
    assert first.shape == (round(CHARTS[name].height), int(CHARTS[name].width), 3)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10


def test_only_errors_are_coloured_in_a_confusion_matrix():
    chart = CHARTS["confusion"].pixels().astype(int)
    redness = chart[..., 0] - chart[..., 2]
    rows, columns = np.nonzero(redness > 100)
    # The axes span 10 % to 97 % and 10 % to 93 %; the error is in the fifth row and the tenth column.
    height, width = redness.shape
    assert 0.88 < columns.mean() / width < 0.97
    assert 0.44 < rows.mean() / height < 0.53
    assert len(rows) < height * width / 100


def test_the_colours_of_a_confusion_matrix_are_those_of_the_colour_map():
    import matplotlib

    chart = CHARTS["confusion"].pixels()
    exact = np.round(np.array(matplotlib.colormaps["Reds"](1 / 1.3))[:3] * 255)
    assert (np.abs(chart - exact).max(2) <= 1).sum() > 1000


def texts_of(chart):
    """The texts that are drawn in a chart, with their boxes in pixels: (text, left, bottom, right, top)."""
    from matplotlib.text import Text

    drawn, draw = [], Text.draw

    def record(text, *args, **kwargs):
        draw(text, *args, **kwargs)
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), *Text.get_window_extent(text).extents))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Text, "draw", record)
        chart.pixels()
    return drawn


LONG = "a classifier with quite a long name"
WIDE = SweepAxis(LONG, [f"{LONG}, {n}" for n in range(2)])
TIGHT = {
    "one error": digits_chart(
        f"{LONG} on mnist, test; framed: disputed label",
        ["0", "1"],
        [
            Block("most confident errors: prediction", [[], cells()[:1]]),
            Block("least confident correct predictions", [cells()[:1], []]),
        ],
    ),
    "small grid": grid_chart(f"{LONG} on mnist", np.zeros((32, 32), np.uint8), legend=[2 * LONG]),
    "short run": charts.curves_chart("a", LearningCurves([0.41], [0.4], [99.1], [1e-5])),
    "narrow range": charts.curves_chart("a", LearningCurves([0.41, 0.4], [0.4, 0.4], [99.1, 99.1], [1, 1])),
    "seven runs": charts.compared_curves_chart(LONG, {f"{LONG} {n}": CURVES for n in range(7)}),
    "small set": charts.calibration_chart("a", [ReliabilityCurve(LONG, [95.0], [90.0], [7], [0] * 14 + [7])]),
    "large set": charts.calibration_chart("a", [ReliabilityCurve("a", [9.0], [9.0], [7], [7, 8000, 1])]),
    "seven nets": charts.calibration_chart("a", [replace(RELIABILITY, label=f"{n}") for n in range(7)]),
    "histogram": charts.histogram_chart([("swa", [99.512, 99.55]), ("conv", [99.48, 99.6])]),
    "sweep": sweep_line_chart("a", WIDE, {0: POINT, 1: POINT}, "validation accuracy, %"),
    "sweep of two": sweep_grid_chart("a", WIDE, WIDE, {(0, 1): POINT}),
    "sweep of one value": sweep_grid_chart(
        "a", SweepAxis("lr", ["1"]), SweepAxis(LONG, ["1"]), {(0, 0): POINT}
    ),
}


@pytest.mark.parametrize("name", TIGHT)
def test_no_text_of_a_chart_is_cut_overlaps_another_or_is_a_formula(name):
    chart = TIGHT[name]
    texts = texts_of(chart)
    for text, left, bottom, right, top in texts:
        assert "$" not in text
        assert left >= -1, text
        assert bottom >= -1, text
        assert right <= chart.width + 1, text
        assert top <= chart.height + 1, text
    for (first, *one), (second, *other) in itertools.combinations(texts, 2):
        across = min(one[2], other[2]) - max(one[0], other[0])
        down = min(one[3], other[3]) - max(one[1], other[1])
        assert across < 1 or down < 5, (first, second)  # a box has some room above and below its text


def test_interval_in_a_chart_of_a_sweep_ends_at_100():
    chart = sweep_grid_chart("", SweepAxis("lr", ["1"]), SweepAxis("epochs", ["1"]), {(0, 0): POINT})
    assert "97.500\n91.15 to 100.00" in [text for text, *_ in texts_of(chart)]
    with drawing.canvas(4, 4) as (figure, _):
        sweep_line_chart("", SweepAxis("lr", ["1"]), {0: POINT}, "accuracy, %").draw(figure)
        drawn = [line.get_ydata() for line in figure.axes[0].lines]
        assert min(map(min, drawn)) == 91.15
        assert max(map(max, drawn)) == 100


@pytest.mark.parametrize("name", NAMED)
def test_dollar_signs_in_a_name_are_text_and_not_a_formula(name):
    drawn, plain = texts_of(NAMED[name]("a$b$c")), texts_of(NAMED[name]("abc"))
    named = [(one, other) for one, other in zip(drawn, plain, strict=True) if "a$b$c" in one[0]]
    assert named
    for (text, left, _, right, _), (without, start, _, end, _) in named:
        assert text.replace("$", "") == without
        assert right - left > end - start + 9, text  # two dollar signs; a formula would be without them


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_chart_is_written_in_the_format_of_its_ending_with_the_same_bytes_each_time(ending, tmp_path):
    magic = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[ending]
    for name in ("a", "b"):
        CHARTS["calibration"].write(tmp_path / f"{name}.{ending}")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first.startswith(magic)
    assert first == second


def lab(rgb):
    """CIE L*a*b* of linear RGB, for the white point D65."""
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750]]
    matrix.append([0.0193339, 0.1191920, 0.9503041])
    x = np.array(matrix) @ rgb / (0.95047, 1, 1.08883)
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_a_reader_with_deuteranopia_can_tell_the_colours_of_lines_apart():
    """Simulated after Machado, Oliveira and Fernandes (2009), with severity 1; the distance is CIE76."""
    simulate = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    )
    seen = []
    for colour in drawing.COLOURS:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen.append(lab((simulate @ linear).clip(0, 1)))

    def closest(colours):
        return min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2))

    assert closest(seen) > 17
    assert closest(seen[:5]) > 24
    assert len(set(drawing.MARKERS)) == len(drawing.COLOURS)


def test_learning_curves_of_different_lengths_are_refused():
    for name in ("losses", "scored_losses", "accuracies", "learning_rates"):
        with pytest.raises(ValueError, match="different lengths"):
            replace(CURVES, **{name: [1.0]})


def test_a_histogram_has_a_bar_for_each_accuracy_and_wide_bars_for_a_wide_range():
    def bars(columns):
        chart = charts.histogram_chart(columns).pixels().astype(int)
        return int(((np.diff((chart[..., 2] - chart[..., 0] > 100).sum(0) > 20)) > 0).sum()) // 2

    assert bars([("regular", [99.5, 99.5, 99.52])]) == 2
    assert bars([("logit", [10.0, 92.0])]) == 2
