"""What a trained generator is asked for, and what it gives."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.cli import app
from mnistctl.data import datasets
from mnistctl.errors import CheckpointError, MnistctlError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import classify_images, generate_images
from mnistctl.inference.generate import (
    GenerateOptions,
    generate_animation,
    generate_dataset,
    generate_grid,
    parse_digits,
    write_dataset,
)
from mnistctl.inference.sampling import TrainedGenerator, _slerp
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.gan import GanTraining

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder of nets that have learned nothing: gan, cgan and, to judge by, conv."""
    folder = tmp_path_factory.mktemp("out")
    for name in models.GENERATORS:
        weights = GanTraining(models.load_generator(name), 0, CPU).net_state()
        checkpoint.save(folder / f"{name}.safetensors", checkpoint.NET, {"model": name}, weights)
    torch.manual_seed(0)
    weights = models.load_classifier("conv").net().state_dict()
    checkpoint.save(folder / "conv.safetensors", checkpoint.NET, {"model": "conv"}, weights)
    return folder


def request(out, model="cgan", **given):
    return GenerateOptions(path=out / f"{model}.safetensors", **given)


@pytest.mark.parametrize("model", models.GENERATORS)
def test_the_same_seed_draws_the_same_picture_and_another_seed_another(model, out, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate_grid(request(out, model, seed=seed, count=7), tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_digits_come_in_the_order_that_was_asked_for(out):
    made = generate_grid(request(out, digits=parse_digits("2026")), None)
    assert made.drawn.digits.tolist() == [2, 0, 2, 6]
    _, net = load.load_generator(out / "cgan.safetensors")
    torch.manual_seed(derive_seed(0))
    expected = generate_images(net, torch.randn(4, NOISE_SIZE, 1, 1), torch.tensor([2, 0, 2, 6])).numpy()
    assert np.abs(made.drawn.images.astype(int) - expected).max() <= 1
    made = generate_grid(request(out, digits=parse_digits("13"), each=3), None)
    assert made.drawn.digits.tolist() == [1, 3] * 3
    made = generate_grid(request(out, each=2), None)
    assert made.drawn.digits.tolist() == [*range(10), *range(10)]


@pytest.mark.parametrize(
    ("model", "given", "cells"),
    [
        ("gan", {}, (10, 6)),
        ("cgan", {}, (10, 10)),
        ("gan", {"count": 7}, (2, 6)),
        ("gan", {"count": 4}, (1, 4)),
        ("gan", {"count": 7, "rows": 2}, (2, 4)),
        ("gan", {"rows": 2, "columns": 3}, (2, 3)),
        ("gan", {"count": 5, "columns": 2}, (3, 2)),
        ("cgan", {"digits": (2, 0, 2, 6)}, (1, 4)),
        ("cgan", {"digits": (2, 0, 2, 6), "rows": 3}, (3, 4)),
        ("cgan", {"each": 3}, (3, 10)),
    ],
)
def test_a_sheet_has_the_rows_and_columns_that_were_asked_for(model, given, cells, out, tmp_path):
    generate_grid(request(out, model, **given), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2 + 30 * cells[1], 2 + 30 * cells[0])


def test_a_path_through_the_noise_keeps_its_length_and_meets_its_ends():
    here, there = torch.randn(2, 5, NOISE_SIZE, 1, 1)
    torch.testing.assert_close(_slerp(here, there, 0.0), here)
    torch.testing.assert_close(_slerp(here, there, 1.0), there, rtol=1e-4, atol=1e-5)
    here, there = (10 * z / z.norm(dim=1, keepdim=True) for z in (here, there))
    for share in (0.1, 0.5, 0.8):
        torch.testing.assert_close(_slerp(here, there, share).norm(dim=1), torch.full((5, 1, 1), 10.0))


@pytest.mark.parametrize("model", models.GENERATORS)
def test_a_morph_is_a_closed_path_of_small_steps(model, out, tmp_path):
    generator = TrainedGenerator.of(out / f"{model}.safetensors")
    frames = [frame.astype(float) for frame in generator.morph(4, 1, (3, 8) if model == "cgan" else None)]
    steps = [np.abs(b - a).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert 0 < max(steps) < 4 * np.mean(steps)
    generate_animation(request(out, model, count=4, columns=2), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.size == (62, 62)
        assert (picture.n_frames, picture.info["loop"]) == (120, 0)


def test_a_morph_begins_each_digit_as_it_is_drawn(out):
    generator = TrainedGenerator.of(out / "cgan.safetensors")
    frames = list(generator.morph(2, 5, (4, 7)))
    torch.manual_seed(derive_seed(5))
    points = torch.randn(2, 2, NOISE_SIZE, 1, 1)
    for leg, digit in enumerate((4, 7)):
        expected = (
            generate_images(generator.net, points[leg], torch.tensor([digit, digit])).numpy().astype(int)
        )
        assert np.abs(frames[12 * leg] - expected).max() <= 1


def test_a_data_set_can_be_trained_on_and_holds_what_was_asked_for(out, tmp_path):
    made = generate_dataset(request(out, count=120), tmp_path, judge=None)
    assert [path.path for path in made.saved] == [
        str(tmp_path / file.name) for file in datasets.get_dataset("own").files
    ]
    for split, count in (("train", 100), ("test", 20)):
        arrays, _ = datasets.load("own", tmp_path, split)
        assert arrays.labels.tolist() == list(range(10)) * (count // 10)
        first = 0 if split == "train" else 100
        assert (arrays.images == made.drawn.images[first : first + count]).all()


def test_of_gan_the_judge_says_what_the_labels_are(out, tmp_path):
    made = generate_dataset(
        request(out, "gan", count=60), tmp_path, judge=lambda: load.find_reference_classifier(None, out)
    )
    _, judge = load.load_classifier(out / "conv.safetensors")
    arrays, _ = datasets.load("own", tmp_path, "train")
    assert arrays.labels.tolist() == classify_images(judge, made.drawn.images)[:50].tolist()


def test_digits_that_stand_there_are_not_written_over(out, tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte\.gz: digits stand there already"):
        generate_dataset(request(out, count=60), tmp_path, judge=None)
    assert len(list(tmp_path.iterdir())) == 1


def test_one_picture_is_no_data_set(tmp_path):
    with pytest.raises(UsageError, match="too few for a data set"):
        write_dataset(tmp_path, np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))


def test_no_judge_is_told_with_the_way_to_one(tmp_path):
    with pytest.raises(
        CheckpointError, match="train one with `mnistctl train conv`, or name one with --judge"
    ):
        load.find_reference_classifier(None, tmp_path)


REFUSED = {
    "generate cgan --digits 20x6": (2, "--digits '20x6': give digits alone"),
    "generate cgan --digits ''": (2, "give digits alone"),
    "generate gan --digits 2026": (2, "gan cannot be asked for a digit; cgan can"),
    "generate gan --each 3": (2, "gan cannot be asked for a digit"),
    "generate cgan -n 0": (2, "-n 0: give 1 or more"),
    "generate cgan --each 0": (2, "--each 0"),
    "generate cgan --rows 0": (2, "--rows 0"),
    "generate cgan -n 3 --each 3": (2, "--each and -n both say how many"),
    "generate cgan -n 10 --rows 2 --columns 3": (2, "2 rows of 3 hold 6"),
    "generate cgan -n 20000": (2, "a sheet holds 10000 at most"),
    "generate cgan --idx d -n 2000000": (2, "-n 2000000: give 1 to 1000000"),
    "generate cgan --seed -1": (2, "--seed -1"),
    "generate cgan --out a.jpg": (2, "ends in .png"),
    "generate cgan --morph --out a.png": (2, "ends in .gif"),
    "generate cgan --morph --show": (2, "give one of them"),
    "generate cgan --idx d --out a.png": (2, "--out is for a picture"),
    "generate cgan --device cuda:9": (2, "CUDA devices"),
    "generate cgan --out file/a.png": (1, "file/a.png: cannot be written"),
    "generate conv": (5, "conv is a classifier; generators are gan, cgan"),
    "generate logit": (2, "logit is a classifier; generators are gan, cgan"),
    "generate nothing": (5, "no such net"),
    "eval cgan --predictions a.csv": (2, "--predictions is for a classifier only"),
    "eval cgan --split train": (2, "--split train is for a classifier only"),
    "eval cgan --judge nothing": (5, "nothing: no such net"),
    "eval cgan --judge gan --dataset sample": (5, "gan is a generator"),
    "eval cgan -n 5 --dataset sample": (2, "-n 5: too few to be judged"),
    "eval conv --judge conv --dataset sample": (2, "--judge is for a generator only"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line_with_its_exit_code(words, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, told = REFUSED[words]
    asked = [word.strip("'") for word in words.split(" ")]
    with pytest.raises(MnistctlError) as refused:
        app([*asked, "--out-dir", str(out)], standalone_mode=False)
    assert refused.value.exit_code == code
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_program_draws_shows_and_tells_as_json(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def told(*words):
        app(["generate", "cgan", *words, "--out-dir", str(out)], standalone_mode=False)
        return capsys.readouterr().out

    assert told() == f"wrote {out}/cgan-generated.png\n"
    assert told("--show", "--digits", "70").splitlines()[0] == "7"
    body = json.loads(told("--digits", "70", "--seed", "2", "--out", "a.png", "--json"))
    assert (body["version"], body["model"], body["seed"], body["count"]) == (1, "cgan", 2, 2)
    assert (body["digits"], body["paths"]) == ([7, 0], ["a.png"])
    assert body["digest"] == TrainedGenerator.of(out / "cgan.safetensors").digest
