"""Generate images: which, how many, and in which files."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.cli import app
from mnistctl.cli.errors import describe_error
from mnistctl.data import datasets
from mnistctl.errors import CheckpointError, MnistctlError, UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import classify_images, generate_images
from mnistctl.inference.generate import (
    GenerateOptions,
    generate_animation,
    generate_dataset,
    generate_grid,
    write_dataset,
)
from mnistctl.inference.sampling import TrainedGenerator, _slerp
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.seeding import derive_seed
from mnistctl.training.gan import GanTraining

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder of untrained nets: gan, cgan and, as reference classifier, conv."""
    folder = tmp_path_factory.mktemp("out")
    for name in models.GENERATORS:
        weights = GanTraining(models.load_generator(name), 0, CPU).net_state()
        checkpoint.save(folder / f"{name}.safetensors", checkpoint.NET, {"model": name}, weights)
    torch.manual_seed(0)
    weights = models.load_classifier("conv").net().state_dict()
    checkpoint.save(folder / "conv.safetensors", checkpoint.NET, {"model": "conv"}, weights)
    return folder


def options(out, model="cgan", **settings):
    return GenerateOptions(path=out / f"{model}.safetensors", **settings)


@pytest.mark.parametrize("model", models.GENERATORS)
def test_the_same_seed_gives_the_same_images_and_another_seed_others(model, out, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate_grid(options(out, model, seed=seed, count=7), tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("model", models.GENERATORS)
def test_an_image_is_the_same_in_every_sheet_that_has_it(model, out):
    generator = TrainedGenerator.load(out / f"{model}.safetensors")
    sheet = generator.draw(503, seed=3).images
    for count in (1, 2, 3, 4, 5, 6, 7, 9, 18, 501, 502):
        assert np.array_equal(generator.draw(count, seed=3).images, sheet[:count]), count


def test_no_image_is_alone_in_its_batch():
    """A batch of one has other kernels, and so other last bits."""
    sizes = []

    class Net(torch.nn.Linear):
        def forward(self, noise):
            sizes.append(len(noise))
            return torch.zeros(len(noise), 1, 28, 28)

    for count in (1, 2, 500, 501, 502, 1001):
        assert len(generate_images(Net(1, 1), torch.zeros(count, 1))) == count
    assert 1 not in sizes


def test_digits_are_generated_in_the_requested_order(out):
    result = generate_grid(options(out, digits=(2, 0, 2, 6)), None)
    assert result.digits == [2, 0, 2, 6]
    _, net = load.load_generator(out / "cgan.safetensors")
    torch.manual_seed(derive_seed(0))
    expected = generate_images(net, torch.randn(4, NOISE_SIZE, 1, 1), torch.tensor([2, 0, 2, 6])).numpy()
    assert np.abs(result.samples.images.astype(int) - expected).max() <= 1
    result = generate_grid(options(out, digits=(1, 3), each=3), None)
    assert result.digits == [1, 3] * 3
    result = generate_grid(options(out, each=2), None)
    assert result.digits == [*range(10), *range(10)]


@pytest.mark.parametrize(
    ("model", "settings", "cells"),
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
def test_a_grid_has_the_requested_rows_and_columns(model, settings, cells, out, tmp_path):
    generate_grid(options(out, model, **settings), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (2 + 30 * cells[1], 2 + 30 * cells[0])


def test_a_path_through_the_noise_has_constant_length_and_starts_and_ends_at_its_points():
    start, end = torch.randn(2, 5, NOISE_SIZE, 1, 1)
    torch.testing.assert_close(_slerp(start, end, 0.0), start)
    torch.testing.assert_close(_slerp(start, end, 1.0), end, rtol=1e-4, atol=1e-5)
    start, end = (10 * z / z.norm(dim=1, keepdim=True) for z in (start, end))
    for fraction in (0.1, 0.5, 0.8):
        torch.testing.assert_close(_slerp(start, end, fraction).norm(dim=1), torch.full((5, 1, 1), 10.0))


def test_an_animation_is_made_in_evaluation_mode():
    digit = nn.Sequential(nn.Embedding(10, 2), nn.Dropout(0.5), nn.Unflatten(1, (2, 1, 1)))
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(102, 784), nn.Unflatten(1, (1, 28, 28)))
    generator = TrainedGenerator("own", ConditionedNet(digit, trunk), "")
    frame = next(generator.morph(2, 0))
    generator.net.eval()
    assert np.array_equal(frame, next(generator.morph(2, 0)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": "4"}, "count '4': give a whole number, not str"),
        ({"seed": "1"}, "seed '1': give a whole number, not str"),
        ({"digits": [2, 10]}, r"digits \(2, 10\): give digits from 0 to 9"),
        ({"digits": [-1]}, r"digits \(-1,\): give digits from 0 to 9"),
        ({"digits": []}, r"digits \(\): give digits from 0 to 9"),
        ({"digits": "2026"}, "digits '2': give a whole number, not str"),
        ({"digits": [1.5]}, "digits 1.5: give a whole number, not float"),
    ],
)
def test_wrong_values_are_usage_errors(wrong, message, out):
    generator = TrainedGenerator.load(out / "cgan.safetensors")
    with pytest.raises(UsageError, match=message):
        generator.draw(**{"count": 4, "seed": 0} | wrong)
    with pytest.raises(UsageError, match=message):
        next(generator.morph(**{"count": 4, "seed": 0} | wrong))


def test_digits_may_be_an_array(out):
    generator = TrainedGenerator.load(out / "cgan.safetensors")
    drawn = generator.draw(np.int64(4), np.int64(0), np.array([2, 0, 2, 6]))
    assert np.array_equal(drawn.images, generator.draw(4, 0, [2, 0, 2, 6]).images)
    assert drawn.digits.tolist() == [2, 0, 2, 6]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), r"images ndarray float32 \(2, 28, 28\): give an array of uint8"),
        (np.zeros((28, 28), np.uint8), r"images ndarray uint8 \(28, 28\): give an array of uint8"),
        ([[0] * 28] * 28, "images list: give an array of uint8"),
        (np.zeros((0, 28, 28), np.uint8), "images 0: give one image or more"),
    ],
)
def test_images_of_another_type_are_not_classified(images, message):
    with pytest.raises(UsageError, match=message):
        classify_images(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), images)


