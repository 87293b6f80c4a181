"""Predictions for drawn images: most are right, and the recorded failures are still failures."""

import json
from pathlib import Path

import drawing

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
