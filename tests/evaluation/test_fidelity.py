"""The metrics of a generator: known values, and a classifier that sees the difference to real images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn

from mnistctl.data import datasets
from mnistctl.errors import CheckpointError
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


def gaussian(mean, covariance):
    return torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(covariance, dtype=torch.float64)


def test_the_frechet_distance_of_gaussians_in_closed_form():
    a = gaussian([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, gaussian([4.0, 6.0], a[1])) == pytest.approx(25)
    # For matrices that commute: the squared differences of the standard deviations.
    assert frechet_distance(a, gaussian([1.0, 2.0], [[25.0, 0.0], [0.0, 1.0]])) == pytest.approx(9 + 4)
    # For two that do not: the root of the product from its eigenvalues.
    b, c = [[2.0, 1.0], [1.0, 3.0]], [[5.0, -1.0], [-1.0, 1.0]]
    root = np.sqrt(np.linalg.eigvals(np.array(b) @ np.array(c))).sum()
    distance = frechet_distance(gaussian([0, 0], b), gaussian([0, 0], c))
    assert distance == pytest.approx(np.trace(b) + np.trace(c) - 2 * root)
    assert distance == pytest.approx(frechet_distance(gaussian([0, 0], c), gaussian([0, 0], b)))


def test_a_direction_without_variance_adds_only_its_shift():
    flat = [[1.0, 0.0], [0.0, 0.0]]
    assert frechet_distance(gaussian([0, 0], flat), gaussian([0, 3], flat)) == pytest.approx(9)


def test_matrices_are_decomposed_on_one_thread(monkeypatch):
    """On several, they take many times as long beside other processes."""
    used, threads = [], torch.get_num_threads()
    for name in ("eigh", "eigvalsh"):
        function = getattr(torch.linalg, name)
        counted = lambda matrix, function=function: used.append(torch.get_num_threads()) or function(matrix)  # noqa: E731
        monkeypatch.setattr(torch.linalg, name, counted)
    torch.set_num_threads(2)
    try:
        frechet_distance(gaussian([0], [[1]]), gaussian([1], [[4]]))
        assert (used, torch.get_num_threads()) == ([1, 1], 2)
    finally:
        torch.set_num_threads(threads)


def test_means_and_covariances_count_each_row_as_often_as_its_weight():
    values = torch.from_numpy(RNG.normal(size=(50, 3))).float()
    mean, covariance = mean_and_covariance(values)
    np.testing.assert_allclose(mean, values.numpy().mean(0), atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(values.numpy().T), atol=1e-6)
    counts = RNG.integers(0, 4, 50).astype(float)
    repeated = mean_and_covariance(values.repeat_interleave(torch.from_numpy(counts).long(), 0))
    for weighted, plain in zip(mean_and_covariance(values, counts), repeated, strict=True):
        np.testing.assert_allclose(weighted, plain, atol=1e-9)


def test_density_and_coverage_follow_their_definitions():
    real = torch.arange(0.0, 20.0).unsqueeze(1)  # the fifth neighbour is 3 away, at the ends 5
    neighbourhood = compute_neighbourhood(torch.tensor([[10.0], [10.2], [500.0]]), real)
    inside = [
        sum(abs(x - r) <= radius for r, radius in zip(range(20), neighbourhood.radii, strict=True))
        for x in (10, 10.2)
    ]
    assert neighbourhood.radii[[0, 1, 2, 10, 19]].tolist() == [5, 4, 3, 3, 5]
    assert (neighbourhood.density * 5).round(4).tolist() == [*inside, 0]
    assert np.flatnonzero(neighbourhood.covered).tolist() == list(range(7, 14))


def test_samples_of_the_same_distribution_have_density_and_coverage_near_one():
    real, generated = (torch.from_numpy(RNG.normal(size=(2000, 8))).float() for _ in range(2))
    neighbourhood = compute_neighbourhood(generated, real)
    assert neighbourhood.density.mean() == pytest.approx(1, abs=0.05)
    assert neighbourhood.covered.mean() > 0.9
    # Half of the distribution, sampled twice as often, covers less.
    half = compute_neighbourhood(generated[generated[:, 0] > 0].repeat(2, 1), real)
    assert half.covered.mean() < 0.75


def test_ten_equally_frequent_classes_have_log2_of_10_bits_and_one_class_none():
    assert class_entropy(np.full(10, 7)) == pytest.approx(np.log2(10))
    assert class_entropy(np.array([0, 5, 0])) == 0
    assert class_entropy(np.array([1, 1])) == 1
    counts, estimate = estimate_class_entropy(np.repeat(np.arange(10), 30), RNG)
    assert counts == (30,) * 10
    assert estimate.low <= estimate.value == pytest.approx(np.log2(10))


def test_a_bootstrap_interval_agrees_with_the_normal_approximation():
    values = (RNG.random(4000) < 0.3).astype(float)
    estimate = bootstrap_mean(values, RNG)
    margin = 1.96 * values.std() / np.sqrt(len(values))
    assert estimate.value == values.mean()
    assert estimate.high - estimate.low == pytest.approx(2 * margin, rel=0.1)


def test_the_nearest_training_image_is_of_the_same_digit():
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 0, 0] = (10, 30, 100)
    train = datasets.Arrays(images, np.array([1, 1, 2], np.uint8))
    generated = np.zeros((3, 28, 28), np.uint8)
    generated[:, 0, 0] = (14, 99, 50)
    distances, indices = nearest_training_digits(generated, np.array([1, 1, 7]), train, CPU)
    assert distances.tolist() == [4, 69, np.inf]
    assert indices[:2].tolist() == [0, 1]


def test_digit_that_the_training_split_lacks_has_no_near_duplicates():
    distances, digits = np.array([np.inf, np.inf, 2.0, np.inf, 2.0]), np.array([3, 3, 4, 4, 4])
    assert copy_thresholds(distances, digits).tolist() == [0, 0, 0, 0, 2, 0, 0, 0, 0, 0]


# On the sample, with conv of records/, which was trained on these images.


@pytest.fixture(scope="module")
def classifier():
    return load.load_classifier(CONV)[1]


@pytest.fixture(scope="module")
def real(classifier):
    return extract_features(classifier, datasets.load("sample", None, "test")[0].images)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("sample", None, "train")[0].images[:1000]


def blurred(images):
    return np.stack([np.asarray(Image.fromarray(i).filter(ImageFilter.GaussianBlur(2))) for i in images])


def measure(classifier, images, real):
    """The fidelity of images, and the entropy of their predicted digits."""
    features = extract_features(classifier, images)
    _, entropy = estimate_class_entropy(features.predicted, RNG)
    return compute_fidelity(features, real, np.random.default_rng(1)), entropy.value


def test_the_features_are_the_inputs_of_the_last_layer(classifier, real):
    assert real.features.shape == (1000, 500)
    assert float(real.features.min()) == 0
    logits = classifier[-1](real.features)
    assert logits.argmax(1).tolist() == real.predicted.tolist()


class Twice(nn.Module):
    """Its last linear layer is computed twice for each image."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 784)

    def forward(self, x):
        return self.layer(self.layer(x.flatten(1)))[:, :10]


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()), Twice()], ids=type)
def test_net_without_features_cannot_be_the_reference_classifier(net, digits):
    with pytest.raises(CheckpointError, match=r"reference classifier .* linear layer"):
        extract_features(net, digits[:150])


