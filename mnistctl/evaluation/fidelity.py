"""How close generated digits are to real ones, in the features of a classifier."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl.artifacts import grids
from mnistctl.data import datasets
from mnistctl.inference.forward import compute_image_logits

K_NEAREST = 5  # neighbours whose distance is a real digit's radius, as Naeem et al. take it
_RESAMPLES = 1000  # times; the Frechet distance _RESAMPLED_DISTANCES times
FRECHET_RESAMPLES = 40
_ROWS_AT_ONCE = 1000  # of a table of distances
NEAR_DUPLICATE_SHARE = 0.01  # the share of real test digits that counts as near copies
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % bootstrap interval: how far other draws of as many pictures would move it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Features:
    """Pictures [N, 28, 28] as a classifier sees them: its features [N, F] and the digits [N] it reads."""

    images: grids.ImageArray
    features: Tensor
    read: NDArray[np.int64]


def extract_features(judge: nn.Module, images: grids.ImageArray) -> Features:
    """Look at pictures through the classifier `judge`, dropout off.

    The features are what its last linear layer is given: of conv, the 500 outputs behind the last relu.
    """
    linear = [module for module in judge.modules() if isinstance(module, nn.Linear)]
    given: list[Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].float()))
    try:
        told = compute_image_logits(judge, images)
    finally:
        hook.remove()
    return Features(images, torch.cat(given).flatten(1), told.argmax(1).cpu().numpy())


def mean_and_covariance(features: Tensor, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The mean [F] and covariance [F, F] of features [N, F], each counted `weights` times (once if None)."""
    values = features.cpu().numpy().astype(np.float64)
    counts = np.ones(len(values)) if weights is None else weights
    mean = counts @ values / counts.sum()
    centred = values - mean
    return mean, (centred.T * counts) @ centred / (counts.sum() - 1)


def frechet_distance(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
    """The squared Frechet distance of two Gaussians given by mean and covariance.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau, 1982; of a net's features: Heusel et al.,
    arXiv 1706.08500, equation 6). The root's trace is that of (S C2 S)^(1/2), S = C1^(1/2), whose matrix is
    symmetric.
    """
    (mean_a, spread_a), (mean_b, spread_b) = a, b
    values, vectors = np.linalg.eigh(spread_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ spread_b @ root)
    between = ((mean_a - mean_b) ** 2).sum()
    apart = between + np.trace(spread_a) + np.trace(spread_b) - 2 * np.sqrt(product.clip(0)).sum()
    return max(0.0, float(apart))


@dataclass(frozen=True)
class Neighbourhood:
    """How drawn digits lie among real ones: the density of each, and which real ones they cover."""

    density: Floats  # [N]; its mean is the density
    nearest: Floats  # [M]: of each real digit, the distance to the nearest drawn one
    radii: Floats  # [M]: of each real digit, the distance to its NEAREST-th real neighbour

    @property
    def covered(self) -> Floats:
        """[M]: 1 for each real digit in whose radius a drawn one lies, else 0; its mean is the coverage."""
        return (self.nearest <= self.radii).astype(np.float64)


def compute_neighbourhood(drawn: Tensor, real: Tensor) -> Neighbourhood:
    """Density and coverage of drawn features [N, F] among real ones [M, F].

    Density: in how many real digits' radii a drawn one lies, over NEAREST; coverage: the share of real digits
    that have a drawn one in their radius (Naeem et al., arXiv 2002.09797, equations 4 and 5).
    """
    radii = torch.cat(
        [
            torch.cdist(part, real).topk(K_NEAREST + 1, largest=False).values[:, -1]
            for part in real.split(_ROWS_AT_ONCE)
        ]
    )  # one more neighbour, since each digit is also its own
    inside, nearest = [], torch.full_like(radii, float("inf"))
    for part in drawn.split(_ROWS_AT_ONCE):
        between = torch.cdist(part, real)
        inside.append((between <= radii).sum(1) / K_NEAREST)
        nearest = torch.minimum(nearest, between.min(0).values)
    return Neighbourhood(*(t.cpu().numpy().astype(np.float64) for t in (torch.cat(inside), nearest, radii)))


@dataclass(frozen=True)
class FidelityMetrics:
    """How near pictures come to real digits in a judge's features, all at once and one by one."""

    frechet: Estimate
    density: Estimate
    coverage: Estimate


def compute_fidelity(seen: Features, real: Features, rng: np.random.Generator) -> FidelityMetrics:
    """Frechet distance, density and coverage of pictures among `real` ones, as the same judge sees both.

    The intervals are those of drawing as many pictures again, for coverage those of other real digits:
    percentiles over resamples, but for the Frechet distance 1.96 standard deviations, since a resample, with
    its repetitions, lies farther off than what it is drawn from.
    """
    theirs = mean_and_covariance(real.features)
    value = frechet_distance(mean_and_covariance(seen.features), theirs)
    count = len(seen.features)
    even = np.full(count, 1 / count)
    again = [
        frechet_distance(
            mean_and_covariance(seen.features, rng.multinomial(count, even).astype(np.float64)), theirs
        )
        for _ in range(FRECHET_RESAMPLES)
    ]
    margin = 1.96 * float(np.std(again, ddof=1))
    among = compute_neighbourhood(seen.features, real.features)
    return FidelityMetrics(
        Estimate(value, value - margin, value + margin),
        bootstrap_mean(among.density, rng),
        bootstrap_mean(among.covered, rng),
    )


def bootstrap_mean(values: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of independent values [N] with its bootstrap interval."""
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high))


def class_entropy(counts: NDArray[Any]) -> float:
    """Shannon's entropy in bits of a class drawn as `counts` [10] say: log2(10) = 3.32 where all are even."""
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log2(1 / shares)).sum())


def estimate_class_entropy(
    read: NDArray[np.int64], rng: np.random.Generator
) -> tuple[tuple[int, ...], Estimate]:
    """How many were read as each digit, and the entropy of that with its bootstrap interval."""
    counts = np.bincount(read, minlength=10)
    again = rng.multinomial(len(read), counts / len(read), size=_RESAMPLES)
    low, high = np.percentile([class_entropy(each) for each in again], (2.5, 97.5))
    return tuple(counts.tolist()), Estimate(class_entropy(counts), float(low), float(high))


def nearest_training_digits(
    images: grids.ImageArray, digits: NDArray[Any], train: datasets.Arrays, device: torch.device
) -> tuple[Floats, NDArray[np.int64]]:
    """Of each picture [N], the distance in pixels to the nearest training digit of its kind; its index."""
    found, place = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    for digit in range(10):
        ours, theirs = np.flatnonzero(digits == digit), np.flatnonzero(train.labels == digit)
        if not len(theirs):
            continue
        known = _pixels(train.images[theirs], device)
        for part in np.array_split(ours, -(-len(ours) // _ROWS_AT_ONCE) or 1):
            if len(part):
                least = torch.cdist(_pixels(images[part], device), known).min(1)
                found[part], place[part] = least.values.cpu().numpy(), theirs[least.indices.cpu().numpy()]
    return found, place


def _pixels(images: grids.ImageArray, device: torch.device) -> Tensor:
    return torch.from_numpy(images).to(device).flatten(1).float()


def copy_thresholds(distances: Floats, digits: NDArray[Any]) -> Floats:
    """For each kind of digit [10], the distance within which one in a hundred of `distances` [N] lies."""
    return np.array(
        [
            np.quantile(of, NEAR_DUPLICATE_SHARE) if len(of := distances[digits == d]) else 0.0
            for d in range(10)
        ]
    )
