"""Charts of images show their pixels unchanged."""

import numpy as np

from mnistctl.artifacts.image_charts import _FRAME, Block, Cell, digits_chart, grid_chart


def test_images_in_a_chart_are_unchanged_and_have_a_frame_if_requested():
    cells = [Cell(np.full((28, 28), 17 * n, np.uint8), str(n), framed=n == 1) for n in range(3)]
    chart = digits_chart("", ["row"], [Block("", [cells])]).pixels()
    for cell in cells[1:]:
        assert (chart == cell.image[0, 0]).all(axis=2).sum() >= (2 * 28) ** 2
    framed = (chart == _FRAME).all(axis=2)
    assert framed.sum() == 62**2 - 56**2


def test_grid_in_a_chart_is_enlarged_and_unchanged():
    grid = np.random.default_rng(0).integers(0, 256, (64, 32), np.uint8)
    shown = grid_chart("", grid).pixels()[-8 - 128 : -8, 8 : 8 + 64]
    assert np.array_equal(shown, np.broadcast_to(grid.repeat(2, 0).repeat(2, 1)[..., None], shown.shape))
