"""Grids: what is where."""

import numpy as np
import pytest
from PIL import Image

from mnistctl.artifacts import grids
from mnistctl.cli.output.ascii import binary_ascii, grey_ascii, half_blocks


def test_the_glyphs_are_ten_different_digits_centred_in_their_cells():
    glyphs = grids.glyphs()
    assert glyphs.shape == (10, 28, 28)
    assert len({glyph.tobytes() for glyph in glyphs}) == 10
    for glyph in glyphs:
        rows, columns = np.nonzero(glyph > 128)
        assert rows.min() >= 2
        assert rows.max() <= 25
        assert rows.max() - rows.min() >= 10
        assert abs((columns.min() + columns.max()) / 2 - 13.5) <= 2.5


def test_a_grid_has_two_white_pixels_between_cells_and_around_them():
    grid = grids.tile(np.zeros((2, 3, 28, 28), np.uint8))
    assert grid.shape == (62, 92)
    white = (grid == 255).all(axis=0)
    assert np.flatnonzero(white).tolist() == [0, 1, 30, 31, 60, 61, 90, 91]
    assert np.flatnonzero((grid == 255).all(axis=1)).tolist() == [0, 1, 30, 31, 60, 61]


def cell(grid, row, column):
    return grid[2 + 30 * row : 30 + 30 * row, 2 + 30 * column : 30 + 30 * column]


def test_errors_are_below_their_prediction_and_after_their_true_digit():
    images = np.arange(1, 4, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    grid = grids.mismatch_grid(images, np.array([5, 2, 5]), np.array([8, 7, 3]))
    assert grid.shape == (2 + 4 * 30, 2 + 3 * 30)
    glyphs = grids.glyphs()
    black = np.zeros((28, 28), np.uint8)
    expected = [
        [black, glyphs[7], black],
        [glyphs[2], images[1], black],
        [black, glyphs[3], glyphs[8]],
        [glyphs[5], images[2], images[0]],
    ]
    for r, row in enumerate(expected):
        for c, shown in enumerate(row):
            assert np.array_equal(cell(grid, r, c), shown), (r, c)


def test_predictions_of_marked_errors_are_black_on_white():
    images, glyphs = np.zeros((2, 28, 28), np.uint8), grids.glyphs()
    grid = grids.mismatch_grid(images, np.array([5, 5]), np.array([8, 3]), np.array([True, False]))
    assert np.array_equal(cell(grid, 0, 1), glyphs[3])
    assert np.array_equal(cell(grid, 0, 2), 255 - glyphs[8])


def test_of_many_errors_50_are_shown_with_every_prediction_among_them():
    predicted = np.repeat(np.arange(1, 10), 100)
    grid = grids.mismatch_grid(np.zeros((900, 28, 28), np.uint8), np.zeros(900, np.int64), predicted)
    assert grid.shape == (62, 2 + 51 * 30)
    assert {cell(grid, 0, 1 + n).tobytes() for n in range(50)} == {g.tobytes() for g in grids.glyphs()[1:]}


def test_a_grid_without_errors_is_one_black_cell():
    assert grids.mismatch_grid(np.zeros((0, 28, 28), np.uint8), np.zeros(0), np.zeros(0)).shape == (32, 32)


def test_the_last_row_of_a_grid_is_filled_with_black():
    grid = grids.make_grid(np.full((3, 28, 28), 9, np.uint8), 2)
    assert [int(cell(grid, r, c).max()) for r in (0, 1) for c in (0, 1)] == [9, 9, 9, 0]


def test_a_png_file_has_the_pixels_of_the_image(tmp_path):
    grid = grids.tile(grids.glyphs()[None])
    grids.write_png(tmp_path / "a.png", grid)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), grid)


def test_every_pixel_above_zero_is_a_star():
    image = np.zeros((28, 28), np.uint8)
    image[3, 4:7] = (1, 0, 255)
    assert binary_ascii(image)[3] == "    * *"
    assert len(binary_ascii(image)) == 28
    assert half_blocks(image)[1][4:7] == [(0, 1), (0, 0), (0, 255)]
    assert grey_ascii(np.full((28, 28), 255, np.uint8)) == ["@" * 28] * 14


@pytest.mark.parametrize("scale", [1, 3, 8])
def test_picture_of_a_grid_is_taken_apart_again(scale):
    cells = grids.glyphs().reshape(2, 5, 28, 28)
    picture = grids.enlarge(grids.tile(cells), scale)
    assert np.array_equal(grids.untile(picture), cells)


def test_other_pictures_are_no_grids():
    dark_on_light = 255 - np.pad(grids.glyphs()[4], 2)  # 32x32 with a white border
    grid = grids.tile(grids.glyphs().reshape(1, 10, 28, 28))
    shifted, smooth = np.roll(grid, 1, 1), grid.copy()
    smooth[0, 0] = 254
    for picture in (dark_on_light, shifted, smooth, grid[:-1], np.zeros((1, 1), np.uint8)):
        assert grids.untile(picture) is None
