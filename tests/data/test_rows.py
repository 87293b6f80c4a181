"""Rows of digits in an image and the places where they can be cut."""

from itertools import pairwise

import numpy as np
from number_images import picture

from mnistctl.data import photos, rows


def find(image):
    return rows.find_rows(photos.find_ink(photos.to_grey(image))[0])


def test_rows_are_found_from_top_to_bottom():
    found = find(picture("20", "26", "13"))
    assert len(found) == 3
    assert [row.top for row in found] == sorted(row.top for row in found)


def test_seam_between_separate_digits_crosses_no_ink():
    (row,) = find(picture("2026", gap=5))
    free = [n for n, cost in enumerate(row.costs) if cost < 1]
    assert len(free) >= 2 + 3  # both ends and the three gaps
    pieces = [row.piece_mask(a, b) for a, b in pairwise(free)]
    assert (sum(piece.astype(int) for piece in pieces) == row.mask).all()


def test_ink_next_to_a_seam_belongs_to_both_digits_on_request():
    (row,) = find(picture("30", gap=-3))
    n = int(np.argmin(np.where(row.costs > 1.5, abs(np.arange(len(row.costs)) - len(row.costs) / 2), np.inf)))
    last = len(row.seams) - 1
    left, right = row.piece_mask(0, n, (0, 2)), row.piece_mask(n, last, (2, 0))
    assert ((left | right) == row.mask).all()
    assert 0 < (left & right).sum() < row.mask.sum() / 4


def test_seams_do_not_cross_each_other():
    (row,) = find(picture("20265", gap=-2))
    assert (np.diff(row.seams, axis=0) >= 0).all()


def test_piece_that_is_wider_than_a_digit_is_none():
    (row,) = find(picture("2026"))
    assert row.piece(0, len(row.seams) - 1) is None


def test_blank_image_has_no_row():
    assert rows.find_rows(np.zeros((100, 300), np.float32)) == []
