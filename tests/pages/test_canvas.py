"""Drawings become pictures as MNIST was made, the same in the page's JavaScript and from image files.

drawings.json has drawings as strokes, and for each the picture that the steps in docs/page.md give, in
base64; null if there is no digit. A stroke is a line through points with round ends. The ink of a pixel is
0.5 + width / 2 - its distance from the line, at least 0 and at most 1, times `ink`. Where strokes cross, the
larger ink counts. Its grey is 255 * (1 - ink), rounded.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from mnistctl.data.photos import find_ink
from mnistctl.inference.reading import find_digits

DRAWINGS = json.loads(Path(__file__).with_name("drawings.json").read_text())
PREPARE = """(given) => {
    const { greys, width, height } = JSON.parse(given);
    const picture = prepareDrawing(Uint8Array.from(greys), width, height);
    return picture && Array.from(picture);
}"""


def render(drawing) -> np.ndarray:
    """The greys of a drawing, uint8 [height, width]."""
    y, x = np.mgrid[: drawing["height"], : drawing["width"]] + 0.5
    ink = np.zeros(x.shape)
    for stroke in drawing["strokes"]:
        points = np.array(stroke["points"], float)
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[-1]], strict=True):
            along = (x - ax) * (bx - ax) + (y - ay) * (by - ay)
            share = np.clip(along / max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9), 0, 1)
            distance = np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay))
            darkness = stroke["ink"] * np.clip(0.5 + stroke["width"] / 2 - distance, 0, 1)
            ink = np.maximum(ink, darkness)
    return np.rint(255 * (1 - ink)).astype(np.uint8)


def picture(drawing) -> np.ndarray | None:
    """The expected picture, int [28, 28]; None if there is no digit."""
    if drawing["picture"] is None:
        return None
    return np.frombuffer(base64.b64decode(drawing["picture"]), np.uint8).reshape(28, 28).astype(int)


def in_page(scripts, greys):
    """The picture that the page's JavaScript gives for a drawing."""
    height, width = greys.shape
    given = json.dumps({"greys": greys.ravel().tolist(), "width": width, "height": height})
    found = scripts.evaluate(PREPARE, given)
    return None if found is None else np.array(found).reshape(28, 28)


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing["name"])
def test_the_page_prepares_a_drawing_as_specified(scripts, drawing):
    found, expected = in_page(scripts, render(drawing)), picture(drawing)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing["name"])
def test_an_image_file_is_prepared_as_specified(drawing):
    ink = find_ink(render(drawing).astype(np.float32))
    found, expected = find_digits(*ink)[0], picture(drawing)
    assert len(found) == (expected is not None)
    if expected is not None:
        assert np.abs(found[0].image - expected).max() <= 1


def test_a_drawing_is_prepared_the_same_anywhere_on_the_canvas(scripts):
    greys = render(DRAWINGS[0])
    pictures = [in_page(scripts, np.roll(greys, (down, right), (0, 1))) for down, right in ((0, 0), (9, -7))]
    assert np.array_equal(*pictures)
