"""The digit is separated from shadows, lines, a table and dust; an empty page has no digit."""

import numpy as np
import pytest
from digit_images import enlarged
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistctl.data import photos


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
