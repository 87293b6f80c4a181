"""The page of one or several classifiers: to draw on, to look inside, and the report of their evaluation."""

import copy
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistctl import __version__
from mnistctl.artifacts.files import Warned
from mnistctl.data.datasets import LabelIssues
from mnistctl.data.likeness import AS_THEY_ARE, view_of_mnist
from mnistctl.errors import plural
from mnistctl.evaluation.calibration import Bin, compute_calibration
from mnistctl.evaluation.comparison import Comparison, Pair, Scores
from mnistctl.evaluation.metrics import DigitMetrics, compute_confusion, compute_digit_metrics
from mnistctl.evaluation.predictions import (
    Classifier,
    LabelledSplit,
    ModelPredictions,
    accuracy_interval,
    accuracy_without_label_issues,
)
from mnistctl.pages.description import NetDescription, describe_classifier
from mnistctl.pages.document import PageContent, check_size, encode, max_bytes, render
from mnistctl.schema import Schema

_COMPARED = 200  # images on which a description is compared with its net
_NUMBERS_OF_DIGITS = (10_000, 5_000, 2_000, 500, 100)  # in a page: the largest number with which it fits
_REST = 300_000  # bytes of a page without weights and with few digits, about
_DECIMALS = 4  # of probabilities


@dataclass(frozen=True, kw_only=True)
class NetReport(Schema):
    """A net in a page and its results, as the page's scripts read them. Rates are in percent.

    Args:
        name: of the net.
        model, digest, parameters: as in the results of an evaluation.
        net: the net's description.
        loss, accuracy, accuracy_interval, accuracy_without_label_issues, ece, calibration, confusion,
            per_digit: likewise.
        wrong: number of misread digits.
        predicted: the digit that was read in each image of the page.
        confidence: the probability of that digit.
        probabilities: of all ten digits, by the place of a misread image in the page.
        record: the record of the training; None if it is not known.
    """

    name: str
    model: str
    digest: str
    parameters: int
    net: dict[str, object]
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    accuracy_without_label_issues: float | None
    ece: float
    calibration: tuple[Bin, ...]
    confusion: list[list[int]]
    per_digit: tuple[DigitMetrics, ...]
    wrong: int
    predicted: list[int]
    confidence: list[float]
    probabilities: dict[str, list[float]]
    record: dict[str, object] | None


@dataclass(frozen=True, kw_only=True)
class PageDigits(Schema):
    """The digits in a page.

    Args:
        split: `test`, for example.
        count: number of digits of the evaluation.
        indices: of those in the page, in the order of the file.
        labels: their labels.
        images: their pixels, 784 bytes each, compressed with zlib, in base 64.
        all_misread: whether every digit that a net misreads is in the page.
        disputed: indices of all digits of the evaluation with a disputed label.
        dispute: what that means.
    """

    split: str
    count: int
    indices: list[int]
    labels: list[int]
    images: str
    all_misread: bool
    disputed: tuple[int, ...]
    dispute: str


@dataclass(frozen=True, kw_only=True)
class ClassifierPage(Schema):
    """All that the scripts of a page of classifiers read.

    Args:
        kind: "classifiers".
        version: of mnistctl.
        title, subtitle: the heading.
        nets: the nets and their results.
        digits: the digits in the page.
        warnings: reasons to doubt the results.
        ensemble, pairs: as in the comparison of several nets; None and empty for one net.
    """

    kind: str = "classifiers"
    version: str = __version__
    title: str
    subtitle: str
    nets: tuple[NetReport, ...]
    digits: PageDigits
    warnings: tuple[str, ...]
    ensemble: Scores | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class PageNet:
    """A net that a page can compute: the classifier, its description, and the record of its training."""

    classifier: Classifier
    description: NetDescription
    record: Schema | None = None


