"""Figures of evaluations: draw them from an evaluation in memory, and write them to files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistctl.artifacts import charts, grids
from mnistctl.artifacts.charts import LearningCurves, ReliabilityCurve
from mnistctl.artifacts.drawing import Chart
from mnistctl.artifacts.grids import ImageArray
from mnistctl.artifacts.image_charts import Block, Cell, digits_chart, grid_chart
from mnistctl.artifacts.outputs import CHART, Output
from mnistctl.artifacts.rounding import format_percent
from mnistctl.data import datasets
from mnistctl.errors import plural
from mnistctl.evaluation.calibration import Calibration
from mnistctl.evaluation.classifier import Evaluation
from mnistctl.evaluation.comparison import Comparison
from mnistctl.evaluation.corruptions import CORRUPTIONS
from mnistctl.evaluation.generator import GeneratorEvaluation
from mnistctl.evaluation.metrics import Mismatches

_MAX_PER_DIGIT = 5  # images of each digit in the figure of confidence extremes
_SHARED_COLUMNS, _SHARED_ROWS = 10, 8  # images in the figure of errors that all classifiers make
_MAX_MISMATCHES = 20  # images of each requested digit in a generator's figure of mismatches


# The ends of the file names of all figures that an evaluation may have.
CLASSIFIER_FIGURES = "", "-confusion", "-calibration", "-confidence-extremes", "-curves", "-corruptions"
COMPARISON_FIGURES = "-calibration", "-misread-by-all", "-curves", "-corruptions"
GENERATOR_FIGURES = "-near-duplicates", "-mismatches"
Curves = Mapping[str, LearningCurves]  # by the name of the classifier


@dataclass(frozen=True)
class FigureFiles:
    """Where the figures of an evaluation are written.

    Args:
        path: the path of the figures without the ends of their names.
        suffix: of the files: ".png", ".svg" or ".pdf".
        field: the option that named them; None if they have the default names.
    """

    path: Path
    suffix: str = ".png"
    field: str | None = None

    def planned(self, endings: Sequence[str]) -> list[Output]:
        """The files of the figures with these ends of names."""
        return [Output(self.path_of(ending), CHART, self.field) for ending in endings]

    def path_of(self, ending: str) -> Path:
        """The file of the figure with this end of its name."""
        return self.path.with_name(f"{self.path.name}{ending}{self.suffix}")


def draw_figures(
    evaluation: Evaluation | Comparison | GeneratorEvaluation, curves: Curves | None = None
) -> dict[str, Chart]:
    """The figures of an evaluation, by the end of their file name ("" or "-confusion", for example).

    Args:
        evaluation: what to draw.
        curves: the learning curves of the evaluated classifiers, as far as they are known.
    """
    if isinstance(evaluation, Comparison):
        return _draw_comparison(evaluation, curves or {})
    if isinstance(evaluation, GeneratorEvaluation):
        return _draw_generator(evaluation)
    return _draw_classifier(evaluation, curves or {})


def _draw_classifier(evaluation: Evaluation, curves: Curves) -> dict[str, Chart]:
    title = f"{evaluation.name} on {evaluation.dataset}, {evaluation.split}"
    calibration = Calibration(evaluation.ece, evaluation.calibration)
    arrays, issues = evaluation.labelled.arrays, evaluation.label_issues
    figures = {
        "": mismatch_figure(title, arrays, evaluation.mismatches, issues),
        "-confusion": confusion_figure(evaluation),
        "-calibration": calibration_figure(title, [(evaluation.name, calibration)]),
        "-confidence-extremes": confidence_extremes_figure(evaluation),
    }
    if evaluation.name in curves:
        heading = f"{evaluation.name}: learning curves"
        figures["-curves"] = charts.curves_chart(heading, curves[evaluation.name])
    if evaluation.corruption_examples is not None:
        figures["-corruptions"] = corruption_figure(arrays.images[0], evaluation.corruption_examples)
    return figures


def _draw_comparison(comparison: Comparison, curves: Curves) -> dict[str, Chart]:
    title = f"{comparison.dataset}, {comparison.split}"
    names = [*(net.name for net in comparison.nets), "ensemble"]
    calibrations = list(zip(names, comparison.calibrations, strict=True))
    figures = {"-calibration": calibration_figure(title, calibrations)}
    if comparison.misread_by_all:
        figures["-misread-by-all"] = shared_error_figure(comparison)
    if len(curves) > 1:
        figures["-curves"] = charts.compared_curves_chart("learning curves", curves)
    if comparison.corruption_examples is not None:
        image = comparison.labelled.arrays.images[0]
        figures["-corruptions"] = corruption_figure(image, comparison.corruption_examples)
    return figures


def _draw_generator(evaluation: GeneratorEvaluation) -> dict[str, Chart]:
    figures = {
        "-near-duplicates": grid_chart(
            f"{evaluation.name}: the images that are closest to training images",
            grids.tile(evaluation.nearest_pairs),
            rows=[f"generated by {evaluation.name}", f"training images of {evaluation.dataset}"],
        )
    }
    digits, predicted = evaluation.samples.digits, evaluation.predicted
    if digits is not None:
        wrong = predicted != digits
        shown = np.concatenate(
            [np.flatnonzero(wrong & (digits == digit))[:_MAX_MISMATCHES] for digit in range(10)]
        )
        grid = grids.mismatch_grid(evaluation.samples.images[shown], digits[shown], predicted[shown])
        count = f"{int(wrong.sum()):,} of {len(digits):,} images are read as another digit"
        legend = [
            f"upper rows: how {evaluation.reference_classifier.model} reads them",
            f"lower rows: the requested digit, then at most {_MAX_MISMATCHES} of the images",
        ]
        figures["-mismatches"] = grid_chart(f"{evaluation.name}: {count}", grid, legend=legend)
    return figures


def mismatch_figure(
    title: str,
    arrays: datasets.Arrays,
    mismatches: Mismatches,
    label_issues: datasets.LabelIssues | None = None,
) -> Chart:
    """A grid of the images with a wrong prediction. Predictions are inverted where the label is disputed."""
    indices = np.array(mismatches.indices, dtype=np.int64)
    true, predicted = (np.array(side, dtype=np.int64) for side in (mismatches.true, mismatches.predicted))
    disputed = np.isin(indices, label_issues.indices if label_issues else [])
    grid = grids.mismatch_grid(arrays.images[indices], true, predicted, disputed)
    legend = ["upper rows: predictions; lower rows: the true digit, then the images"] if len(indices) else []
    if len(true) and np.bincount(true).max() > grids.MAX_COLUMNS:
        legend[0] += f", at most {grids.MAX_COLUMNS} of a digit"
    if disputed.any():
        legend.append("black on white: the label is disputed")
    errors = f"{plural(len(indices), 'error')} in {plural(len(arrays.labels), 'image')}"
    return grid_chart(f"{title}: {errors}", grid, legend=legend)


def confusion_figure(evaluation: Evaluation) -> Chart:
    """The confusion matrix."""
    errors = f"{plural(len(evaluation.mismatches.indices), 'error')} in {plural(evaluation.count, 'image')}"
    title = f"{evaluation.name} on {evaluation.dataset}, {evaluation.split}: {errors}"
    return charts.confusion_chart(title, evaluation.confusion)


def calibration_figure(title: str, calibrations: Sequence[tuple[str, Calibration]]) -> Chart:
    """The reliability curve of each named classifier, and how many predictions have each confidence."""
    curves = [
        ReliabilityCurve(
            label=f"{name}: ECE {calibration.ece:.2f} %",
            confidence=[each.confidence for each in calibration.bins],
            accuracy=[each.accuracy for each in calibration.bins],
            counts=[each.count for each in calibration.bins],
            histogram=calibration.counts(),
        )
        for name, calibration in calibrations
    ]
    return charts.calibration_chart(title, curves)


def confidence_extremes_figure(evaluation: Evaluation) -> Chart:
    """For each digit, the most confident errors and the least confident correct predictions."""
    labels, images = evaluation.labelled.arrays.labels, evaluation.labelled.arrays.images
    predicted, confidence = evaluation.predictions.predicted, evaluation.predictions.probabilities.max(1)
    issues = evaluation.label_issues

    def cell(index: int, prediction: str) -> Cell:
        framed = issues is not None and index in issues.indices
        return Cell(images[index], f"{prediction}{format_percent(100 * confidence[index], 0, 0)} %", framed)

    most_confident, least_confident = [], []
    for digit in range(10):
        of_digit = np.flatnonzero(labels == digit)
        wrong = of_digit[predicted[of_digit] != digit]
        right = of_digit[predicted[of_digit] == digit]
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MAX_PER_DIGIT]
        right = right[np.argsort(confidence[right])][:_MAX_PER_DIGIT]
        most_confident.append([cell(index, f"{predicted[index]}, ") for index in wrong])
        least_confident.append([cell(index, "") for index in right])
    blocks = (
        Block("most confident errors: prediction", most_confident),
        Block("least confident correct predictions", least_confident),
    )
    note = "" if issues is None else "; framed: disputed label"
    title = f"{evaluation.name} on {evaluation.dataset}, {evaluation.split}{note}"
    return digits_chart(title, [str(digit) for digit in range(10)], blocks)


def shared_error_figure(comparison: Comparison) -> Chart:
    """The first images that every classifier gets wrong, with the true digit and the predictions."""
    separator = " " if len(comparison.nets) < 4 else ""  # with more predictions there is no room for spaces
    errors, issues = comparison.misread_by_all, comparison.label_issues
    cells = [
        Cell(
            comparison.labelled.arrays.images[error.index],
            f"{error.true}: {separator.join(map(str, error.predicted))}",
            issues is not None and error.index in issues.indices,
        )
        for error in errors[: _SHARED_COLUMNS * _SHARED_ROWS]
    ]
    rows = [cells[start : start + _SHARED_COLUMNS] for start in range(0, len(cells), _SHARED_COLUMNS)]
    shown = f"the first {len(cells)} of {len(errors):,}" if len(errors) > len(cells) else str(len(errors))
    heading = f"{shown} errors common to all; predictions by {', '.join(net.name for net in comparison.nets)}"
    note = "; framed: disputed label" if any(cell.framed for cell in cells) else ""
    title = f"{comparison.dataset}, {comparison.split}{note}"
    return digits_chart(title, [""] * len(rows), [Block(heading, rows)])


def corruption_figure(image: ImageArray, examples: ImageArray) -> Chart:
    """An image [28, 28] and its corrupted versions [R, 28, 28], in the order of `evaluate_corruptions`."""
    remaining = iter(examples)
    rows: Sequence[list[Cell]] = [
        [Cell(next(remaining), f"{severity:g}") for severity in corruption.severities]
        for corruption in CORRUPTIONS
    ]
    blocks = (
        Block("original", [[Cell(image, "")] for _ in CORRUPTIONS]),
        Block("corrupted, by severity", rows),
    )
    labels = [f"{corruption.kind},\n{corruption.unit}" for corruption in CORRUPTIONS]
    return digits_chart("the first image under each corruption", labels, blocks)
