"""Evaluate a generator: compare its images with real ones, in the features of a classifier.

Nothing here draws or writes; `figures.py` does.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts.files import Warned
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.datasets import Arrays, is_sorted_by_label, mixed_order
from mnistctl.data.likeness import Likeness
from mnistctl.errors import DataError, UsageError, plural
from mnistctl.evaluation.fidelity import (
    NEAR_DUPLICATE_SHARE,
    Estimate,
    Features,
    bootstrap_mean,
    class_entropy,
    compute_fidelity,
    copy_thresholds,
    estimate_class_entropy,
    extract_features,
    nearest_training_digits,
)
from mnistctl.evaluation.predictions import Classifier, LabelledSplit
from mnistctl.evaluation.warnings import check_digits, compare_with_training, describe_likeness
from mnistctl.inference.forward import ProgressCallback, stage
from mnistctl.inference.sampling import MAX_SAMPLES, Samples, TrainedGenerator
from mnistctl.nn.seeding import check_seed, derive_seed
from mnistctl.schema import IN_MEMORY, Schema

_MIN_IMAGES = 100  # generated, and real
_MAX_PAIRS = 20  # near-duplicates in the figure


@dataclass(frozen=True)
class Metric(Schema):
    """A value with its 95 % bootstrap interval, and `real_reference`: the value of as many real images."""

    value: float
    low: float
    high: float
    real_reference: float


@dataclass(frozen=True)
class ReferenceClassifier(Schema):
    """The classifier in whose features images are compared, and its test accuracy in percent."""

    model: str
    path: str | None
    digest: str
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class GeneratorEvaluation(Schema):
    """The results of a generator. `near_duplicates` and `conditional_accuracy` are in percent.

    `frechet`, `density` and `coverage` compare the first `compared` images with the test images, and for
    their real reference as many training images. These are `count`, or fewer if the data set has fewer.
    `class_entropy` is in bits; `class_counts` are the numbers of images predicted as 0, 1, ... 9. The
    conditional accuracies are the shares of images predicted as the requested digit; they are None if the
    generator is not conditional. `warnings` are reasons to doubt the results. The last three fields stay out
    of the JSON: the images, their predictions [count], and the images nearest to training images above
    these, [2, n, 28, 28].
    """

    name: str
    model: str
    digest: str
    reference_classifier: ReferenceClassifier
    dataset: str
    count: int
    compared: int
    seed: int
    frechet: Metric
    density: Metric
    coverage: Metric
    near_duplicates: Metric
    class_entropy: Metric
    class_counts: tuple[int, ...]
    conditional_accuracy: Metric | None
    conditional_accuracy_by_digit: tuple[float | None, ...] | None
    warnings: tuple[Warned, ...]
    samples: Samples = field(repr=False, compare=False, metadata=IN_MEMORY)
    predicted: NDArray[np.int64] = field(repr=False, compare=False, metadata=IN_MEMORY)
    nearest_pairs: ImageArray = field(repr=False, compare=False, metadata=IN_MEMORY)


def evaluate_generator(
    generator: TrainedGenerator,
    reference_classifier: Classifier,
    train: Arrays,
    test: LabelledSplit,
    *,
    count: int = 10_000,
    seed: int = 0,
    on_progress: ProgressCallback | None = None,
) -> GeneratorEvaluation:
    """Evaluate `count` images of a generator, in memory: no file is read or written.

    A conditional generator generates the labels of the test images: in their order or, if that is sorted, in
    a random one, so that few images have all labels, too. A near-duplicate is closer to a training image of
    its digit, in pixels, than 99 % of the real test images are.

    Args:
        generator: the generator.
        reference_classifier: the classifier whose features are used.
        train: the training split; near-duplicates are searched in it.
        test: the test split; images are compared with it.
        count: number of images, at least 100.
        seed: seed of the images and of the bootstrap.
        on_progress: called after each step, with the name of the work.

    Raises:
        UsageError: `count` or `seed` is out of range.
        DataError: a split is too small.
        CheckpointError: the classifier has no features, see `extract_features`.
    """
    check_sample(count, seed)
    _check_sizes(train, test)
    samples = _draw(generator, test, count, seed, on_progress)
    rng = np.random.default_rng(derive_seed(seed, 1))
    net = reference_classifier.net
    real = extract_features(net, test.arrays.images, stage(on_progress, "features of test images"))
    generated = extract_features(net, samples.images, stage(on_progress, "features of images"))
    compared = min(count, len(train.labels))  # the metrics depend on the number of images
    fidelity = compute_fidelity(generated.first(compared), real, rng, stage(on_progress, "resamples"))
    other_real = train.images[_order(train.labels, seed)][:compared]
    other = extract_features(net, other_real, stage(on_progress, "features of real images"))
    reference = compute_fidelity(other, real, rng, stage(on_progress, "resamples of real images"))
    class_counts, entropy = estimate_class_entropy(generated.predicted, rng)
    accuracy = 100 * float((real.predicted == test.arrays.labels).mean())
    conditional, by_digit = _conditional_accuracy(samples, generated, accuracy, rng)
    duplicates, pairs = _find_near_duplicates(
        generated, train, test.arrays, reference_classifier, on_progress
    )
    return GeneratorEvaluation(
        name=generator.name,
        model=generator.model,
        digest=generator.digest,
        reference_classifier=_describe(reference_classifier, accuracy),
        dataset=test.dataset,
        count=count,
        compared=compared,
        seed=seed,
        frechet=_metric(fidelity.frechet, reference.frechet.value),
        density=_metric(fidelity.density, reference.density.value),
        coverage=_metric(fidelity.coverage, reference.coverage.value),
        near_duplicates=_metric(bootstrap_mean(100 * duplicates, rng), 100 * NEAR_DUPLICATE_SHARE),
        class_entropy=_metric(entropy, class_entropy(np.bincount(real.predicted, minlength=10))),
        class_counts=class_counts,
        conditional_accuracy=conditional,
        conditional_accuracy_by_digit=by_digit,
        warnings=_check(reference_classifier, test.arrays, generated),
        samples=samples,
        predicted=generated.predicted,
        nearest_pairs=pairs,
    )


def _draw(
    generator: TrainedGenerator,
    test: LabelledSplit,
    count: int,
    seed: int,
    on_progress: ProgressCallback | None,
) -> Samples:
    """The images to evaluate."""
    labels = test.arrays.labels
    requested = labels[_order(labels, seed)].tolist() if generator.conditional else None
    return generator.draw(count, seed, requested, stage(on_progress, "images"))


def _order(labels: NDArray[np.uint8], seed: int) -> NDArray[np.int64] | slice:
    """The order in which to take labels [N]: that of the file, unless it is sorted by label."""
    return mixed_order(labels, derive_seed(seed, 2)) if is_sorted_by_label(labels) else slice(None)


def _check(classifier: Classifier, test: Arrays, generated: Features) -> tuple[Warned, ...]:
    """Warnings about the test images, and about generated ones that look inverted or turned."""
    training = classifier.training_set
    if training is None:
        return ()
    warnings = check_digits(training, test, "reference classifier")
    drawn = Arrays(generated.images, generated.predicted.astype(np.uint8))
    likeness = Likeness(compare_with_training(training, drawn).view)
    warning = describe_likeness(likeness, training, drawn)
    if warning is not None:
        message = f"generated images, for the reference classifier: {warning.message}"
        warnings += (Warned(message, warning.kind),)
    return warnings


def check_sample(count: int, seed: int) -> None:
    """Check the number of images and the seed of an evaluation.

    Raises:
        UsageError: one is out of range.
    """
    if not _MIN_IMAGES <= count <= MAX_SAMPLES:
        raise UsageError(f"give {_MIN_IMAGES} to {MAX_SAMPLES:,}", field="count", value=count)
    check_seed(seed)


def _check_sizes(train: Arrays, test: LabelledSplit) -> None:
    """Check that there are enough real images to compare with.

    Raises:
        DataError: there are not.
    """
    for split, labels in (("training", train.labels), ("test", test.arrays.labels)):
        if len(labels) < _MIN_IMAGES:
            number = plural(len(labels), "image")
            needed = f"a comparison needs {_MIN_IMAGES} or more"
            raise DataError(f"{test.dataset}: the {split} split has {number}; {needed}")


def _describe(classifier: Classifier, accuracy: float) -> ReferenceClassifier:
    path = None if classifier.path is None else str(classifier.path)
    return ReferenceClassifier(classifier.model, path, classifier.digest, accuracy)


def _metric(estimate: Estimate, real_reference: float) -> Metric:
    return Metric(estimate.value, estimate.low, estimate.high, real_reference)


def _conditional_accuracy(
    samples: Samples, generated: Features, real_accuracy: float, rng: np.random.Generator
) -> tuple[Metric | None, tuple[float | None, ...] | None]:
    """The share in percent of images predicted as the requested digit, over all and for each digit."""
    if samples.digits is None:
        return None, None
    correct = generated.predicted == samples.digits
    overall = bootstrap_mean(100 * correct.astype(np.float64), rng)
    of_digits = [correct[samples.digits == digit] for digit in range(10)]
    by_digit = tuple(100 * float(each.mean()) if len(each) else None for each in of_digits)
    return _metric(overall, real_accuracy), by_digit


def _find_near_duplicates(
    generated: Features,
    train: Arrays,
    test: Arrays,
    classifier: Classifier,
    on_progress: ProgressCallback | None,
) -> tuple[NDArray[np.float64], ImageArray]:
    """1 for each near-duplicate among the images, else 0: [N]; and the closest pairs, [2, n, 28, 28]."""
    device = classifier.device
    distances, indices = nearest_training_digits(
        generated.images, generated.predicted, train, device, stage(on_progress, "nearest images")
    )
    real_distances, _ = nearest_training_digits(
        test.images, test.labels, train, device, stage(on_progress, "nearest of test images")
    )
    thresholds = copy_thresholds(real_distances, test.labels)[generated.predicted]
    closest = np.argsort(distances / thresholds.clip(1e-9), kind="stable")[:_MAX_PAIRS]
    pairs = np.stack((generated.images[closest], train.images[indices[closest]]))
    return (distances < thresholds).astype(np.float64), pairs
