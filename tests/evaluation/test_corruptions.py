"""Corruptions: each does what its unit says, and the same each time."""

import numpy as np
import pytest

from mnistctl.evaluation import corruptions

KINDS = {kind.kind: kind for kind in corruptions.CORRUPTIONS}
BAR = np.zeros((40, 28, 28), np.uint8)
BAR[:, 8:20, 12:17] = 255  # 5 pixels wide, 12 high


def each(name):
    return [(strength, KINDS[name].apply(BAR, strength)) for strength in KINDS[name].strengths]


def width(images):
    """Of the bar, in pixels, in one of its rows."""
    return float(images[0, 14].sum()) / 255


@pytest.mark.parametrize("kind", corruptions.CORRUPTIONS, ids=lambda kind: kind.kind)
def test_the_same_digits_are_spoilt_in_the_same_way_in_three_strengths(kind):
    kept, spoilt = BAR.copy(), []
    for strength in kind.strengths:
        images = kind.apply(BAR, strength)
        assert (images.dtype, images.shape) == (np.uint8, BAR.shape)
        assert np.array_equal(images, kind.apply(BAR, strength))
        assert kind.apply(BAR[:1], strength).shape == (1, 28, 28)
        spoilt.append(np.abs(images.astype(int) - BAR).mean())
    assert np.array_equal(BAR, kept)
    assert 0 < spoilt[0] < spoilt[1] < spoilt[2]


def test_a_shift_is_by_whole_pixels_to_any_side():
    for pixels, images in each("shift"):
        ways = {tuple(np.argwhere(image)[0] - (8, 12)) for image in images}
        assert ways == {(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)}


def test_a_rotation_is_by_degrees_to_either_side():
    for degrees, images in each("rotation"):
        angles = []
        for image in images:
            y, x = np.nonzero(image > 127)
            (xx, xy), (_, yy) = np.cov(x, y)
            angles.append(90 - abs(np.degrees(np.arctan2(2 * xy, xx - yy) / 2)))
        assert np.abs(np.array(angles) - degrees).max() < 3
        assert len({image.tobytes() for image in images}) == 2


def test_a_blur_spreads_the_ink_by_its_sigma_and_keeps_it():
    columns = np.arange(28)
    for sigma, images in each("blur"):
        before, after = BAR[0].astype(float), images[0].astype(float)
        assert after.sum() == pytest.approx(before.sum(), rel=0.05)
        spread = [np.cov(columns, fweights=ink.sum(0).astype(int)) for ink in (before, after)]
        assert spread[1] - spread[0] == pytest.approx(sigma**2, rel=0.1)


def test_noise_has_its_share_of_white():
    for share, images in each("noise"):
        ground = images[:, :8].astype(float)  # black before, so that half of the noise is cut off
        assert (ground > 0).mean() == pytest.approx(0.5, abs=0.02)
        assert np.sqrt((ground**2).mean() * 2) / 255 == pytest.approx(share, rel=0.1)


def test_a_stroke_loses_and_gains_so_many_pixels():
    assert [width(images) for _, images in each("thinner")] == pytest.approx([4.5, 4, 3.5], abs=0.01)
    assert [width(images) for _, images in each("thicker")] == pytest.approx([6, 7, 8])
