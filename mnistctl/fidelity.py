"""A trained generator judged: how like real digits what it draws is, in a classifier's eyes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl import checkpoint, compute, datasets, draws, figures, nets
from mnistctl.errors import DataError, UsageError
from mnistctl.events import Saved
from mnistctl.generation import Generator, outputs

NEAREST = 5  # neighbours whose distance is a real digit's radius, as Naeem et al. take it
_LEAST = 100  # pictures, of either side
_RESAMPLED = 1000  # times; the Frechet distance _RESAMPLED_DISTANCES times
_RESAMPLED_DISTANCES = 40
_PICTURED = 20  # of what was misread for each digit, and of the nearest
_ROWS_AT_ONCE = 1000  # of a table of distances
_COPIES = 0.01  # the share of real test digits that counts as near copies

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % bootstrap interval: how far other draws of as many pictures would move it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Seen:
    """Pictures [N, 28, 28] as a classifier sees them: its features [N, F] and the digits [N] it reads."""

    images: figures.Picture
    features: Tensor
    read: NDArray[np.int64]


@dataclass(frozen=True)
class Fidelity:
    """What a judge makes of N generated digits; each floor is what it makes of as many real ones."""

    model: str
    digest: str
    judge: dict[str, Any]  # model, path, digest, and accuracy on the test digits in percent
    dataset: str
    digits: int
    seed: int
    frechet: Estimate
    frechet_floor: float
    density: Estimate
    density_floor: float
    coverage: Estimate
    coverage_floor: float
    copies: Estimate  # percent
    copies_floor: float
    entropy: Estimate  # bits
    entropy_floor: float
    classes: tuple[int, ...]  # so many read as 0, as 1, ...
    asked: Estimate | None  # percent read as asked, of a generator that can be asked
    asked_by_digit: tuple[float | None, ...] | None
    saved: tuple[Saved, ...]


def see(judge: nn.Module, images: figures.Picture) -> Seen:
    """Look at pictures through the classifier `judge`, dropout off.

    The features are what its last linear layer is given: of conv, the 500 outputs behind the last relu.
    """
    linear = [module for module in judge.modules() if isinstance(module, nn.Linear)]
    given: list[Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].float()))
    try:
        told = outputs(judge, images)
    finally:
        hook.remove()
    return Seen(images, torch.cat(given).flatten(1), told.argmax(1).cpu().numpy())


def moments(features: Tensor, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The mean [F] and covariance [F, F] of features [N, F], each counted `weights` times (once if None)."""
    values = features.cpu().numpy().astype(np.float64)
    counts = np.ones(len(values)) if weights is None else weights
    mean = counts @ values / counts.sum()
    centred = values - mean
    return mean, (centred.T * counts) @ centred / (counts.sum() - 1)


def frechet(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
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


def neighbourhood(drawn: Tensor, real: Tensor) -> Neighbourhood:
    """Density and coverage of drawn features [N, F] among real ones [M, F].

    Density: in how many real digits' radii a drawn one lies, over NEAREST; coverage: the share of real digits
    that have a drawn one in their radius (Naeem et al., arXiv 2002.09797, equations 4 and 5).
    """
    radii = torch.cat(
        [
            torch.cdist(part, real).topk(NEAREST + 1, largest=False).values[:, -1]
            for part in real.split(_ROWS_AT_ONCE)
        ]
    )  # one more neighbour, since each digit is also its own
    inside, nearest = [], torch.full_like(radii, float("inf"))
    for part in drawn.split(_ROWS_AT_ONCE):
        between = torch.cdist(part, real)
        inside.append((between <= radii).sum(1) / NEAREST)
        nearest = torch.minimum(nearest, between.min(0).values)
    return Neighbourhood(*(t.cpu().numpy().astype(np.float64) for t in (torch.cat(inside), nearest, radii)))


@dataclass(frozen=True)
class Likeness:
    """How near pictures come to real digits in a judge's features, all at once and one by one."""

    frechet: Estimate
    density: Estimate
    coverage: Estimate


def likeness(seen: Seen, real: Seen, rng: np.random.Generator) -> Likeness:
    """Frechet distance, density and coverage of pictures among `real` ones, as the same judge sees both.

    The intervals are those of drawing as many pictures again, for coverage those of other real digits:
    percentiles over resamples, but for the Frechet distance 1.96 standard deviations, since a resample, with
    its repetitions, lies farther off than what it is drawn from.
    """
    theirs = moments(real.features)
    value = frechet(moments(seen.features), theirs)
    count = len(seen.features)
    even = np.full(count, 1 / count)
    again = [
        frechet(moments(seen.features, rng.multinomial(count, even).astype(np.float64)), theirs)
        for _ in range(_RESAMPLED_DISTANCES)
    ]
    margin = 1.96 * float(np.std(again, ddof=1))
    among = neighbourhood(seen.features, real.features)
    return Likeness(
        Estimate(value, value - margin, value + margin),
        mean_of(among.density, rng),
        mean_of(among.covered, rng),
    )


def mean_of(values: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of independent values [N] with its bootstrap interval."""
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLED)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high))


def entropy(counts: NDArray[Any]) -> float:
    """Shannon's entropy in bits of a class drawn as `counts` [10] say: log2(10) = 3.32 where all are even."""
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log2(1 / shares)).sum())


