"""The digit is separated from shadows, lines, a table and dust; an empty page has no digit."""

import numpy as np
import pytest
from digit_images import DIGITS, enlarged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from mnistctl.data import photos, segmentation


def paper(n, margin=60):
    """Digit `n` of the sample in the middle of a page: float32 [rows, columns]."""
    return np.pad(np.asarray(enlarged(n, 7, 0), np.float32), margin, constant_values=255)


def shaded(page):
    return page * np.linspace(0.35, 1, page.shape[1], dtype=np.float32)


def ruled(page):
    page = page.copy()
    for row in range(15, len(page), 45):
        page[row : row + 2] = np.minimum(page[row : row + 2], 150)
    return page


def squared(page):
    return np.minimum(ruled(page), ruled(page.T).T)


def framed(page):
    page = page.copy()
    page[:4] = page[:, -9:] = 40
    return page


def specked(page):
    rng, page = np.random.default_rng(0), page.copy()
    for row, column in rng.integers(0, len(page) - 4, (30, 2)):
        page[row : row + 4, column : column + 4] = 50
    return page


def on_table(page):
    return np.pad(page, 70, constant_values=50)


def noisy(page):
    return page * 0.6 + np.random.default_rng(0).normal(40, 12, page.shape).astype(np.float32)


@pytest.mark.parametrize("disturb", [shaded, ruled, squared, framed, specked, on_table, noisy])
def test_disturbances_are_removed(disturb):
    plain = [photos.to_mnist(paper(n)) for n in range(6)]
    disturbed = [photos.to_mnist(disturb(paper(n)).clip(0, 255)) for n in range(6)]
    differences = [
        np.abs(d.astype(int) - p).sum() / p.sum(dtype=int) for d, p in zip(disturbed, plain, strict=True)
    ]
    assert np.median(differences) < 0.25
    assert max(differences) < 0.7


def cropped(n):
    """Digit `n` of the sample, cropped to its strokes: uint8 [rows, columns]."""
    digit = DIGITS.images[n]
    rows, columns = (np.flatnonzero((digit > 100).any(axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resized(pixels, height):
    size = round(pixels.shape[1] * height / len(pixels)), height
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), np.float32)


@pytest.mark.parametrize("height", [28, 60, 120, 280])
@pytest.mark.parametrize("inverted", [True, False])
def test_digit_cropped_to_its_strokes_is_read_as_with_a_margin(height, inverted):
    for n in range(8):
        tight, wide = resized(cropped(n), height), resized(np.pad(cropped(n), 6), height * 2)
        one, other = (
            photos.to_mnist(255 - each if inverted else each).astype(float) for each in (tight, wide)
        )
        blurred = [ndimage.gaussian_filter(each, 1.5).ravel() for each in (one, other)]
        assert np.corrcoef(*blurred)[0, 1] > 0.8


@pytest.mark.parametrize("inverted", [True, False])
def test_digit_with_one_pixel_of_paper_around_its_soft_edges_gets_a_margin(inverted):
    for n in (15, 18, 28, 29):  # long strokes of these touch the border
        tight = np.pad(resized(cropped(n), 240), 1)
        assert segmentation.add_margin(255 - tight if inverted else tight)[1] > 0


def test_digit_of_8x8_pixels_is_found():
    for n in range(8):
        small = np.asarray(Image.fromarray(cropped(n)).resize((8, 8), Image.Resampling.BOX), np.float32)
        rows, columns = (np.flatnonzero(photos.to_mnist(small).any(axis)) for axis in (1, 0))
        assert max(len(rows), len(columns)) > 18
        assert min(len(rows), len(columns)) > 9


def test_white_grid_around_a_digit_is_not_its_paper():
    for n in range(7):  # digits that do not touch the grid
        plain = photos.to_mnist(DIGITS.images[n].astype(np.float32)).astype(int)
        in_grid = photos.to_mnist(np.pad(DIGITS.images[n], 2, constant_values=255).astype(np.float32))
        assert np.abs(in_grid - plain).sum() < 0.8 * plain.sum()


def stroked(*boxes, side=200, grey=30):
    """A page with bars of ink: each from row to row, and from column to column."""
    page = np.full((side, side), 250, np.float32)
    for top, bottom, left, right in boxes:
        page[top:bottom, left:right] = grey
    return page


@pytest.mark.parametrize("width", [1, 2, 4])
def test_hairline_in_a_large_image_becomes_a_white_stroke(width):
    page = stroked((60, 900, 500, 500 + width), (898, 898 + width, 300, 700), side=1000)
    digit = photos.to_mnist(photos.to_grey(Image.fromarray(page.astype(np.uint8))))
    assert digit[8:18].max(1).min() > 200
    assert (digit > 60).sum() < 80  # thin


def test_closed_stroke_is_not_a_sheet_on_a_table():
    box = stroked((30, 45, 40, 160), (155, 170, 40, 160), (30, 170, 40, 55), (30, 170, 145, 160))
    digit = photos.to_mnist(box)
    assert digit[14, 14] == 0
    assert digit.max(0)[5:9].max() > 200
    assert digit.max(0)[19:24].max() > 200


@pytest.mark.parametrize("bar", [(40, 52, 20, 180), (150, 162, 15, 190)], ids=["of a 7", "of a 2"])
def test_long_bar_is_not_a_ruled_line(bar):
    page = stroked(bar, (40, 162, 120, 132))
    assert (photos.to_mnist(page) > 128).sum(1).max() > 15


def test_dithered_digit_is_read_as_a_grey_one():
    for n in range(4):
        page = enlarged(n, 8, 4).convert("L").point(lambda grey: 60 + grey * 0.68)
        one, other = (
            photos.to_mnist(np.asarray(each.convert("L"), np.float32)).astype(float)
            for each in (page, page.convert("1"))
        )
        assert np.corrcoef(*(ndimage.gaussian_filter(each, 1.5).ravel() for each in (one, other)))[0, 1] > 0.9


def test_separate_strokes_of_a_five_are_joined():
    page = np.full((200, 200), 240, np.float32)
    page[40:50, 90:150] = 30  # the bar, separate from the rest
    page[62:150, 80:90] = 30
    widths = (photos.to_mnist(page) > 100).sum(1)
    assert widths.max() >= 9  # the bar
    assert (widths[widths.argmax() :] == 2).sum() > 9


@pytest.mark.parametrize(
    "page",
    [
        np.full((300, 200), 240.0),
        np.zeros((50, 50)),
        np.random.default_rng(0).normal(220, 8, (300, 300)),
        np.tile(np.linspace(60, 250, 300), (200, 1)),
        np.full((1, 900), 3.0),
    ],
    ids=["white", "black", "noise", "slope", "line"],
)
def test_empty_page_has_no_digit(page):
    assert photos.to_mnist(page.astype(np.float32).clip(0, 255)) is None


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)), kind=st.integers(0, 3), seed=st.integers(0, 99)
)
def test_any_image_gives_a_digit_or_none(shape, kind, seed):
    rng = np.random.default_rng(seed)
    page = np.full(shape, rng.integers(256), np.float32)
    row, column = rng.integers(shape[0]), rng.integers(shape[1])
    if kind == 0:
        page[row] = rng.integers(256)  # a hairline
    elif kind == 1:
        page[row:, : column + 1] = rng.integers(256)
    elif kind == 2:
        page[row, column] = rng.integers(256)
    else:
        page[:] = rng.uniform(0, 255, shape)
    digit = photos.to_mnist(page)
    assert digit is None or (digit.shape == (28, 28) and digit.max() > 100)
