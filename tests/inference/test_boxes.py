"""The picture of the boxes around digits."""

from pathlib import Path

import numpy as np
from number_images import picture
from PIL import Image

from mnistctl.inference import boxes
from mnistctl.inference.boxes import save_boxes
from mnistctl.inference.predict import predict_images

CONV = Path(__file__).parents[2] / "records/conv.safetensors"


def test_boxes_are_green_or_red_if_unsure(tmp_path):
    picture("306").save(tmp_path / "number.png")
    colours = []
    for minimum in (0.0, 1.0):
        predictions = predict_images(CONV, [tmp_path / "number.png"], min_confidence=minimum)
        assert save_boxes(tmp_path / "boxes.png", predictions) == 1
        pixels = np.asarray(Image.open(tmp_path / "boxes.png")).astype(int)
        coloured = pixels[np.ptp(pixels, -1) > 60]
        colours.append((coloured[:, 0] > coloured[:, 1]).mean())
    assert colours[0] < 0.1
    assert colours[1] > 0.9


def height_of(path):
    with Image.open(path) as image:
        return image.height


def test_picture_has_whole_images_as_far_as_there_is_room_and_the_command_says_how_many(
    mnistctl, tmp_path, monkeypatch
):
    for name in "abc":
        picture("3").save(tmp_path / f"{name}.png")
    words = ("eval", str(CONV), "--image", str(tmp_path), "--quiet", "--boxes")
    (tmp_path / "out").mkdir()
    assert mnistctl(*words, "out/all.png").stderr == ""
    height = height_of(tmp_path / "out/all.png") // 3
    monkeypatch.setattr(boxes, "_MAX_ROWS", 3 * height - 1)
    ran = mnistctl(*words, "out/two.png")
    assert ran.returncode == 0
    assert ran.stderr == "mnistctl: warning: out/two.png has the first 2 of 3 images\n"
    assert height_of(tmp_path / "out/two.png") == 2 * height
