"""Corruptions: each does what its unit says, and the same every time."""

import numpy as np
import pytest

from mnistctl.evaluation import corruptions

CORRUPTIONS = {corruption.kind: corruption for corruption in corruptions.CORRUPTIONS}
BAR = np.zeros((40, 28, 28), np.uint8)
BAR[:, 8:20, 12:17] = 255  # 5 pixels wide, 12 high


def each_severity(kind):
    corruption = CORRUPTIONS[kind]
    return [(severity, corruption.apply(BAR, severity)) for severity in corruption.severities]


def width(images):
    """The width of the bar in pixels, in one of its rows."""
    return float(images[0, 14].sum()) / 255


@pytest.mark.parametrize("corruption", corruptions.CORRUPTIONS, ids=lambda corruption: corruption.kind)
def test_images_are_corrupted_the_same_way_every_time_in_three_severities(corruption):
    before, changes = BAR.copy(), []
    for severity in corruption.severities:
        images = corruption.apply(BAR, severity)
        assert (images.dtype, images.shape) == (np.uint8, BAR.shape)
        assert np.array_equal(images, corruption.apply(BAR, severity))
        assert corruption.apply(BAR[:1], severity).shape == (1, 28, 28)
        changes.append(np.abs(images.astype(int) - BAR).mean())
    assert np.array_equal(BAR, before)
    assert 0 < changes[0] < changes[1] < changes[2]


def test_a_shift_moves_by_whole_pixels_in_any_direction():
    for pixels, images in each_severity("shift"):
        moves = {tuple(np.argwhere(image)[0] - (8, 12)) for image in images}
        assert moves == {(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)}


def test_a_rotation_turns_by_degrees_to_either_side():
    for degrees, images in each_severity("rotation"):
        angles = []
        for image in images:
            y, x = np.nonzero(image > 127)
            (xx, xy), (_, yy) = np.cov(x, y)
            angles.append(90 - abs(np.degrees(np.arctan2(2 * xy, xx - yy) / 2)))
        assert np.abs(np.array(angles) - degrees).max() < 3
        assert len({image.tobytes() for image in images}) == 2


def test_a_blur_spreads_the_ink_by_its_sigma_and_preserves_its_sum():
    columns = np.arange(28)
    for sigma, images in each_severity("blur"):
        before, after = BAR[0].astype(float), images[0].astype(float)
        assert after.sum() == pytest.approx(before.sum(), rel=0.05)
        variance = [np.cov(columns, fweights=ink.sum(0).astype(int)) for ink in (before, after)]
        assert variance[1] - variance[0] == pytest.approx(sigma**2, rel=0.1)


def test_noise_has_its_share_of_white():
    for share, images in each_severity("noise"):
        background = images[:, :8].astype(float)  # black before, so half of the noise is clipped
        assert (background > 0).mean() == pytest.approx(0.5, abs=0.02)
        assert np.sqrt((background**2).mean() * 2) / 255 == pytest.approx(share, rel=0.1)


def test_a_stroke_loses_and_gains_pixels_of_width():
    assert [width(images) for _, images in each_severity("thinner")] == pytest.approx([4.5, 4, 3.5], abs=0.01)
    assert [width(images) for _, images in each_severity("thicker")] == pytest.approx([6, 7, 8])