@pytest.mark.parametrize("model", models.GENERATORS)
def test_an_animation_is_a_closed_path_of_small_steps(model, out, tmp_path):
    generator = TrainedGenerator.load(out / f"{model}.safetensors")
    frames = [frame.astype(float) for frame in generator.morph(4, 1, (3, 8) if model == "cgan" else None)]
    steps = [np.abs(b - a).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert 0 < max(steps) < 4 * np.mean(steps)
    generate_animation(options(out, model, count=4, columns=2), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.size == (62, 62)
        assert (image.n_frames, image.info["loop"]) == (120, 0)


def test_an_animation_of_one_digit_changes_its_handwriting(out, tmp_path):
    generator = TrainedGenerator.load(out / "cgan.safetensors")
    frames = list(generator.morph(2, seed=0, digits=[5]))
    assert len(frames) == 24
    assert all(frame.max() > 0 for frame in frames)
    assert all((a != b).any() for a, b in pairwise(frames))
    generate_animation(options(out, digits=(5,)), tmp_path / "five.gif")
    with Image.open(tmp_path / "five.gif") as image:
        assert image.n_frames == 24


def test_an_animation_starts_each_digit_with_its_own_image(out):
    generator = TrainedGenerator.load(out / "cgan.safetensors")
    frames = list(generator.morph(2, 5, (4, 7)))
    torch.manual_seed(derive_seed(5))
    points = torch.randn(2, 2, NOISE_SIZE, 1, 1)
    for stop, digit in enumerate((4, 7)):
        expected = (
            generate_images(generator.net, points[stop], torch.tensor([digit, digit])).numpy().astype(int)
        )
        assert np.abs(frames[12 * stop] - expected).max() <= 1


def test_a_generated_data_set_has_the_requested_digits_in_both_splits(out, tmp_path):
    result = generate_dataset(options(out, count=120), tmp_path)
    assert list(result.paths) == [tmp_path / file.name for file in datasets.get_dataset("own").files]
    for split, count in (("train", 100), ("test", 20)):
        arrays, _ = datasets.load("own", tmp_path, split)
        assert arrays.labels.tolist() == list(range(10)) * (count // 10)
        first = 0 if split == "train" else 100
        assert (arrays.images == result.samples.images[first : first + count]).all()


def test_an_unconditional_data_set_is_labelled_by_the_reference_classifier(out, tmp_path):
    result = generate_dataset(options(out, "gan", count=60), tmp_path, out_dir=out)
    _, classifier = load.load_classifier(out / "conv.safetensors")
    arrays, _ = datasets.load("own", tmp_path, "train")
    assert arrays.labels.tolist() == classify_images(classifier, result.samples.images)[:50].tolist()


def test_an_existing_data_set_is_not_overwritten(out, tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte\.gz exists already"):
        generate_dataset(options(out, count=60), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_two_images_are_a_data_set_and_one_is_too_few(out, tmp_path):
    generate_dataset(options(out, count=2), tmp_path / "two")
    splits = [datasets.load("own", tmp_path / "two", split)[0] for split in ("train", "test")]
    assert [arrays.labels.tolist() for arrays in splits] == [[0], [1]]
    with pytest.raises(UsageError, match="too few for a data set"):
        write_dataset(tmp_path, np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))


def test_a_missing_reference_classifier_is_reported_with_what_to_do(tmp_path):
    with pytest.raises(CheckpointError) as refused:
        load.find_reference_classifier(None, tmp_path)
    message = f"train one with `mnistctl train conv --out-dir {tmp_path}` or name another with --judge"
    assert message in describe_error(refused.value)


REFUSED = {
    "generate cgan --digits 20x6": (2, "--digits 20x6: give only digits"),
    "generate cgan --digits ''": (2, "give only digits"),
    "generate gan --digits 2026": (2, "gan cannot draw a requested digit; cgan can"),
    "generate gan --each 3": (2, "gan cannot draw a requested digit"),
    "generate cgan -n 0": (2, "-n 0: give 1 or more"),
    "generate cgan --each 0": (2, "--each 0"),
    "generate cgan --rows 0": (2, "--rows 0"),
    "generate cgan -n 3 --each 3": (2, "--each 3: cannot be combined with a number of images"),
    "generate cgan -n 10 --rows 2 --columns 3": (2, "-n 10: 2 rows of 3 have 6 cells"),
    "generate cgan -n 20000": (2, "-n 20000: a grid has at most 10,000 images, and this would have 20,000"),
    "generate cgan --rows 9999": (
        2,
        "--rows 9999: a grid has at most 10,000 images, and",
    ),
    "generate cgan --each 1001": (2, "--each 1001: a grid has at most 10,000 images"),
    "generate cgan --each 9 --rows 2 --columns 3": (2, "--each 9: 2 rows of 3 have 6 cells"),
    "generate cgan --scale 33": (2, "--scale 33: give 1 to 32"),
    "generate cgan --morph --scale 0": (2, "--scale 0: give 1 to 32"),
    "generate cgan --idx d -n 2000000": (2, "-n 2000000: a data set has 2 to 1,000,000 images"),
    "generate cgan --idx d -n 1": (2, "-n 1: a data set has 2 to 1,000,000 images, and this would have 1"),
    "generate cgan --idx d --each 200000": (2, "--each 200000: a data set has 2 to 1,000,000 images, and"),
    "generate cgan --idx d --each 1 --digits 3": (2, "--each 1: a data set has 2 to 1,000,000 images, and"),
    "generate cgan --seed -1": (2, "--seed -1: give 0 or more"),
    "generate cgan --seed 9223372036854775808": (2, "give 9,223,372,036,854,775,807 or less"),
    "eval cgan --seed 9223372036854775808 --judge conv": (2, "give 9,223,372,036,854,775,807 or less"),
    "generate cgan -n 10000 --scale 3": (2, "--scale 3: the picture would have 81,"),
    "generate cgan --morph --scale 32": (2, "2,057,502,720 pixels, more than 200,000,000; give 9 or less"),
    "generate cgan --idx d --judge conv": (2, "--judge conv: the images of cgan are labelled by"),
    "generate cgan --idx d --scale 2": (2, "--scale is only for image files"),
    "generate cgan --show --json": (2, "--show cannot be combined with --json"),
    "generate cgan --show --scale 2": (2, "--scale is only for image files; name one with --out"),
    "generate cgan --show --overwrite": (2, "--overwrite is only for image files; name one with --out"),
    "generate cgan --out a.jpg": (2, "--out a.jpg: a picture needs a name that ends in .png"),
    "generate cgan --morph --out a.png": (2, "ends in .gif"),
    "generate cgan --morph --show": (2, "give one of them"),
    "generate cgan --judge conv": (2, "--judge is only for --idx"),
    "generate cgan --idx d --out a.png": (2, "--out is only for image files"),
    "generate cgan --device cuda:9": (2, "CUDA devices"),
    "generate cgan --out file/a.png": (1, "file is not a folder"),
    "generate conv": (5, "conv is a classifier; generators are gan, cgan"),
    "generate logit": (2, "logit is a classifier; generators are gan, cgan"),
    "generate nothing": (5, "no trained model 'nothing' in"),
    "eval cgan --predictions a.csv": (2, "--predictions is only for a single classifier"),
    "eval cgan --split train": (2, "--split is only for classifiers"),
    "eval cgan --judge nothing": (5, "no trained model 'nothing' in"),
    "eval cgan --judge gan --dataset sample": (5, "gan is a generator"),
    "eval cgan -n 5 --dataset sample": (2, "-n 5: give 100 to 1,000,000"),
    "eval conv --judge conv --dataset sample": (2, "--judge is only for a generator"),
}


def test_more_digits_than_a_grid_has_cells_are_refused(out):
    with pytest.raises(UsageError) as refused:
        generate_grid(options(out, digits=(7,) * 10_001), None)
    message = "--digits: a grid has at most 10,000 images, and this would have 10,001"
    assert describe_error(refused.value) == message


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line_with_its_exit_code(words, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, message = REFUSED[words]
    arguments = [word.strip("'") for word in words.split(" ")]
    with pytest.raises(MnistctlError) as refused:
        app([*arguments, "--out-dir", str(out)], standalone_mode=False)
    assert refused.value.exit_code == code
    assert message in describe_error(refused.value)
    assert "\n" not in describe_error(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_generate_writes_a_grid_shows_images_and_prints_json(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def output(*words):
        app(["generate", "cgan", *words, "--out-dir", str(out)], standalone_mode=False)
        return capsys.readouterr().out

    assert output() == f"wrote {out}/cgan-generated.png\n"
    assert output("--show", "--digits", "70").splitlines()[0] == "7"
    body = json.loads(output("--digits", "70", "--seed", "2", "--out", "a.png", "--json"))
    assert (body["version"], body["model"], body["seed"], body["count"]) == (2, "cgan", 2, 2)
    assert (body["digits"], body["paths"]) == ([7, 0], ["a.png"])
    assert body["digest"] == TrainedGenerator.load(out / "cgan.safetensors").digest
