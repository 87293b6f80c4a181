"""How close generated images are to real ones, in the features of a classifier."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import datasets
from mnistctl.errors import CheckpointError
from mnistctl.inference.forward import StepCallback, compute_image_logits
from mnistctl.nn.device import restored_threads, set_threads

K_NEAREST = 5  # the radius of a real image is the distance to its 5th neighbour, as in Naeem et al.
FRECHET_RESAMPLES = 40  # bootstrap resamples of the Fréchet distance
NEAR_DUPLICATE_SHARE = 0.01  # the share of real test images that counts as near-duplicates
_RESAMPLES = 1000  # bootstrap resamples of everything else
_ROWS_AT_ONCE = 1000  # rows of a distance matrix
Floats = NDArray[np.float64]
Gaussian = tuple[Tensor, Tensor]  # mean [F] and covariance [F, F], float64 on the CPU


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval: the range over other samples of the same size."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Features:
    """What a classifier computes from images [N, 28, 28]: features [N, F] and predicted digits [N]."""

    images: ImageArray
    features: Tensor
    predicted: NDArray[np.int64]

    def first(self, count: int) -> "Features":
        """Those of the first `count` images."""
        return Features(self.images[:count], self.features[:count], self.predicted[:count])


def extract_features(
    classifier: nn.Module, images: ImageArray, on_step: StepCallback | None = None
) -> Features:
    """The inputs of the classifier's last linear layer for images [N, 28, 28], without dropout.

    For conv these are the 500 outputs of the last ReLU.

    Args:
        classifier: takes pixels [N, 1, 28, 28] in [-1, 1] and returns logits [N, 10].
        images: [N, 28, 28].
        on_step: called after every batch.

    Raises:
        CheckpointError: it has no linear layer, or the last one is not computed once for each image.
    """
    linear = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    batches: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].float()))
        for layer in linear[-1:]
    ]
    try:
        logits = compute_image_logits(classifier, images, on_step)
    finally:
        for hook in hooks:
            hook.remove()
    if sum(map(len, batches)) != len(images):
        message = "the reference classifier has no last linear layer that is computed once for each image"
        raise CheckpointError(message, remedies=("judge",))
    return Features(images, torch.cat(batches).flatten(1), logits.argmax(1).cpu().numpy())


def mean_and_covariance(features: Tensor, weights: Floats | None = None) -> Gaussian:
    """The mean [F] and covariance [F, F] of features [N, F].

    Args:
        features: [N, F].
        weights: how many times to count each row, [N]; once each if None.
    """
    values = features.cpu().double()
    counts = torch.from_numpy(np.ones(len(values)) if weights is None else weights)
    mean = counts @ values / counts.sum()
    centred = values - mean
    return mean, centred.T @ (centred * counts.unsqueeze(1)) / (counts.sum() - 1)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance between two Gaussians.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau, 1982; of a net's features: Heusel et al.,
    arXiv 1706.08500, equation 6). The trace of the root equals that of (S C2 S)^(1/2) with S = C1^(1/2),
    which is symmetric.
    """
    (mean_a, covariance_a), (mean_b, covariance_b) = a, b
    # On one thread: a decomposition has thousands of short steps, in each of which threads would wait for one
    # another. Beside other processes that takes many times as long (bench/frechet.py).
    with restored_threads():
        set_threads(1)
        values, vectors = torch.linalg.eigh(covariance_a)
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        eigenvalues = torch.linalg.eigvalsh(root @ covariance_b @ root)
    means = ((mean_a - mean_b) ** 2).sum()
    traces = covariance_a.trace() + covariance_b.trace() - 2 * eigenvalues.clamp(min=0).sqrt().sum()
    return max(0.0, float(means + traces))


@dataclass(frozen=True)
class Neighbourhood:
    """The position of N generated images among M real ones, in feature space.

    Args:
        density: [N]; the mean is the density of the sample.
        nearest: [M], the distance from each real image to the nearest generated one.
        radii: [M], the distance from each real image to its K_NEAREST-th real neighbour.
    """

    density: Floats
    nearest: Floats
    radii: Floats

    @property
    def covered(self) -> Floats:
        """[M]: 1 for each real image with a generated one within its radius, else 0. Coverage is the mean."""
        return (self.nearest <= self.radii).astype(np.float64)


def compute_neighbourhood(generated: Tensor, real: Tensor) -> Neighbourhood:
    """Density and coverage of generated features [N, F] among real ones [M, F].

    The density of an image is the number of real images within whose radius it lies, divided by K_NEAREST.
    The coverage is the share of real images with a generated one within their radius (Naeem et al.,
    arXiv 2002.09797, equations 4 and 5).
    """
    radii = torch.cat(
        [
            torch.cdist(rows, real).topk(K_NEAREST + 1, largest=False).values[:, -1]
            for rows in real.split(_ROWS_AT_ONCE)
        ]
    )  # one neighbour more, since each image is its own nearest neighbour
    density, nearest = [], torch.full_like(radii, float("inf"))
    for rows in generated.split(_ROWS_AT_ONCE):
        distances = torch.cdist(rows, real)
        density.append((distances <= radii).sum(1) / K_NEAREST)
        nearest = torch.minimum(nearest, distances.min(0).values)
    return Neighbourhood(*(t.cpu().numpy().astype(np.float64) for t in (torch.cat(density), nearest, radii)))