def spread_of(read: NDArray[np.int64], rng: np.random.Generator) -> tuple[tuple[int, ...], Estimate]:
    """How many were read as each digit, and the entropy of that with its bootstrap interval."""
    counts = np.bincount(read, minlength=10)
    again = rng.multinomial(len(read), counts / len(read), size=_RESAMPLED)
    low, high = np.percentile([entropy(each) for each in again], (2.5, 97.5))
    return tuple(counts.tolist()), Estimate(entropy(counts), float(low), float(high))


def nearest(
    images: figures.Picture, digits: NDArray[Any], train: datasets.Arrays, device: torch.device
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


def _pixels(images: figures.Picture, device: torch.device) -> Tensor:
    return torch.from_numpy(images).to(device).flatten(1).float()


def close_enough(distances: Floats, digits: NDArray[Any]) -> Floats:
    """For each kind of digit [10], the distance within which one in a hundred of `distances` [N] lies."""
    return np.array(
        [np.quantile(of, _COPIES) if len(of := distances[digits == d]) else 0.0 for d in range(10)]
    )


def evaluate(
    path: Path,
    *,
    judge: Path,
    data_dir: Path,
    out_dir: Path,
    dataset: str = "mnist",
    count: int = 10_000,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
) -> Fidelity:
    """Judge the generator in the checkpoint at `path` by the classifier in that at `judge`.

    A generator that can be asked for digits is asked for the labels of the test digits in their order. A near
    copy lies nearer to a training digit of its kind, in pixels, than 99 in 100 real test digits do. Under
    `out_dir` it writes the pictures nearest to training digits, above these, and some of those not read as
    asked, in the layout of mismatches.

    Raises:
        CheckpointError: no such checkpoint, or not one of the kind that is needed.
        DataError, UsageError, OutputError: as `runs.train`.
    """
    if count < _LEAST:
        raise UsageError(f"-n {count}: too few to be judged; give {_LEAST} or more")
    generator = Generator.of(path, device, threads)
    where = compute.device(device)
    reader, reading = nets.classifier(judge)
    reading = reading.to(where)
    train, _ = datasets.load(dataset, data_dir, "train")
    test, _ = datasets.load(dataset, data_dir, "test")
    if len(test.labels) < _LEAST:
        raise DataError(f"{dataset} has {len(test.labels)} test digits, too few to judge by")
    drawn = generator.draw(count, seed, test.labels.tolist() if generator.conditional else None)

    rng = np.random.default_rng(draws.stream(seed, 1))
    real, seen = see(reading, test.images), see(reading, drawn.images)
    ours, floor = likeness(seen, real, rng), likeness(see(reading, train.images[:count]), real, rng)
    classes, spread = spread_of(seen.read, rng)
    distances, place = nearest(drawn.images, seen.read, train, where)
    usual = close_enough(nearest(test.images, test.labels, train, where)[0], test.labels)[seen.read]

    closest = np.argsort(distances / usual.clip(1e-9), kind="stable")[:_PICTURED]
    saved = [
        _picture(
            out_dir,
            path,
            "copies",
            figures.grid(np.stack((drawn.images[closest], train.images[place[closest]]))),
        )
    ]
    asked, by_digit = None, None
    if drawn.digits is not None:
        right = seen.read == drawn.digits
        asked = mean_of(100 * right.astype(np.float64), rng)
        of_digit = [right[drawn.digits == digit] for digit in range(10)]
        by_digit = tuple(100 * float(of.mean()) if len(of) else None for of in of_digit)
        wrong = np.concatenate([np.flatnonzero(~right & (drawn.digits == d))[:_PICTURED] for d in range(10)])
        misread = figures.mismatch_grid(drawn.images[wrong], drawn.digits[wrong], seen.read[wrong])
        saved.append(_picture(out_dir, path, "misread", misread))
    return Fidelity(
        model=generator.model,
        digest=generator.digest,
        judge={
            "model": reader,
            "path": str(judge),
            "digest": checkpoint.digest(reading.state_dict()),
            "accuracy": 100 * float((real.read == test.labels).mean()),
        },
        dataset=dataset,
        digits=count,
        seed=seed,
        frechet=ours.frechet,
        frechet_floor=floor.frechet.value,
        density=ours.density,
        density_floor=floor.density.value,
        coverage=ours.coverage,
        coverage_floor=floor.coverage.value,
        copies=mean_of(100 * (distances < usual).astype(np.float64), rng),
        copies_floor=100 * _COPIES,
        entropy=spread,
        entropy_floor=entropy(np.bincount(real.read, minlength=10)),
        classes=classes,
        asked=asked,
        asked_by_digit=by_digit,
        saved=tuple(saved),
    )


def _picture(out_dir: Path, path: Path, what: str, picture: figures.Picture) -> Saved:
    target = out_dir / f"{path.stem}-eval-{what}.png"
    figures.write_png(target, picture)
    return Saved(str(target))
