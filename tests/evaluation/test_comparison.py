"""The command eval for one classifier and for several: every number follows from the predictions."""

import csv
import json
import re
import shutil
from itertools import combinations

import numpy as np
import pytest
from conftest import few_digits
from PIL import Image
from scipy import stats

from mnistctl.data import datasets
from mnistctl.evaluation import corruptions, statistics

OWN = ("--dataset", "own", "--data-dir")
ISSUES = datasets.LabelIssues("somebody", "said so", (0, 3, 150))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the first test keeps its trained models."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def three(mnistctl, own, trained, tmp_path):
    """Models a, b and c, each trained for an epoch. They are trained once and copied into each folder."""
    if (trained / "out").exists():
        shutil.copytree(trained / "out", tmp_path / "out")
        return [*OWN, str(own)]
    for name, model, seed in (("a", "logit", 0), ("b", "logit", 1), ("c", "linear", 0)):
        words = ("train", model, "--epochs", "1", "--seed", str(seed), "--name", name, *OWN, str(own))
        assert mnistctl(*words).returncode == 0
    shutil.copytree(tmp_path / "out", trained / "out")
    return [*OWN, str(own)]


def read_predictions(path):
    """Labels, predictions and logits from a file of --predictions."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    logits = [[float(row[f"logit{d}"]) for d in range(10)] for row in rows]
    return *(np.array([int(row[name]) for row in rows]) for name in ("label", "predicted")), np.array(logits)


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_the_comparison_follows_from_the_predictions(mnistctl, three, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "label_issues", lambda *_: ISSUES)
    single, wrong, probabilities = {}, {}, []
    for name in "abc":
        ran = mnistctl("eval", name, *three, "--json", "--predictions", f"{name}.csv")
        assert ran.returncode == 0, ran.stderr
        single[name] = json.loads(ran.stdout)
        labels, predicted, logits = read_predictions(tmp_path / f"{name}.csv")
        wrong[name] = predicted != labels
        probabilities.append(softmax(logits))
    ran = mnistctl("eval", "a", "b", "c", *three, "--json")
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)

    assert body["version"] == 2
    assert [net["name"] for net in body["nets"]] == ["a", "b", "c"]
    for net in body["nets"]:
        for key in ("model", "digest", "loss", "accuracy", "accuracy_without_label_issues", "ece"):
            assert net[key] == single[net["name"]][key]
        assert net["accuracy_without_label_issues"] == pytest.approx(
            100 - 100 * np.delete(wrong[net["name"]], [0, 3, 150]).mean()
        )
    mean = np.mean(probabilities, axis=0)
    assert body["ensemble"]["accuracy"] == 100 * (mean.argmax(1) == labels).mean()
    assert body["ensemble"]["loss"] == pytest.approx(-np.log(mean[np.arange(200), labels]).mean(), rel=1e-4)
    ps = []
    for pair, (first, second) in zip(body["pairs"], combinations("abc", 2), strict=True):
        counts = (wrong[first] & ~wrong[second]).sum(), (wrong[second] & ~wrong[first]).sum()
        assert (pair["first"], pair["second"]) == (first, second)
        assert (pair["only_first"], pair["only_second"]) == counts
        ps.append(stats.binomtest(int(counts[0]), int(sum(counts)), 0.5).pvalue)
    assert [pair["p"] for pair in body["pairs"]] == pytest.approx(ps)
    assert [pair["p_adjusted"] for pair in body["pairs"]] == pytest.approx(statistics.holm(ps))
    by_all = np.flatnonzero(wrong["a"] & wrong["b"] & wrong["c"])
    assert [row["index"] for row in body["misread_by_all"]] == by_all.tolist() != []
    assert all(digit != row["true"] for row in body["misread_by_all"] for digit in row["predicted"])
    assert body["paths"] == [
        f"out/a-b-c-eval-own-test-{name}.png" for name in ("calibration", "misread-by-all", "curves")
    ]
    assert all((tmp_path / path).exists() for path in body["paths"])

    shown = mnistctl("eval", "a", "b", "c", *three)
    assert shown.stdout.splitlines()[0] == "3 models on own, test: 200 images"
    for name in "abc":
        assert f"{single[name]['accuracy']:.2f} " in next(
            line for line in shown.stdout.splitlines() if line.startswith(f"{name} ")
        )
    assert f"errors common to all: {len(by_all)} of 200" in shown.stdout
    quiet = mnistctl("eval", "a", "b", "c", *three, "--quiet").stdout.split()
    assert quiet == [f"{single[name]['accuracy']:.2f}" for name in "abc"]


def test_accuracy_under_a_corruption_is_that_on_a_corrupted_data_set(mnistctl, three, tmp_path, own):
    body = json.loads(mnistctl("eval", "a", "c", *three, "--json", "--corrupt").stdout)
    assert [(row["kind"], row["severity"]) for row in body["corruptions"]] == [
        (each.kind, severity) for each in corruptions.CORRUPTIONS for severity in each.severities
    ]
    rotation = corruptions.CORRUPTIONS[1]
    arrays, _ = datasets.load("own", own, "test")
    (tmp_path / "rotated").mkdir()
    for file in own.iterdir():
        (tmp_path / "rotated" / file.name).write_bytes(file.read_bytes())
    images = (tmp_path / "rotated/t10k-images-idx3-ubyte").read_bytes()
    rotated = images[:16] + rotation.apply(arrays.images, rotation.severities[0]).tobytes()
    (tmp_path / "rotated/t10k-images-idx3-ubyte").write_bytes(rotated)
    for index, name in enumerate("ac"):
        ran = mnistctl("eval", name, "--dataset", "own", "--data-dir", "rotated", "--json")
        (row,) = (row for row in body["corruptions"] if (row["kind"], row["severity"]) == ("rotation", 15))
        assert json.loads(ran.stdout)["accuracy"] == row["accuracies"][index]
    lines = mnistctl("eval", "a", *three, "--corrupt").stdout.splitlines()
    mean = np.mean([row["accuracies"][0] for row in body["corruptions"]])
    assert next(line for line in lines if line.startswith("mean ")).split() == ["mean", f"{mean:.2f}"]
    assert "wrote out/a-eval-own-test-corruptions.png" in lines


@pytest.mark.charts
def test_disputed_labels_are_marked_in_tables_and_figures(mnistctl, three, monkeypatch, tmp_path):
    plain = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert (plain["label_issues"], plain["accuracy_without_label_issues"]) == (None, None)
    unmarked = [(tmp_path / path).read_bytes() for path in plain["paths"]]
    errors = tuple(plain["mismatches"]["indices"][:2])
    monkeypatch.setattr(
        datasets, "label_issues", lambda *_: datasets.LabelIssues("somebody", "said so", errors)
    )
    marked = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert marked["label_issues"]["indices"] == list(errors)
    accuracy = marked["accuracy_without_label_issues"]
    assert accuracy == pytest.approx(100 - 100 * (len(plain["mismatches"]["indices"]) - 2) / 198)
    assert marked["mismatches"] == plain["mismatches"]
    changed = [
        path
        for path, before in zip(plain["paths"], unmarked, strict=True)
        if (tmp_path / path).read_bytes() != before
    ]
    assert changed == ["out/a-eval-own-test.png", "out/a-eval-own-test-confidence-extremes.png"]
    lines = mnistctl("eval", "a", *three).stdout.splitlines()
    stars = sum(line.count("*") for line in lines if line[1:2] == "|")
    counted = [int(n) for line in lines for n in re.findall(r"\((\d+)\*\)", line)]
    assert stars - len(counted) + sum(counted) == 2  # a digit with many errors has the number of its stars
    assert f"accuracy without 2 test images with disputed labels: {accuracy:.2f} %" in lines


def test_learning_curves_are_drawn_only_from_the_record_of_the_same_net(mnistctl, three, tmp_path):
    out = tmp_path / "out"
    endings = ("", "-confusion", "-calibration", "-confidence-extremes")
    figures = [f"out/a-eval-own-test{ending}.png" for ending in endings]
    body = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert body["paths"] == [*figures, "out/a-eval-own-test-curves.png"]
    assert body["notes"] == []
    before = [(tmp_path / path).read_bytes() for path in body["paths"]]
    mnistctl("eval", "a", *three)
    assert [(tmp_path / path).read_bytes() for path in body["paths"]] == before
    record = (out / "a.json").read_bytes()
    for other in ((out / "b.json").read_bytes(), record[:-40], record.replace(b'"loss', b'"lost', 1), None):
        (out / "a.json").unlink() if other is None else (out / "a.json").write_bytes(other)
        body = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
        assert body["paths"] == figures
        reason = "is missing" if other is None else "is not the record of this net"
        assert body["notes"] == [f"no learning curves: out/a.json {reason}"]
    with Image.open(out / "a-eval-own-test-confusion.png") as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "a"), "are the same net"),
        (("a", "copies/a.safetensors"), "are the same net"),
        (("a", "b", "--predictions", "p.csv"), "--predictions is only for a single classifier"),
        (("a", "b", "--judge", "a"), "--judge is only for a generator"),
        (("a", "b", "--image", "a.png"), "--image is only for a single classifier"),
        (("a", "--min-confidence", "0.5"), "--min-confidence needs --image"),
        (("a", "-n", "5"), "-n is only for a generator"),
    ],
)
def test_options_that_do_not_apply_are_refused_in_one_line(words, message, mnistctl, three, tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/a.safetensors").write_bytes((tmp_path / "out/a.safetensors").read_bytes())
    ran = mnistctl("eval", *words, *three)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert message in ran.stderr


def test_a_generator_is_not_compared_and_not_evaluated_on_corruptions(mnistctl, three, tmp_path):
    few_digits(tmp_path / "few", 60, 20)
    words = ("train", "gan", "--epochs", "1", *OWN, "few", "--batch-size", "30", "--name", "g")
    assert mnistctl(*words).returncode == 0
    for names in (("g", "g"), ("a", "g")):
        ran = mnistctl("eval", *names, *three)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert "g.safetensors is a generator, which cannot be compared" in ran.stderr
    refused = "--corrupt is only for classifiers"
    assert refused in mnistctl("eval", "g", *three, "--corrupt").stderr


def test_models_with_the_same_file_name_are_named_by_their_paths(mnistctl, three, tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/a.safetensors").write_bytes((tmp_path / "out/b.safetensors").read_bytes())
    body = json.loads(mnistctl("eval", "a", "copies/a.safetensors", *three, "--json").stdout)
    assert [net["name"] for net in body["nets"]] == ["out/a.safetensors", "copies/a.safetensors"]
