"""docs/own-digits.md and docs/digit-reading.md: every figure equals its record."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

from mnistctl.data.likeness import TURNS
from mnistctl.evaluation.corruptions import CORRUPTIONS
from mnistctl.inference import confidence

ROOT = Path(__file__).parents[2]
OWN_DIGITS = (ROOT / "docs/own-digits.md").read_text()
PAGE = (ROOT / "docs/digit-reading.md").read_text()
TEXT = " ".join(PAGE.split())
DOUBT = json.loads((ROOT / "records/doubt.json").read_text())
HANDWRITING = json.loads((ROOT / "records/handwriting.json").read_text())
IMAGES = json.loads((ROOT / "records/images.json").read_text())


def test_record_is_of_the_recorded_weights():
    assert IMAGES["digest"] == json.loads((ROOT / "records/conv.json").read_text())["digest"]


def test_accuracy_on_drawn_images_is_the_recorded_one():
    drawn = IMAGES["drawn"]
    by_hand, printed = drawn["written"], drawn["printed"]
    assert f"reads {drawn['right']} of {drawn['pictures']} drawn images correctly" in TEXT
    hand = f"{by_hand['pictures']} by hand: {by_hand['accuracy']:.2f} %"
    assert f"({hand}, {printed['pictures']} printed: {printed['accuracy']:.2f} %)" in TEXT
    assert len(drawn["failures"]) == drawn["pictures"] - drawn["right"]


def test_accuracy_on_mnist_images_is_the_recorded_one():
    images, files = IMAGES["mnist"], IMAGES["mnist_files"]
    original, files_original = IMAGES["mnist_original"], IMAGES["mnist_files_original"]
    assert f"{images['accuracy']:.2f} % instead of {original['accuracy']:.2f} %" in TEXT
    of_files = f"{files['accuracy']:.2f} % instead of {files_original['accuracy']:.2f} %"
    assert f"({of_files} on {files['pictures']:,} of them" in TEXT


def test_temperature_and_minimum_confidence_are_the_recorded_ones():
    assert confidence.temperature_of("conv") == pytest.approx(DOUBT["held_out"]["temperature"], abs=0.006)
    thresholds = DOUBT["folds"]["confidence"]["thresholds"]
    assert sum(thresholds) / len(thresholds) == pytest.approx(confidence.MIN_CONFIDENCE, abs=0.006)
    for page in (OWN_DIGITS, PAGE):
        assert f"({confidence.MIN_CONFIDENCE:g} by default)" in page


def test_confidence_is_the_recorded_one():
    for name, fold in DOUBT["folds"].items():
        shares = ("marked", "right_of_unmarked", "wrong_marked", "no_digit_marked")
        assert f"| {name} | {' | '.join(f'{fold[share]:.2f}' for share in shares)} |" in PAGE
    for name, points in DOUBT["curve"].items():
        assert f"| by {name} | {' | '.join(f'{share:.2f}' for share in points.values())} |" in PAGE
    confidence = DOUBT["folds"]["confidence"]
    assert confidence["right_of_unmarked"] >= 99
    assert confidence["no_digit_marked"] >= 90


def test_prediction_is_printed_as_the_page_shows(mnistctl):
    words = ("eval", str(ROOT / "records/conv.safetensors"), "--image", str(ROOT / "docs/own-digit.jpg"))
    answer = mnistctl(*words).stdout.splitlines()[0].rpartition("own-digit.jpg")[2]
    assert f"docs/own-digit.jpg{answer}\n" in OWN_DIGITS


def test_table_of_warnings_has_the_measured_ones():
    record = json.loads((ROOT / "records/likeness.json").read_text())
    corrupted = [f"{each.kind} {severity:g}" for each in CORRUPTIONS for severity in each.severities]
    assert (record["count"], record["draws"], len(corrupted)) == (1000, 200, 18)
    for rows in record["changes"].values():
        warned = [name for name in ("as they are", *corrupted) if rows[name]["warnings"]]
        assert warned == ["shift 6"]
        for name in ("size 0.9", "size 1.1", "displaced by 2 pixels down"):
            assert rows[name]["warnings"] == []
        for name in ("size 0.7", "size 1.3", "displaced by 3 pixels down"):
            (warning,) = rows[name]["warnings"]
            assert "framed" in warning
        for inverted, turned in product((False, True), TURNS):
            name = ", ".join(["inverted"] * inverted + [turned] * bool(turned))
            words = turned.replace("left", "?").replace("right", "left").replace("?", "right")
            for warning in rows[name]["warnings"] if name else ():
                assert ("inverted" in warning) == inverted
                assert (words if "by 90" in turned else turned) in warning
            assert len(rows[name]["warnings"] if name else [0]) == 1
    few = record["few"]["20"]
    assert few["as they are"] == {"none": 200}
    for name in ("inverted", "transposed"):
        ((warning, count),) = few[name].items()
        assert (name in warning, count) == (True, 200)


def test_shares_of_numbers_are_the_recorded_ones():
    record = json.loads((ROOT / "records/composed.json").read_text())
    for name, source in (("MNIST", "mnist"), ("people", "handwriting")):
        rows = [
            record[source][kind][key]
            for key in ("right", "right_if_number_of_digits_is_given")
            for kind in ("separate", "touching")
        ]
        cells = " | ".join(f"{share:.2f}" for share in (record[source]["single"], *rows))
        assert f"| {name} | {cells} |" in PAGE


def test_real_handwriting_is_the_recorded_one():
    columns = HANDWRITING["columns"]
    assert len(columns) > 6
    for name, column in columns.items():
        shares = (*column["kinds"].values(), column["accuracy"], column["mean_over_sources"])
        start = {
            "steps": "the steps above",
            "whole picture": "whole picture resized",
            "before": "earlier steps",
        }
        cells = " | ".join(f"{share:.2f}" for share in shares)
        assert re.search(rf"^\| {start.get(name, name)}[^|]* \| {re.escape(cells)} \|$", PAGE, re.MULTILINE)


def test_accuracy_on_handwriting_is_the_recorded_one_on_both_pages():
    steps = HANDWRITING["columns"]["steps"]
    assert (
        f"reads {steps['accuracy']:.2f} % of [{steps['pictures']:,} pictures that people made]" in OWN_DIGITS
    )
    assert f"conv reads {steps['accuracy']:.2f} % right" in TEXT


def test_kinds_of_pictures_are_explained_with_their_number():
    steps = HANDWRITING["columns"]["steps"]
    rows = re.findall(r"^\| (\w+) \| (\d+) (?:pictures|photographs|drawings)", PAGE, re.M)
    counts = {kind: int(count) for kind, count in rows}
    assert counts.keys() == steps["kinds"].keys()
    assert sum(counts.values()) == steps["pictures"]
    for kind, count in counts.items():
        misread = sum(error["kind"] == kind for error in HANDWRITING["errors"])
        assert 100 * (count - misread) / count == pytest.approx(steps["kinds"][kind], abs=0.005)


def test_gain_of_each_step_is_the_recorded_one():
    columns = HANDWRITING["columns"]
    for name, column in columns.items():
        if name.startswith("without"):
            gain = columns["steps"]["accuracy"] - column["accuracy"]
            assert f"({gain:+.2f})" in PAGE


def test_kinds_of_misread_pictures_are_as_many_as_the_recorded_ones():
    table = PAGE.split("| kind | pictures |")[1].split("\n\n")[0]
    counts = [int(line.split("|")[2]) for line in table.splitlines()[2:]]
    assert sum(counts) == len(HANDWRITING["errors"])


def test_each_failure_has_the_test_that_the_page_names():
    rows = re.findall(r"\| `(test_\w+\.py)`: `(test_\w+)` \|", PAGE)
    assert len(rows) > 10
    for file, name in rows:
        (path,) = (ROOT / "tests").glob(f"*/{file}")
        assert f"def {name}(" in path.read_text()