def describe_nets(
    classifiers: Sequence[Classifier], labelled: LabelledSplit, records: Sequence[Schema | None]
) -> list[PageNet]:
    """The nets for a page. Called before they are evaluated, so that a net that no page can have ends early.

    Args:
        classifiers: the nets.
        labelled: the images that they will be evaluated on.
        records: the record of the training of each, as far as they are known.

    Raises:
        UsageError: a net has a layer that a page cannot compute, or the page would be too large.
    """
    nets = []
    for classifier, record in zip(classifiers, records, strict=True):
        training = classifier.training_set
        view = AS_THEY_ARE if training is None else view_of_mnist(training)
        net = copy.deepcopy(classifier.net)  # describing moves it to the CPU
        images = labelled.arrays.images[:_COMPARED]
        description = describe_classifier(net, images, model=classifier.model, view=view)
        nets.append(PageNet(classifier, description, record))
    weights = sum(net.description.numbers.nbytes for net in nets)
    check_size(weights * 4 // 3 + _REST, max_bytes(len(nets)))  # base 64 has four characters for three bytes
    return nets


def render_classifiers(
    nets: Sequence[PageNet],
    predictions: Sequence[ModelPredictions],
    labelled: LabelledSplit,
    *,
    warnings: Sequence[Warned] = (),
    comparison: Comparison | None = None,
) -> bytes:
    """The page of classifiers as an HTML file.

    It has as many of the digits as there is room for, at most 10,000, misread ones first.

    Args:
        nets: the nets.
        predictions: of each of them on `labelled`.
        labelled: the images and labels of the evaluation.
        warnings: reasons to doubt the results.
        comparison: of the nets, if there are several.

    Raises:
        UsageError: the page is too large with 100 digits.
    """
    limit = max_bytes(len(nets))
    page = b""
    for number in _NUMBERS_OF_DIGITS:
        places = _choose_digits(predictions, labelled, number)
        data = _page_data(nets, predictions, labelled, places, warnings, comparison)
        page = render(PageContent(data.title, data.to_json()))
        if len(page) <= limit:
            return page
    check_size(len(page), limit)
    return page


def _choose_digits(
    predictions: Sequence[ModelPredictions], labelled: LabelledSplit, number: int
) -> NDArray[np.int64]:
    """The indices of at most `number` digits in order, those that a net misreads before all others."""
    wrong = np.any([each.predicted != labelled.arrays.labels for each in predictions], axis=0)
    first = np.argsort(~wrong, kind="stable")[:number]
    return np.sort(first)


def _page_data(
    nets: Sequence[PageNet],
    predictions: Sequence[ModelPredictions],
    labelled: LabelledSplit,
    places: NDArray[np.int64],
    warnings: Sequence[Warned],
    comparison: Comparison | None,
) -> ClassifierPage:
    names = ", ".join(net.classifier.name for net in nets)
    count = plural(len(labelled.arrays.labels), "digit")
    return ClassifierPage(
        title=names,
        subtitle=f"evaluated on {labelled.dataset}, {labelled.split}: {count}",
        nets=tuple(
            _net_report(net, each, labelled, places) for net, each in zip(nets, predictions, strict=True)
        ),
        digits=_page_digits(predictions, labelled, places),
        warnings=tuple(warning.message for warning in warnings),
        ensemble=None if comparison is None else comparison.ensemble,
        pairs=() if comparison is None else comparison.pairs,
    )


def _net_report(
    net: PageNet, predictions: ModelPredictions, labelled: LabelledSplit, places: NDArray[np.int64]
) -> NetReport:
    labels, predicted = labelled.arrays.labels, predictions.predicted
    wrong = predicted != labels
    calibration = compute_calibration(predictions.probabilities, labels)
    confusion = compute_confusion(labels, predicted)
    probabilities = predictions.probabilities.round(_DECIMALS)
    return NetReport(
        name=net.classifier.name,
        model=net.classifier.model,
        digest=net.classifier.digest,
        parameters=sum(p.numel() for p in net.classifier.net.parameters()),
        net=net.description.to_json(),
        loss=predictions.score.loss,
        accuracy=predictions.score.accuracy,
        accuracy_interval=accuracy_interval(predicted, labels),
        accuracy_without_label_issues=accuracy_without_label_issues(predicted, labelled),
        ece=calibration.ece,
        calibration=calibration.bins,
        confusion=confusion,
        per_digit=compute_digit_metrics(confusion),
        wrong=int(wrong.sum()),
        predicted=predicted[places].tolist(),
        confidence=probabilities.max(1)[places].tolist(),
        probabilities={
            str(place): probabilities[index].tolist() for place, index in enumerate(places) if wrong[index]
        },
        record=None if net.record is None else _without_mismatches(net.record),
    )


def _without_mismatches(record: Schema) -> dict[str, object]:
    """The record without the misread images, which the page has from the evaluation."""
    return {key: value for key, value in record.to_json().items() if key != "mismatches"}


def _page_digits(
    predictions: Sequence[ModelPredictions], labelled: LabelledSplit, places: NDArray[np.int64]
) -> PageDigits:
    arrays, issues = labelled.arrays, labelled.label_issues
    wrong = np.any([each.predicted != arrays.labels for each in predictions], axis=0)
    return PageDigits(
        split=labelled.split,
        count=len(arrays.labels),
        indices=places.tolist(),
        labels=arrays.labels[places].tolist(),
        images=encode(zlib.compress(arrays.images[places].tobytes())),
        all_misread=int(wrong[places].sum()) == int(wrong.sum()),
        disputed=() if issues is None else issues.indices,
        dispute="" if issues is None else _dispute(issues),
    )


def _dispute(issues: LabelIssues) -> str:
    return f"Its label is disputed. Such labels are {issues.meaning}. Source: {issues.source}."
