"""Judging one net closely and several side by side: what is told is what their answers come to."""

import csv
import json
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from mnistctl.data import datasets
from mnistctl.evaluation import corruptions, statistics

OWN = ("--dataset", "own", "--data-dir")
DOUBTED = datasets.LabelIssues("somebody", "said so", (0, 3, 150))


@pytest.fixture
def three(mnistctl, own):
    """Nets a, b and c, trained for an epoch each."""
    for name, model, seed in (("a", "logit", 0), ("b", "logit", 1), ("c", "linear", 0)):
        words = ("train", model, "--epochs", "1", "--seed", str(seed), "--name", name, *OWN, str(own))
        assert mnistctl(*words).returncode == 0
    return [*OWN, str(own)]


def answers(path):
    """Labels, answers and logits, as --predictions has them."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    logits = [[float(row[f"logit{d}"]) for d in range(10)] for row in rows]
    return *(np.array([int(row[name]) for row in rows]) for name in ("label", "predicted")), np.array(logits)


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_nets_side_by_side_are_what_their_answers_come_to(mnistctl, three, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "label_issues", lambda *_: DOUBTED)
    alone, wrong, chances = {}, {}, []
    for name in "abc":
        ran = mnistctl("eval", name, *three, "--json", "--predictions", f"{name}.csv")
        assert ran.returncode == 0, ran.stderr
        alone[name] = json.loads(ran.stdout)
        labels, read, logits = answers(tmp_path / f"{name}.csv")
        wrong[name] = read != labels
        chances.append(softmax(logits))
    ran = mnistctl("eval", "a", "b", "c", *three, "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)

    assert [net["name"] for net in told["nets"]] == ["a", "b", "c"]
    for net in told["nets"]:
        for field in ("model", "digest", "loss", "accuracy", "undoubted", "ece"):
            assert net[field] == alone[net["name"]][field]
        assert net["undoubted"] == pytest.approx(
            100 - 100 * np.delete(wrong[net["name"]], [0, 3, 150]).mean()
        )
    mean = np.mean(chances, axis=0)
    assert told["ensemble"]["accuracy"] == 100 * (mean.argmax(1) == labels).mean()
    assert told["ensemble"]["loss"] == pytest.approx(-np.log(mean[np.arange(200), labels]).mean(), rel=1e-4)
    ps = []
    for pair, (first, second) in zip(told["pairs"], combinations("abc", 2), strict=True):
        counts = (wrong[first] & ~wrong[second]).sum(), (wrong[second] & ~wrong[first]).sum()
        assert (pair["first"], pair["second"]) == (first, second)
        assert (pair["only_first"], pair["only_second"]) == counts
        ps.append(stats.binomtest(int(counts[0]), int(sum(counts)), 0.5).pvalue)
    assert [pair["p"] for pair in told["pairs"]] == pytest.approx(ps)
    assert [pair["p_adjusted"] for pair in told["pairs"]] == pytest.approx(statistics.holm(ps))
    by_all = np.flatnonzero(wrong["a"] & wrong["b"] & wrong["c"])
    assert [row["index"] for row in told["shared"]] == by_all.tolist() != []
    assert all(answer != row["true"] for row in told["shared"] for answer in row["predicted"])
    assert told["paths"] == [f"out/a-b-c-eval-own-test-{name}.png" for name in ("calibration", "shared")]
    assert all((tmp_path / path).exists() for path in told["paths"])

    shown = mnistctl("eval", "a", "b", "c", *three)
    assert shown.stdout.splitlines()[0] == "3 nets on own, test: 200 digits"
    for name in "abc":
        assert f"{alone[name]['accuracy']:.2f} " in next(
            line for line in shown.stdout.splitlines() if line.startswith(f"{name} ")
        )
    assert f"misread by all: {len(by_all)} of 200" in shown.stdout
    quiet = mnistctl("eval", "a", "b", "c", *three, "--quiet").stdout.split()
    assert quiet == [f"{alone[name]['accuracy']:.2f}" for name in "abc"]


def test_corruptions_are_read_by_every_net_as_if_the_digits_were_so(mnistctl, three, tmp_path, own):
    told = json.loads(mnistctl("eval", "a", "c", *three, "--json", "--corrupt").stdout)
    assert [(row["kind"], row["strength"]) for row in told["corruptions"]] == [
        (kind.kind, strength) for kind in corruptions.CORRUPTIONS for strength in kind.strengths
    ]
    kind = corruptions.CORRUPTIONS[1]
    arrays, _ = datasets.load("own", own, "test")
    (tmp_path / "turned").mkdir()
    for file in own.iterdir():
        (tmp_path / "turned" / file.name).write_bytes(file.read_bytes())
    images = (tmp_path / "turned/t10k-images-idx3-ubyte").read_bytes()
    turned = images[:16] + kind.apply(arrays.images, kind.strengths[0]).tobytes()
    (tmp_path / "turned/t10k-images-idx3-ubyte").write_bytes(turned)
    for place, name in enumerate("ac"):
        ran = mnistctl("eval", name, "--dataset", "own", "--data-dir", "turned", "--json")
        (row,) = (row for row in told["corruptions"] if (row["kind"], row["strength"]) == ("rotation", 15))
        assert json.loads(ran.stdout)["accuracy"] == row["accuracies"][place]
    lines = mnistctl("eval", "a", *three, "--corrupt").stdout.splitlines()
    mean = np.mean([row["accuracies"][0] for row in told["corruptions"]])
    assert next(line for line in lines if line.startswith("mean ")).split() == ["mean", f"{mean:.2f}"]
    assert "wrote out/a-eval-own-test-corruptions.png" in lines


def test_doubted_labels_are_marked_wherever_mistakes_are(mnistctl, three, monkeypatch, tmp_path):
    plain = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert (plain["doubted"], plain["undoubted"]) == (None, None)
    unmarked = [(tmp_path / path).read_bytes() for path in plain["paths"]]
    missed = tuple(plain["mismatches"]["indices"][:2])
    monkeypatch.setattr(
        datasets, "label_issues", lambda *_: datasets.LabelIssues("somebody", "said so", missed)
    )
    marked = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert marked["doubted"]["indices"] == list(missed)
    assert marked["undoubted"] == pytest.approx(100 - 100 * (len(plain["mismatches"]["indices"]) - 2) / 198)
    assert marked["mismatches"] == plain["mismatches"]
    changed = [
        path
        for path, before in zip(plain["paths"], unmarked, strict=True)
        if (tmp_path / path).read_bytes() != before
    ]
    assert changed == ["out/a-eval-own-test.png", "out/a-eval-own-test-errors.png"]
    lines = mnistctl("eval", "a", *three).stdout.splitlines()
    assert sum(line.count("*") for line in lines if line[1:2] == "|") == 2
    assert f"without 2 digits whose labels are doubted: {marked['undoubted']:.2f} %" in lines


def test_labels_are_doubted_in_the_test_digits_of_mnist_alone():
    told = datasets.label_issues("mnist", "test")
    assert len(set(told.indices)) == 15
    assert sorted(told.indices) == list(told.indices)
    assert told.indices[-1] < 10_000
    assert datasets.label_issues("mnist", "train") is datasets.label_issues("sample", "test") is None


def test_a_net_has_its_curves_where_the_record_beside_it_is_its_own(mnistctl, three, tmp_path):
    out = tmp_path / "out"
    pictures = [f"out/a-eval-own-test{part}.png" for part in ("", "-confusion", "-calibration", "-errors")]
    told = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
    assert told["paths"] == [*pictures, "out/a-eval-own-test-curves.png"]
    assert told["notes"] == []
    before = [(tmp_path / path).read_bytes() for path in told["paths"]]
    mnistctl("eval", "a", *three)
    assert [(tmp_path / path).read_bytes() for path in told["paths"]] == before
    own_record = (out / "a.json").read_bytes()
    for other in (
        (out / "b.json").read_bytes(),
        own_record[:-40],
        own_record.replace(b'"loss', b'"lost', 1),
        None,
    ):
        (out / "a.json").unlink() if other is None else (out / "a.json").write_bytes(other)
        told = json.loads(mnistctl("eval", "a", *three, "--json").stdout)
        assert told["paths"] == pictures
        assert told["notes"] == ["learning curves: left out, since out/a.json is no record of this net"]
    with Image.open(out / "a-eval-own-test-confusion.png") as picture:
        assert picture.mode == "RGB"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "a"), "the same net twice"),
        (("a", "copies/a.safetensors"), "the same net twice"),
        (("a", "b", "--predictions", "p.csv"), "--predictions is for a single net only"),
        (("a", "b", "--judge", "a"), "--judge is for a generator only"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused_in_one_line(words, told, mnistctl, three, tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/a.safetensors").write_bytes((tmp_path / "out/a.safetensors").read_bytes())
    ran = mnistctl("eval", *words, *three)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert told in ran.stderr


def test_a_generator_is_judged_alone_and_reads_no_corruptions(mnistctl, three, tmp_path):
    words = ("train", "gan", "--epochs", "1", *three)
    assert mnistctl(*words, "--batch-size", "100", "--name", "g").returncode == 0
    for asked in (("g", "g"), ("a", "g")):
        ran = mnistctl("eval", *asked, *three)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert "g.safetensors: draws digits" in ran.stderr
    assert "--corrupt is for a classifier only" in mnistctl("eval", "g", *three, "--corrupt").stderr


def test_nets_of_one_name_are_told_by_their_paths(mnistctl, three, tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/a.safetensors").write_bytes((tmp_path / "out/b.safetensors").read_bytes())
    told = json.loads(mnistctl("eval", "a", "copies/a.safetensors", *three, "--json").stdout)
    assert [net["name"] for net in told["nets"]] == ["out/a.safetensors", "copies/a.safetensors"]
