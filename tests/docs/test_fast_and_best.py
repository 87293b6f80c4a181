"""docs/fast-and-best.md: every figure equals its record."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.inference import load
from mnistctl.models.summary import summarize_recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fast-and-best.md").read_text()
LINES, TEXT = PAGE.splitlines(), " ".join(PAGE.split())
SEARCH = {
    "small-a": "5x5 and three of 3x3, 24, 48, 96 channels",
    "deep-a": "five of 3x3, 16, 16, 32, 32, 64 channels",
    "small-40": "as the first, with elastic 0.5",
    "wide-15": "as the first, 32, 64, 128 channels",
    "wide-15-strong": "the same, more augmentation",
    "wide-15-swa": "the same, elastic 0.5, averaged",
    "wide-15-swa-more": "12 more epochs of the fourth, elastic, stroke 0.5, constant rate 0.0007, averaged",
    "wide-40-swa": "as the first, 48, 96, 192 channels, elastic and stroke 0.5, averaged",
    "swa-80": "as the fourth, elastic and stroke 0.5, averaged",
}


def record(name):
    return json.loads((ROOT / f"records/{name}.json").read_text())


def test_recipe_of_fast_was_swept_and_its_picture_is_the_recorded_one():
    sweep = record("search/sweep-fast")
    arms = {arm["model"]: arm for arm in sweep["arms"]}
    for name, smoothing in (("fast", 0.05), *((f"fast-label_smoothing={n}", n) for n in (0.0, 0.02, 0.1))):
        arm = arms[name]
        assert f"| {smoothing:g} | {arm['mean']:.3f} | {arm['sd']:.3f} |" in LINES
    assert f"`{sweep['command']}`".replace(" --holdout 10000", "") in TEXT
    shown, drawn = (
        Image.open(ROOT / path) for path in ("docs/sweep-fast.png", "records/search/sweep-fast.png")
    )
    assert np.array_equal(np.asarray(shown), np.asarray(drawn))


def count_multiply_adds(name):
    """Of one image: each weight of a convolution counts once for every pixel of its output."""
    total = 0

    def count(module, _, output):
        nonlocal total
        pixels = output[0, 0].numel() if output.ndim == 4 else 1
        total += module.weight.numel() * pixels

    net = models.load_classifier(name).net().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    net(torch.zeros(1, 1, 28, 28))
    return total


def test_multiply_adds_of_fast_and_conv_are_those_of_their_layers():
    fast, conv = (count_multiply_adds(name) for name in ("fast", "conv"))
    assert 2 * conv == pytest.approx(1e6 * record("scoring")["models"]["conv"]["megaflop_per_image"])
    assert (
        f"{fast / 1e6:.2f} million multiply-adds for an image; conv's takes {conv / 1e6:.2f} million" in TEXT
    )


def test_gain_of_label_smoothing_is_the_recorded_one():
    arms = {arm["model"]: arm["mean"] for arm in record("search/sweep-fast")["arms"]}
    without, *others = (arms[f"fast-label_smoothing={n}"] for n in (0.0, 0.02, 0.1))
    assert f"Label smoothing of 0.05 gains {arms['fast'] - without:.2f} points." in TEXT
    assert max(abs(arms["fast"] - other) for other in others) < 0.05


def test_times_of_fast_are_the_recorded_ones():
    times, trials = record("fast-time"), record("trials-fast-20")["arms"][0]
    assert min(times["fast"]["mean"], trials["mean"]) >= 99
    assert f"a mean of {trials['mean']:.3f} % of the test images (SD {trials['sd']:.3f};" in TEXT
    for name in ("fast", "conv", "conv of the first version"):
        row = times[name]
        low, median, high = row["fast_over_this"]
        ratio = f"{median:.2f} ({low:.2f} to {high:.2f})" if name != "fast" else ""
        assert f"| {name} | {row['median_seconds']:.2f} | {row['mean']:.2f} | {ratio} |" in LINES
    assert times["conv of the first version"]["fast_over_this"][2] <= 0.65
    assert f"({times['fast']['mean']:.2f} and {trials['mean']:.2f} %)" in TEXT
    assert (times["machine"]["threads"], record("trials-fast-20")["threads"]) == (2, 1)


def test_search_is_the_recorded_one_and_never_scored_the_test_set():
    for name, what in SEARCH.items():
        run = record(f"search/{name}")
        assert run["holdout"]["count"] == 10_000
        assert not run.get("test_losses")
        averages = run.get("swa", [])
        loss = averages[-1]["validation_loss"] if averages else run["validation_losses"][-1]
        cells = (
            what,
            f"{run['parameters']:,}",
            run["recipe"]["epochs"],
            f"{run['accuracy']:.2f}",
            f"{loss:.4f}",
        )
        minutes = f"{run['processor_seconds'] / 60:.0f}"
        assert f"| `{name}` | {' | '.join(map(str, cells))} | {minutes} |" in LINES
    error = 100 * (0.9965 * 0.0035 / 10_000) ** 0.5
    assert f"99.65 % over 10,000 images has a standard error of {error:.2f} points" in TEXT
    last, average = record("search/swa-80"), record("search/swa-80")["swa"][-1]
    loss, accuracy = last["validation_losses"][-1], last["accuracies"][-1]
    assert f"had a loss of {loss:.4f} and an accuracy of {accuracy:.2f} % there" in TEXT
    assert f"there, the average {average['validation_loss']:.4f} and {average['accuracy']:.2f} %" in TEXT


def test_accuracies_of_best_are_the_recorded_ones():
    runs = [record(f"best{seed}") for seed in ("", "-1", "-2", "-3")]
    accuracies = [run["accuracy"] for run in runs]
    assert [run["seed"] for run in runs] == [0, 1, 2, 3]
    recipe = json.loads(json.dumps(summarize_recipe(models.load("best")).to_json()))
    for run in runs:
        assert (run["model"], run["dataset"]["name"], run.get("holdout")) == ("best", "mnist", None)
        assert all(recipe[key] == value for key, value in run["recipe"].items())
    assert f"four seeds have {', '.join(f'{a:.2f}' for a in accuracies)} % of the test images" in TEXT
    assert f"a mean of {statistics.mean(accuracies):.3f} (SD {statistics.stdev(accuracies):.3f};" in TEXT
    first = [record(f"search/best-40{seed}")["accuracy"] for seed in ("", "-1", "-2", "-3")]
    assert "had {:.2f}, {:.2f}, {:.2f} and {:.2f} % of the test images".format(*first) in TEXT
    minutes = statistics.mean(run["processor_seconds"] for run in runs) / 60
    assert f"about {minutes:.0f} minutes of processor time" in TEXT


def test_evaluations_are_of_the_recorded_weights():
    weights = load.load_classifier(ROOT / "records/best.safetensors")[1].state_dict()
    digest = checkpoint.digest(weights)
    assert digest == record("best")["digest"] == record("handwriting-best")["digest"]
    assert digest in [net["digest"] for net in record("best-corruptions")["nets"]]


def test_accuracies_on_corrupted_images_are_the_recorded_ones():
    rows = record("best-corruptions")["corruptions"]
    assert len(rows) == 18
    for row in rows:
        best, conv = (f"{accuracy:.2f}" for accuracy in row["accuracies"])
        about = f"{row['kind']}, {row['severity']:g} {row['unit']}"
        assert f"| {about} | {best} | {conv} |" in LINES


def test_accuracies_on_handwriting_are_the_recorded_ones():
    conv, best = (record(name)["columns"]["steps"] for name in ("handwriting", "handwriting-best"))
    for name, found in (("conv", conv), ("best", best)):
        cells = [*(f"{share:.2f}" for share in found["kinds"].values()), f"{found['accuracy']:.2f}"]
        cells += [f"{found['mean_over_sources']:.2f}"]
        assert f"| {name} | {' | '.join(cells)} |" in LINES
    assert f"`best` reads {best['accuracy']:.2f} % right, and conv {conv['accuracy']:.2f} %" in TEXT
