"""The picture of the boxes around digits."""

from pathlib import Path

import numpy as np
from number_images import picture
from PIL import Image

from mnistctl.inference.boxes import save_boxes
from mnistctl.inference.predict import predict_images

CONV = Path(__file__).parents[2] / "records/conv.safetensors"


def test_boxes_are_green_or_red_if_unsure(tmp_path):
    picture("306").save(tmp_path / "number.png")
    colours = []
    for minimum in (0.0, 1.0):
        predictions = predict_images(CONV, [tmp_path / "number.png"], min_confidence=minimum)
        assert save_boxes(tmp_path / "boxes.png", predictions) == [tmp_path / "boxes.png"]
        pixels = np.asarray(Image.open(tmp_path / "boxes.png")).astype(int)
        coloured = pixels[np.ptp(pixels, -1) > 60]
        colours.append((coloured[:, 0] > coloured[:, 1]).mean())
    assert colours[0] < 0.1
    assert colours[1] > 0.9
