"""docs/generators.md: losses, metrics and pictures equal the records."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint, grids
from mnistctl.inference import load
from mnistctl.inference.forward import generate_images
from mnistctl.training.gan import fixed_inputs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/generators.md").read_text()
LINES, TEXT = PAGE.splitlines(), " ".join(PAGE.split())
FORMATS = {"frechet": ".3f", "density": ".3f", "coverage": ".3f", "copies": ".2f", "entropy": ".3f"}


def record(name):
    return json.loads((ROOT / f"records/{name}.json").read_text())


def test_losses_are_the_recorded_ones():
    runs = {model: record(model) for model in models.GENERATORS}
    for model, run in runs.items():
        assert (run["model"], run["dataset"]["name"]) == (model, "mnist")
        assert run["command"] == f"mnistctl train {model} --threads 1 --precision bf16"
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE, re.M)
    assert [int(epoch) for epoch, _ in rows] == list(range(1, 21))
    for index, (_, row) in enumerate(rows):
        shown = [float(cell) for cell in row.split("|")[1::2]]
        recorded = [
            run[f"{net}_losses"][index] for run in runs.values() for net in ("discriminator", "generator")
        ]
        assert shown == [round(loss, 3) for loss in recorded]


def test_evaluations_are_of_the_recorded_weights():
    for model in models.GENERATORS:
        evaluation = record(f"{model}-eval")
        assert evaluation["judge"]["digest"] == record("conv")["digest"]
        assert evaluation["judge"]["path"] == "records/conv.safetensors"
        assert (evaluation["dataset"], evaluation["digits"], evaluation["seed"]) == ("mnist", 10_000, 0)
        net = load.load_generator(ROOT / f"records/{model}.safetensors")[1]
        assert evaluation["digest"] == checkpoint.digest(net.state_dict())
        weights = checkpoint.load(ROOT / f"records/{model}.safetensors", checkpoint.NET)[1]
        assert record(model)["digest"] == checkpoint.digest(weights)


def test_metrics_are_the_recorded_ones():
    gan, cgan = (record(f"{model}-eval") for model in ("gan", "cgan"))
    rows = {row.split("|")[1].strip(): row for row in reversed(LINES) if row.startswith("| ")}
    titles = ("Fréchet distance", "density", "coverage", "near-duplicates, %", "class entropy, bits")
    metrics = PAGE.split("## Quality")[1].split("## The metrics")[0].splitlines()
    for title, (name, form) in zip(titles, FORMATS.items(), strict=True):
        real = f"{gan[f'{name}_floor']:{form}}"
        values = [f"{evaluation[name]['value']:{form}}" for evaluation in (gan, cgan)]
        spans = [f"{e[name]['low']:{form}} to {e[name]['high']:{form}}" for e in (gan, cgan)]
        row = f"| {title} | {values[0]} | {spans[0]} | {values[1]} | {spans[1]} | {real} |"
        assert row in metrics
    accuracy, span = cgan["asked"], "{low:.2f} to {high:.2f}".format(**cgan["asked"])
    real = cgan["judge"]["accuracy"]
    assert f"| conditional accuracy, % | | | {accuracy['value']:.2f} | {span} | {real:.2f} |" in metrics
    shares = " | ".join(f"{100 * count / gan['digits']:.2f}" for count in gan["classes"])
    assert rows["gan: share of its samples, %"] == f"| gan: share of its samples, % | {shares} |"
    by_digit = " | ".join(f"{share:.2f}" for share in cgan["asked_by_digit"])
    assert rows["cgan: conditional accuracy, %"] == f"| cgan: conditional accuracy, % | {by_digit} |"


def test_sanity_check_of_the_metrics_is_the_recorded_one():
    for name, row in record("sanity")["kinds"].items():
        cells = [f"{row[metric]:.3f}" for metric in ("frechet", "density", "coverage", "entropy")]
        assert f"| {name} | {' | '.join(cells)} | {row['copies']:.2f} |" in LINES


def test_accuracy_after_training_on_generated_images_is_the_recorded_one():
    run, evaluation = record("conv-drawn"), record("conv-drawn-eval")
    assert run["command"] == "mnistctl train conv --epochs 10 --dataset own --name conv-drawn"
    assert (evaluation["dataset"], evaluation["digest"]) == ("mnist", run["digest"])
    assert f"`conv` reaches {evaluation['accuracy']:.2f} % on the real MNIST test set" in TEXT
    assert "Trained for 10 epochs on 60,000 `cgan` samples" in TEXT
    assert f"{run['accuracy']:.2f} % on 12,000 other samples" in TEXT


@pytest.mark.parametrize("model", models.GENERATORS)
def test_pictures_are_generated_by_the_recorded_weights(model):
    net = load.load_generator(ROOT / f"records/{model}.safetensors")[1]
    images = generate_images(net, *fixed_inputs(models.load_generator(model), 0)).numpy()
    expected = grids.make_grid(images, 10 if model == "cgan" else 6).astype(int)
    with Image.open(ROOT / f"docs/{model}20.png") as grid:
        assert np.abs(np.asarray(grid) - expected).max() <= 2
    with Image.open(ROOT / f"docs/{model}.gif") as animation:
        assert animation.n_frames == 20
        animation.seek(19)
        assert np.abs(np.asarray(animation.convert("L")) - expected).max() <= 11  # 16 greys


def test_2026_is_what_the_command_next_to_it_generates(mnistctl, tmp_path):
    weights = str(ROOT / "records/cgan.safetensors")
    ran = mnistctl("generate", weights, "--digits", "2026", "--out", "2026.png")
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "2026.png") as generated, Image.open(ROOT / "docs/2026.png") as shown:
        assert np.abs(np.asarray(generated).astype(int) - np.asarray(shown)).max() <= 2
