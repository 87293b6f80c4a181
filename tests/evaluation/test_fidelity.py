"""The figures of a generator against known answers, and a judge that is not fooled."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from mnistctl.data import datasets
from mnistctl.evaluation import fidelity
from mnistctl.evaluation.fidelity import (
    bootstrap_mean,
    class_entropy,
    compute_fidelity,
    compute_neighbourhood,
    copy_thresholds,
    estimate_class_entropy,
    extract_features,
    frechet_distance,
    mean_and_covariance,
    nearest_training_digits,
)
from mnistctl.inference import load

CONV = Path(__file__).parents[2] / "records/conv.safetensors"
CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def gaussian(mean, spread):
    return np.array(mean, float), np.array(spread, float)


def test_the_frechet_distance_of_gaussians_in_closed_form():
    a = gaussian([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, gaussian([4.0, 6.0], a[1])) == pytest.approx(25)
    # Of matrices that commute: the squared differences of the standard deviations.
    assert frechet_distance(a, gaussian([1.0, 2.0], [[25.0, 0.0], [0.0, 1.0]])) == pytest.approx(9 + 4)
    # And of two that do not, after the square root of the product by its eigenvalues.
    b, c = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -1.0], [-1.0, 1.0]])
    root = np.sqrt(np.linalg.eigvals(b @ c)).sum()
    told = frechet_distance((np.zeros(2), b), (np.zeros(2), c))
    assert told == pytest.approx(np.trace(b) + np.trace(c) - 2 * root)
    assert told == pytest.approx(frechet_distance((np.zeros(2), c), (np.zeros(2), b)))


def test_a_direction_without_spread_costs_nothing_but_its_shift():
    flat = np.diag([1.0, 0.0])
    assert frechet_distance((np.zeros(2), flat), (np.array([0.0, 3.0]), flat)) == pytest.approx(9)


def test_moments_are_the_means_and_covariances_and_weights_count_repetitions():
    values = torch.from_numpy(RNG.normal(size=(50, 3))).float()
    mean, spread = mean_and_covariance(values)
    np.testing.assert_allclose(mean, values.numpy().mean(0), atol=1e-6)
    np.testing.assert_allclose(spread, np.cov(values.numpy().T), atol=1e-6)
    counts = RNG.integers(0, 4, 50).astype(float)
    repeated = mean_and_covariance(values.repeat_interleave(torch.from_numpy(counts).long(), 0))
    for weighted, plain in zip(mean_and_covariance(values, counts), repeated, strict=True):
        np.testing.assert_allclose(weighted, plain, atol=1e-9)


def test_density_and_coverage_are_what_their_definitions_count():
    real = torch.arange(0.0, 20.0).unsqueeze(1)  # inside, the fifth neighbour is 3 away; at the ends 5
    among = compute_neighbourhood(torch.tensor([[10.0], [10.2], [500.0]]), real)
    inside = [
        sum(abs(x - r) <= radius for r, radius in zip(range(20), among.radii, strict=True))
        for x in (10, 10.2)
    ]
    assert among.radii[[0, 1, 2, 10, 19]].tolist() == [5, 4, 3, 3, 5]
    assert (among.density * 5).round(4).tolist() == [*inside, 0]
    assert np.flatnonzero(among.covered).tolist() == list(range(7, 14))


def test_pictures_from_the_same_crowd_have_a_density_and_a_coverage_near_one():
    real, drawn = (torch.from_numpy(RNG.normal(size=(2000, 8))).float() for _ in range(2))
    among = compute_neighbourhood(drawn, real)
    assert among.density.mean() == pytest.approx(1, abs=0.05)
    assert among.covered.mean() > 0.9
    # Half of the crowd, drawn twice as often, covers less.
    half = compute_neighbourhood(drawn[drawn[:, 0] > 0].repeat(2, 1), real)
    assert half.covered.mean() < 0.75


def test_the_entropy_of_even_classes_is_that_of_ten_and_of_one_class_none():
    assert class_entropy(np.full(10, 7)) == pytest.approx(np.log2(10))
    assert class_entropy(np.array([0, 5, 0])) == 0
    assert class_entropy(np.array([1, 1])) == 1
    counts, told = estimate_class_entropy(np.repeat(np.arange(10), 30), RNG)
    assert counts == (30,) * 10
    assert told.low <= told.value == pytest.approx(np.log2(10))


def test_a_bootstrap_interval_is_that_of_the_normal_law_where_it_holds():
    values = (RNG.random(4000) < 0.3).astype(float)
    told = bootstrap_mean(values, RNG)
    margin = 1.96 * values.std() / np.sqrt(len(values))
    assert told.value == values.mean()
    assert told.high - told.low == pytest.approx(2 * margin, rel=0.1)


def test_the_nearest_training_digit_is_sought_among_those_of_its_kind():
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 0, 0] = (10, 30, 100)
    train = datasets.Arrays(images, np.array([1, 1, 2], np.uint8))
    drawn = np.zeros((3, 28, 28), np.uint8)
    drawn[:, 0, 0] = (14, 99, 50)
    distances, place = nearest_training_digits(drawn, np.array([1, 1, 7]), train, CPU)
    assert distances.tolist() == [4, 69, np.inf]
    assert place[:2].tolist() == [0, 1]


# A judge's sanity, on the sample: conv of records/, whose training digits these are, sees them clearly.


@pytest.fixture(scope="module")
def judge():
    return load.load_classifier(CONV)[1]


@pytest.fixture(scope="module")
def real(judge):
    return extract_features(judge, datasets.load("sample", None, "test")[0].images)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("sample", None, "train")[0].images[:1000]


def blurred(images):
    return np.stack([np.asarray(Image.fromarray(i).filter(ImageFilter.GaussianBlur(2))) for i in images])


def told(judge, images, real):
    seen = extract_features(judge, images)
    return compute_fidelity(seen, real, np.random.default_rng(1)), estimate_class_entropy(seen.read, RNG)[
        1
    ].value


def test_the_features_are_what_the_last_layer_is_given(judge, real):
    assert real.features.shape == (1000, 500)
    assert float(real.features.min()) == 0
    outputs = judge[-1](real.features)
    assert outputs.argmax(1).tolist() == real.read.tolist()


def test_a_judge_tells_real_digits_from_blurred_ones_noise_and_one_digit_repeated(
    judge, real, digits, monkeypatch
):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 8)  # enough for these, and a fifth of the time
    floor, spread = told(judge, digits, real)
    assert floor.frechet.low < floor.frechet.value < floor.frechet.high
    assert spread == pytest.approx(np.log2(10), abs=0.02)
    noise = RNG.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    far = {
        "blurred": told(judge, blurred(digits), real),
        "noise": told(judge, noise, real),
        "repeated": told(judge, np.repeat(digits[:1], 1000, 0), real),
    }
    for likeness_, _ in far.values():
        assert likeness_.frechet.low > 10 * floor.frechet.high
        assert likeness_.coverage.high < floor.coverage.low / 2
    assert far["noise"][0].density.value < 0.1 * floor.density.value
    assert far["blurred"][0].density.value < 0.7 * floor.density.value
    assert far["repeated"][1] == 0
    assert far["noise"][1] < 2


def test_copies_of_training_digits_are_found_and_real_test_digits_are_as_near_as_usual(digits):
    train, test = (datasets.load("sample", None, split)[0] for split in ("train", "test"))
    theirs, _ = nearest_training_digits(test.images, test.labels, train, CPU)
    usual = copy_thresholds(theirs, test.labels)
    assert (theirs < usual[test.labels]).mean() == pytest.approx(0.01, abs=0.002)
    ours, place = nearest_training_digits(train.images[:200], train.labels[:200], train, CPU)
    assert (ours < usual[train.labels[:200]]).all()
    assert place.tolist() == list(range(200))
