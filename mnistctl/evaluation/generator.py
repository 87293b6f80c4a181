"""A trained generator judged: how like real digits what it draws is, in a classifier's eyes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistctl.artifacts import checkpoint, grids
from mnistctl.artifacts.files import Saved
from mnistctl.data import datasets
from mnistctl.errors import DataError, UsageError
from mnistctl.evaluation.fidelity import (
    NEAR_DUPLICATE_SHARE,
    Estimate,
    bootstrap_mean,
    class_entropy,
    compute_fidelity,
    copy_thresholds,
    estimate_class_entropy,
    extract_features,
    nearest_training_digits,
)
from mnistctl.inference import load
from mnistctl.inference.sampling import TrainedGenerator
from mnistctl.nn.device import get_device
from mnistctl.nn.seeding import derive_seed

_MIN_DIGITS = 100  # pictures, of either side
_MAX_SHOWN = 20  # of what was misread for each digit, and of the nearest


@dataclass(frozen=True)
class GeneratorEvaluation:
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


def evaluate_generator(
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
) -> GeneratorEvaluation:
    """Judge the generator in the checkpoint at `path` by the classifier in that at `judge`.

    A generator that can be asked for digits is asked for the labels of the test digits in their order. A near
    copy lies nearer to a training digit of its kind, in pixels, than 99 in 100 real test digits do. Under
    `out_dir` it writes the pictures nearest to training digits, above these, and some of those not read as
    asked, in the layout of mismatches.

    Raises:
        CheckpointError: no such checkpoint, or not one of the kind that is needed.
        DataError, UsageError, OutputError: as `runs.train`.
    """
    if count < _MIN_DIGITS:
        raise UsageError(f"-n {count}: too few to be judged; give {_MIN_DIGITS} or more")
    generator = TrainedGenerator.of(path, device, threads)
    where = get_device(device)
    reader, reading = load.load_classifier(judge)
    reading = reading.to(where)
    train, _ = datasets.load(dataset, data_dir, "train")
    test, _ = datasets.load(dataset, data_dir, "test")
    if len(test.labels) < _MIN_DIGITS:
        raise DataError(f"{dataset} has {len(test.labels)} test digits, too few to judge by")
    drawn = generator.draw(count, seed, test.labels.tolist() if generator.conditional else None)

    rng = np.random.default_rng(derive_seed(seed, 1))
    real, seen = extract_features(reading, test.images), extract_features(reading, drawn.images)
    ours, floor = (
        compute_fidelity(seen, real, rng),
        compute_fidelity(extract_features(reading, train.images[:count]), real, rng),
    )
    classes, spread = estimate_class_entropy(seen.read, rng)
    distances, place = nearest_training_digits(drawn.images, seen.read, train, where)
    usual = copy_thresholds(nearest_training_digits(test.images, test.labels, train, where)[0], test.labels)[
        seen.read
    ]

    closest = np.argsort(distances / usual.clip(1e-9), kind="stable")[:_MAX_SHOWN]
    saved = [
        _save_figure(
            out_dir,
            path,
            "copies",
            grids.tile(np.stack((drawn.images[closest], train.images[place[closest]]))),
        )
    ]
    asked, by_digit = None, None
    if drawn.digits is not None:
        right = seen.read == drawn.digits
        asked = bootstrap_mean(100 * right.astype(np.float64), rng)
        of_digit = [right[drawn.digits == digit] for digit in range(10)]
        by_digit = tuple(100 * float(of.mean()) if len(of) else None for of in of_digit)
        wrong = np.concatenate([np.flatnonzero(~right & (drawn.digits == d))[:_MAX_SHOWN] for d in range(10)])
        misread = grids.mismatch_grid(drawn.images[wrong], drawn.digits[wrong], seen.read[wrong])
        saved.append(_save_figure(out_dir, path, "misread", misread))
    return GeneratorEvaluation(
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
        copies=bootstrap_mean(100 * (distances < usual).astype(np.float64), rng),
        copies_floor=100 * NEAR_DUPLICATE_SHARE,
        entropy=spread,
        entropy_floor=class_entropy(np.bincount(real.read, minlength=10)),
        classes=classes,
        asked=asked,
        asked_by_digit=by_digit,
        saved=tuple(saved),
    )


def _save_figure(out_dir: Path, path: Path, what: str, picture: grids.ImageArray) -> Saved:
    target = out_dir / f"{path.stem}-eval-{what}.png"
    grids.write_png(target, picture)
    return Saved(str(target))
