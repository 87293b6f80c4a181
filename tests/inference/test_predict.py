"""Predictions for drawn images: most are right, and the recorded failures are still failures."""

import json
from pathlib import Path

import drawing
import numpy as np
import pytest
from digit_images import DIGITS, enlarged

from mnistctl.artifacts import checkpoint
from mnistctl.data.datasets import Arrays, load
from mnistctl.data.training_set import describe_training_set
from mnistctl.inference.predict import predict_images

RECORDS = Path(__file__).parents[2] / "records"
CONV = RECORDS / "conv.safetensors"


def test_drawn_images_are_recognized(tmp_path):
    """Ten in fifty of those that bench/images.py evaluates, in a small size."""
    drawings = [drawing.drawing(n, 120) for n in range(drawing.COUNT) if n // 10 % 5 == 0]
    for n, drawn in enumerate(drawings):
        drawn.picture.save(tmp_path / f"{n:03}.{drawn.ending}")
    predictions = predict_images(CONV, [tmp_path]).images
    right = [image.digit == drawn.digit for image, drawn in zip(predictions, drawings, strict=True)]
    assert len(drawings) >= 60
    assert sum(right) >= 0.9 * len(drawings)


def test_recorded_failures_are_still_failures(tmp_path):
    failures = json.loads((RECORDS / "images.json").read_text())["drawn"]["failures"]
    for failure in failures:
        drawn = drawing.drawing(failure["number"])
        drawn.picture.save(tmp_path / f"drawn.{drawn.ending}", quality=90)
        (image,) = predict_images(CONV, [tmp_path / f"drawn.{drawn.ending}"]).images
        assert (drawn.digit, drawn.how) == (failure["digit"], failure["how"])
        assert image.digit != drawn.digit


def test_drawing_depends_only_on_its_number():
    first, again, other = drawing.drawing(40), drawing.drawing(40), drawing.drawing(50)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.picture.tobytes() != other.picture.tobytes()


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        (lambda images: images, lambda images: images),
        (lambda images: 255 - images, lambda images: 255 - images),
        (lambda images: 255 - images.swapaxes(1, 2), lambda images: 255 - images.swapaxes(1, 2)),
    ],
)
def test_images_are_shown_to_the_net_as_its_training_digits_were(change, undo, tmp_path):
    """Such as black on white: the same pictures, whatever their own colours are."""
    weights = checkpoint.load(CONV, checkpoint.NET)[1]
    train, _ = load("sample", None, "train")
    changed = Arrays(np.ascontiguousarray(change(train.images)), train.labels)
    header = {"model": "conv", "training_set": describe_training_set(changed, "own").to_json()}
    checkpoint.save(tmp_path / "net.safetensors", checkpoint.NET, header, weights)
    (tmp_path / "images").mkdir()
    for n in range(4):
        enlarged(n, inverted=n % 2 == 0).save(tmp_path / f"images/{n}.png")
    inputs = np.concatenate(predict_images(tmp_path / "net.safetensors", [tmp_path / "images"]).inputs)
    usual = np.concatenate(predict_images(CONV, [tmp_path / "images"]).inputs)
    assert (undo(inputs) == usual).all()
    assert [int(digit) for digit in DIGITS.labels[:4]] == [
        image.digit for image in predict_images(CONV, [tmp_path / "images"]).images
    ]
