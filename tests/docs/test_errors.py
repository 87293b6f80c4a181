"""docs/errors.md: what the models get wrong equals the records."""

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from mnistctl.artifacts import charts, checkpoint
from mnistctl.evaluation import corruptions
from mnistctl.inference import load
from mnistctl.training.provenance import find_curves

ROOT = Path(__file__).parents[2]
ERRORS = (ROOT / "docs/errors.md").read_text()
LINES, TEXT = ERRORS.splitlines(), " ".join(ERRORS.split())


def record(name):
    return json.loads((ROOT / f"records/{name}.json").read_text())


def test_evaluations_are_of_the_recorded_weights():
    weights = load.load_classifier(ROOT / "records/conv.safetensors")[1].state_dict()
    digest = checkpoint.digest(weights)
    assert record("conv-eval")["digest"] == record("side-by-side")["nets"][0]["digest"] == digest


def test_scores_of_the_models_are_the_recorded_ones():
    comparison = record("side-by-side")
    for about, scores in [
        *((f"| {net['name']} | {net['parameters']:,}", net) for net in comparison["nets"]),
        ("| averaged probabilities |", comparison["ensemble"]),
    ]:
        cells = [f"{scores['loss']:.4f}"]
        cells += [f"{scores[name]:.2f}" for name in ("accuracy", "undoubted", "ece")]
        assert f"{about} | {' | '.join(cells)} |" in LINES


def test_pairwise_tests_are_the_recorded_ones():
    for pair in record("side-by-side")["pairs"]:
        p_values = [f"{p:.2g}" if p >= 0.0001 else "< 0.0001" for p in (pair["p"], pair["p_adjusted"])]
        counts = f"{pair['first']}, {pair['second']} | {pair['only_first']} | {pair['only_second']}"
        assert f"| {counts} | {' | '.join(p_values)} |" in LINES


def test_accuracies_on_corrupted_images_are_the_recorded_ones():
    rows = record("side-by-side")["corruptions"]
    expected = [
        (kind.kind, severity, kind.unit) for kind in corruptions.CORRUPTIONS for severity in kind.severities
    ]
    assert [(row["kind"], row["strength"], row["unit"]) for row in rows] == expected
    for row in rows:
        cells = " | ".join(f"{accuracy:.2f}" for accuracy in row["accuracies"])
        assert f"| {row['kind']}, {row['strength']:g} {row['unit']} | {cells} |" in LINES


def test_severities_of_the_corruptions_are_those_of_the_code():
    for kind in corruptions.CORRUPTIONS:
        severities = ", ".join(f"{severity:g}" for severity in kind.severities)
        assert re.search(rf"^\| {kind.kind} \| {severities} ", ERRORS, re.M)


def test_disputed_labels_are_the_recorded_ones():
    conv, comparison = record("conv-eval"), record("side-by-side")
    errors, disputed = conv["mismatches"]["indices"], conv["doubted"]["indices"]
    both = len(set(errors) & set(disputed))
    assert f"{both} of conv's {len(errors)} errors are on these images" in TEXT
    assert f"accuracy is {conv['undoubted']:.2f} % instead of {conv['accuracy']:.2f} %" in TEXT
    shared, disputed = {row["index"] for row in comparison["shared"]}, set(comparison["doubted"]["indices"])
    counts = f"All five models misclassify {len(shared)} images, and the label of {len(shared & disputed)}"
    assert counts in TEXT


def test_charts_of_the_pages_are_made_from_the_records():
    evaluation = record("conv-eval")
    curves = find_curves(ROOT / "records/conv.safetensors", evaluation["digest"])
    title = f"conv on mnist, test: {len(evaluation['mismatches']['indices'])} errors in 10,000 images"
    for path, chart in (
        ("docs/confusion.png", charts.confusion_chart(title, evaluation["confusion"])),
        ("docs/curves.png", charts.curves_chart("conv: learning curves", curves)),
    ):
        with Image.open(ROOT / path) as picture:
            assert np.array_equal(np.asarray(picture), chart.pixels()), path