@dataclass(frozen=True)
class FidelityMetrics:
    """Fréchet distance, density and coverage of generated images among real ones."""

    frechet: Estimate
    density: Estimate
    coverage: Estimate


def compute_fidelity(
    generated: Features, real: Features, rng: np.random.Generator, on_step: StepCallback | None = None
) -> FidelityMetrics:
    """Fréchet distance, density and coverage of generated images, in the features of one classifier.

    The intervals cover other samples of generated images, and for coverage other real images. They are
    percentiles over bootstrap resamples. That of the Fréchet distance is the value plus and minus 1.96
    standard deviations of the resamples: these repeat images, so their distances are too large by themselves.
    `on_step` is called after every resample.
    """
    reference = mean_and_covariance(real.features)
    value = frechet_distance(mean_and_covariance(generated.features), reference)
    count = len(generated.features)
    uniform = np.full(count, 1 / count)
    resampled: list[float] = []
    while len(resampled) < FRECHET_RESAMPLES:
        weights = rng.multinomial(count, uniform).astype(np.float64)
        resampled.append(frechet_distance(mean_and_covariance(generated.features, weights), reference))
        if on_step is not None:
            on_step(len(resampled), FRECHET_RESAMPLES)
    margin = 1.96 * float(np.std(resampled, ddof=1))
    neighbourhood = compute_neighbourhood(generated.features, real.features)
    return FidelityMetrics(
        Estimate(value, value - margin, value + margin),
        bootstrap_mean(neighbourhood.density, rng),
        bootstrap_mean(neighbourhood.covered, rng),
    )


def bootstrap_mean(values: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of independent values [N], with its bootstrap interval."""
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high))


def class_entropy(counts: NDArray[Any]) -> float:
    """Shannon's entropy in bits of a distribution over classes, from its counts [10].

    It is log2(10) = 3.32 where all classes are equally frequent.
    """
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log2(1 / shares)).sum())


def estimate_class_entropy(
    predicted: NDArray[np.int64], rng: np.random.Generator
) -> tuple[tuple[int, ...], Estimate]:
    """The number of predictions [N] of each digit, and their entropy with its bootstrap interval."""
    counts = np.bincount(predicted, minlength=10)
    resampled = rng.multinomial(len(predicted), counts / len(predicted), size=_RESAMPLES)
    low, high = np.percentile([class_entropy(each) for each in resampled], (2.5, 97.5))
    return tuple(counts.tolist()), Estimate(class_entropy(counts), float(low), float(high))


def nearest_training_digits(
    images: ImageArray,
    digits: NDArray[Any],
    train: datasets.Arrays,
    device: torch.device,
    on_step: StepCallback | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """The nearest training image of the same digit for each image, by Euclidean distance in pixels.

    Args:
        images: [N, 28, 28].
        digits: their digits, [N].
        train: the training split.
        device: where to compute the distances.
        on_step: called before every digit and at the end.

    Returns:
        The distances [N] (infinite if the training split has no image of the digit) and the indices [N] in
        the training split.
    """
    distances, indices = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    for digit in range(10):
        if on_step is not None:
            on_step(digit, 10)
        ours, theirs = np.flatnonzero(digits == digit), np.flatnonzero(train.labels == digit)
        if not len(theirs):
            continue
        candidates = _pixels(train.images[theirs], device)
        for rows in np.array_split(ours, -(-len(ours) // _ROWS_AT_ONCE) or 1):
            if len(rows):
                nearest = torch.cdist(_pixels(images[rows], device), candidates).min(1)
                distances[rows] = nearest.values.cpu().numpy()
                indices[rows] = theirs[nearest.indices.cpu().numpy()]
    if on_step is not None:
        on_step(10, 10)
    return distances, indices


def _pixels(images: ImageArray, device: torch.device) -> Tensor:
    return torch.from_numpy(images).to(device).flatten(1).float()


def copy_thresholds(distances: Floats, digits: NDArray[Any]) -> Floats:
    """The distance [10], for each digit, below which an image counts as a near-duplicate.

    It is the first percentile of the finite `distances` [N] of real images of that digit, [N] in `digits`; 0
    if there is none.
    """
    of_digits = [distances[(digits == digit) & np.isfinite(distances)] for digit in range(10)]
    return np.array([np.quantile(each, NEAR_DUPLICATE_SHARE) if len(each) else 0.0 for each in of_digits])
