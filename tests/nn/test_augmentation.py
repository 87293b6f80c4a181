"""Augmentation: what each amount does to images, measured on many draws."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnistctl.nn.augmentation import Augmentation, Augmenter, MixedLabels, draw_examples

CPU = torch.device("cpu")
COUNT = 4000
PLACES = torch.arange(28) - 13.5  # of the pixels' centres
ALL = Augmentation(shift=2, rotation=10, scale=0.1, shear=0.1, elastic=0.6, stroke=0.7, erase=0.2, mixup=0.4)


def blob(width=3.0, height=3.0):
    """A Gaussian blob in the middle, from -1 to 1: [COUNT, 1, 28, 28]."""
    grey = torch.exp(-((PLACES / width) ** 2) / 2) * torch.exp(-((PLACES[:, None] / height) ** 2) / 2)
    return (2 * grey - 1).expand(COUNT, 1, 28, 28)


def ramp():
    """Each pixel has its place to the right of the middle as its value, in units of 14 pixels."""
    return (PLACES / 14).expand(COUNT, 1, 28, 28)


def images():
    """Fifty images that differ: [50, 1, 28, 28]."""
    return blob()[:50] * torch.linspace(0.5, 1, 50).view(-1, 1, 1, 1)


def augment(x, **amounts):
    changed, labels = Augmenter(Augmentation(**amounts), 3, 1, CPU)(x, torch.zeros(len(x)))
    assert changed.shape == x.shape
    assert labels.shape == (len(x),)
    return changed


def moments(x):
    """Of each image the mean and the covariance of the places of its ink: [N, 2] and [N, 2, 2], x first."""
    ink = (x[:, 0] + 1).double()
    ink /= ink.sum((1, 2), keepdim=True)
    places = torch.stack((PLACES.expand(28, 28), PLACES[:, None].expand(28, 28))).double()
    mean = torch.einsum("nij,aij->na", ink, places)
    return mean, torch.einsum("nij,aij,bij->nab", ink, places, places) - mean[:, :, None] * mean[:, None]


def assert_even(numbers, most, *, middle=0.0, tolerance=0.01):
    """Check that the numbers are spread evenly over `middle` +- `most`."""
    deviations = (numbers - middle) / most
    assert float(deviations.abs().max()) <= 1 + tolerance
    assert float(deviations.mean()) == pytest.approx(0, abs=4 / math.sqrt(3 * COUNT) + tolerance)
    for quantile in (0.05, 0.25, 0.75, 0.95):
        expected = 2 * quantile - 1
        assert float(deviations.quantile(quantile)) == pytest.approx(expected, abs=0.07)


def test_shifts_are_spread_evenly_in_both_directions():
    mean, covariance = moments(augment(blob(), shift=2.5))
    assert_even(mean[:, 0], 2.5)
    assert_even(mean[:, 1], 2.5)
    assert abs(float(torch.corrcoef(mean.T)[0, 1])) < 4 / math.sqrt(COUNT)
    # On average, the interpolation adds a sixth of a square pixel to the variance.
    assert float(covariance[:, 0, 0].mean()) == pytest.approx(9 + 1 / 6, abs=0.03)


def test_rotations_are_spread_evenly_and_change_no_size():
    _, covariance = moments(augment(blob(2, 4), rotation=20))
    tilt = 2 * covariance[:, 0, 1], covariance[:, 1, 1] - covariance[:, 0, 0]
    assert_even(torch.rad2deg(torch.atan2(*tilt) / 2), 20)
    assert float(covariance.det().mean().sqrt()) == pytest.approx(8, rel=0.03)


def test_sizes_are_spread_evenly_and_the_same_in_both_directions():
    _, covariance = moments(augment(blob(), scale=0.2))
    assert_even(covariance[:, 0, 0].sqrt() / 3, 0.2, middle=1, tolerance=0.06)
    torch.testing.assert_close(covariance[:, 0, 0], covariance[:, 1, 1], rtol=0.01, atol=0)


def test_slants_are_spread_evenly_and_keep_the_height():
    _, covariance = moments(augment(blob(), shear=0.3))
    assert_even(covariance[:, 0, 1] / covariance[:, 1, 1], 0.3)
    assert float(covariance[:, 1, 1].mean()) == pytest.approx(9, rel=0.01)


def test_rotated_slants_keep_the_area():
    _, covariance = moments(augment(blob(2, 2), shear=0.6, rotation=90))
    torch.testing.assert_close(covariance.det().sqrt(), torch.full((COUNT,), 4.2).double(), rtol=0.07, atol=0)


def test_digits_are_scaled_and_sheared_before_they_are_rotated_and_shifted():
    mean, _ = moments(augment(blob(), shift=3, rotation=180, scale=0.3, shear=0.5))
    assert_even(mean[:, 0], 3, tolerance=0.03)
    assert_even(mean[:, 1], 3, tolerance=0.03)


@pytest.mark.parametrize("width", [1.5, 4.0])
@pytest.mark.parametrize("direction", [2, 3])
def test_elastic_displacements_have_their_deviation_and_are_smooth(width, direction):
    x = ramp().transpose(2, 3) if direction == 2 else ramp()
    moved = augment(x, elastic=0.7, elastic_width=width) - x
    inside = 14 * moved[:, 0, 6:22, 6:22]  # the ramp is linear here, so values are displacements
    assert float(inside.mean()) == pytest.approx(0, abs=0.03)
    assert float(inside.std()) == pytest.approx(0.7, rel=0.02)
    for distance in (1, 3, 6):
        # Noise that a Gaussian smooths has a Gaussian covariance that is wider by the root of 2.
        expected = math.exp(-((distance / width) ** 2) / 4)
        for near, far in (
            (inside[:, :, distance:], inside[:, :, :-distance]),
            (inside[:, distance:], inside[:, :-distance]),
        ):
            correlation = torch.corrcoef(torch.stack((near.flatten(), far.flatten())))[0, 1]
            assert float(correlation) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("upright", [True, False])
def test_stroke_widths_are_spread_evenly(upright):
    x = torch.full((COUNT, 1, 28, 28), -1.0)
    x[..., 11:17] = 1
    changed = augment(x if upright else x.transpose(2, 3), stroke=1.5)
    changed = changed if upright else changed.transpose(2, 3)
    widths = (changed[:, 0] + 1).sum(2) / 2
    torch.testing.assert_close(widths, widths[:, :1].expand(-1, 28))  # at the edges, too
    assert_even(widths[:, 5], 1.5, middle=6, tolerance=1e-5)


def test_erased_share_is_spread_evenly_and_a_rectangle_anywhere():
    x = torch.ones(COUNT, 1, 28, 28)
    erased = augment(x, erase=0.4)[:, 0] == -1
    rows, columns = erased.any(2), erased.any(1)
    assert torch.equal(erased, rows[:, :, None] & columns[:, None])
    assert_even(erased.float().mean((1, 2)), 0.2, middle=0.2, tolerance=0.2)
    assert float(erased.float().mean()) == pytest.approx(0.2, abs=0.01)
    ratio = (rows.sum(1) / columns.sum(1))[rows.sum(1) > 6]
    assert 0.4 < float(ratio.min()) < 0.6 < 1.6 < float(ratio.max()) < 2.5  # 2 before rounding
    how_often = erased.float().mean(0)
    for turned in (how_often.flip(0), how_often.flip(1), how_often.T):
        torch.testing.assert_close(how_often, turned, rtol=0, atol=0.06)
    assert float(how_often[0, 0]) > 0
    untouched = augment(blob(), erase=0.4)
    assert bool(((untouched == blob()) | (untouched == -1)).all())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_of_mixed_images_have_the_beta_distribution(alpha):
    augmenter = Augmenter(Augmentation(mixup=alpha), 0, 1, CPU)
    x, y = torch.full((2, 1, 28, 28), -1.0), torch.arange(2)
    shares = np.array([augmenter(x, y)[1].share for _ in range(COUNT)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.08)


def test_mixed_images_have_the_labels_of_both():
    labels = torch.arange(10).repeat(20)
    x = (labels / 5 - 1).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    mixed, both = Augmenter(Augmentation(mixup=1), 0, 1, CPU)(x, labels)
    assert torch.equal(both.first, labels)
    assert both.second.sort().values.equal(labels.sort().values)
    assert not both.second.equal(labels)
    expected = (both.share * both.first + (1 - both.share) * both.second) / 5 - 1
    torch.testing.assert_close(mixed, expected.view(-1, 1, 1, 1).expand(mixed.shape))


def test_shares_of_mixed_images_depend_on_seed_and_epoch():
    shares = {
        Augmenter(Augmentation(mixup=1), seed, epoch, CPU)(images(), torch.arange(50))[1].share
        for seed, epoch in ((0, 1), (0, 2), (1, 1), (0, 1))
    }
    assert len(shares) == 3


def test_mixed_labels_are_split_as_tensors_are():
    both = MixedLabels(torch.arange(5), torch.arange(5).flip(0), 0.25)
    parts = both.split(2)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert (parts[1].first.tolist(), parts[1].second.tolist(), parts[1].share) == ([2, 3], [2, 1], 0.25)
    assert float(both.weigh(lambda labels: labels[0].float())) == 0.75 * 4


@pytest.mark.parametrize("augmentation", [ALL, replace(ALL, mixup=0.0), Augmentation(mixup=0.4)])
def test_draws_depend_on_seed_epoch_and_batch_and_leave_other_draws_alone(augmentation):
    torch.manual_seed(5)
    before, original = torch.get_rng_state(), images()

    def draw(seed, epoch):
        augmenter = Augmenter(augmentation, seed, epoch, CPU)
        return [augmenter(original, torch.arange(50))[0] for _ in range(2)]

    first, again = draw(0, 1), draw(0, 1)
    assert all(map(torch.equal, first, again))
    others = [first[1], *draw(0, 2), *draw(1, 1)]
    assert not any(torch.equal(first[0], other) for other in others)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(original, images())
    assert float(first[0].min()) >= -1
    assert float(first[0].max()) <= 1 + 1e-6


def test_images_are_the_same_under_bfloat16():
    x, y = blob()[:20], torch.arange(20)
    plain = Augmenter(ALL, 0, 1, CPU)(x, y)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Augmenter(ALL, 0, 1, CPU)(x, y)[0], plain)


def test_nothing_is_changed_by_default():
    assert not Augmentation().changes_images
    assert not Augmentation(elastic_width=2).changes_images
    x, y = blob()[:2], torch.arange(2)
    assert Augmenter(Augmentation(), 0, 1, CPU)(x, y)[0] is x
    images = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
    assert np.array_equal(draw_examples(images, Augmentation(), count=2, seed=0)[0], images.repeat(2, 0))


LARGEST = [
    *({"shift": 28}, {"rotation": 180}, {"scale": 0.9}, {"shear": 2}, {"stroke": 2}, {"erase": 0.5}),
    *({"elastic": 14, "elastic_width": 1}, {"elastic": 14, "elastic_width": 28}),
]


@pytest.mark.parametrize("amounts", LARGEST)
def test_largest_amounts_give_pixels_in_the_range(amounts):
    changed = augment(blob()[:200], **amounts)
    assert bool(changed.isfinite().all())
    assert float(changed.min()) >= -1
    assert float(changed.max()) <= 1 + 1e-6