def test_blurred_images_noise_and_one_repeated_digit_score_worse_than_real_images(
    classifier, real, digits, monkeypatch
):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 3)  # enough for these
    reference, entropy = measure(classifier, digits, real)
    assert reference.frechet.low < reference.frechet.value < reference.frechet.high
    assert entropy == pytest.approx(np.log2(10), abs=0.02)
    noise = RNG.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    results = {
        "blurred": measure(classifier, blurred(digits), real),
        "noise": measure(classifier, noise, real),
        "repeated": measure(classifier, np.repeat(digits[:1], 1000, 0), real),
    }
    for metrics, _ in results.values():
        assert metrics.frechet.low > 10 * reference.frechet.high
        assert metrics.coverage.high < reference.coverage.low / 2
    assert results["noise"][0].density.value < 0.1 * reference.density.value
    assert results["blurred"][0].density.value < 0.7 * reference.density.value
    assert results["repeated"][1] == 0
    assert results["noise"][1] < 2


def test_training_images_are_near_duplicates_and_one_percent_of_test_images_are(digits):
    train, test = (datasets.load("sample", None, split)[0] for split in ("train", "test"))
    real_distances, _ = nearest_training_digits(test.images, test.labels, train, CPU)
    thresholds = copy_thresholds(real_distances, test.labels)
    assert (real_distances < thresholds[test.labels]).mean() == pytest.approx(0.01, abs=0.002)
    distances, indices = nearest_training_digits(train.images[:200], train.labels[:200], train, CPU)
    assert (distances < thresholds[train.labels[:200]]).all()
    assert indices.tolist() == list(range(200))
