"""Print evaluations: of one classifier, of several, of a generator, and predictions for image files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import TextColumn
from rich.text import Text

from mnistctl.artifacts import files
from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.output.show import print_digits
from mnistctl.cli.output.terminal import (
    plain_table,
    print_error,
    print_json,
    print_line,
    print_table,
    print_warning,
    progress_bar,
)
from mnistctl.cli.output.train import print_mismatches
from mnistctl.errors import plural
from mnistctl.inference.accuracy import LEVEL

if TYPE_CHECKING:
    from mnistctl.data.datasets import LabelIssues
    from mnistctl.evaluation.classifier import Evaluation
    from mnistctl.evaluation.comparison import Comparison, Pair, Scores
    from mnistctl.evaluation.corruptions import CorruptionScore
    from mnistctl.evaluation.generator import GeneratorEvaluation, Metric
    from mnistctl.inference.export import OnnxExport
    from mnistctl.inference.predict import Predictions

_MAX_SHARED = 20  # rows in the table of errors that all classifiers make
_ISSUE_NOTE = "* disputed label: fewer than 3 of 5 raters chose it"


def evaluation_progress() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """Progress bars for the parts of an evaluation, on a terminal. Yields the function that advances them."""
    return progress_bar(TextColumn("{task.completed}/{task.total}", markup=False))


def print_paths(paths: Sequence[Path]) -> None:
    """Print the paths of the files that were written, without stdout."""
    for path in paths:
        if not files.is_stdout(path):
            print_line(f"wrote {path}")


def print_evaluation(
    evaluation: "Evaluation",
    *,
    export: "OnnxExport | None",
    notes: Sequence[str],
    paths: Sequence[Path],
    quiet: bool,
    json: bool,
) -> None:
    """Print the results of one classifier: scores, metrics per digit, confusion matrix, errors."""
    for warning in evaluation.warnings:
        print_warning(warning)
    if json:
        written = {
            "onnx": None if export is None else export.to_json(),
            "paths": [str(path) for path in paths],
        }
        print_json(evaluation.to_json() | {"notes": list(notes)} | written)
        return
    if quiet:
        print_line(format_percent(evaluation.accuracy))
        return
    count = plural(evaluation.count, "image")
    print_line(f"{evaluation.model} on {evaluation.dataset}, {evaluation.split}: {count}")
    print_line(f"loss: {evaluation.loss:.4f}")
    interval = " to ".join(map(format_percent, evaluation.accuracy_interval))
    print_line(f"accuracy: {format_percent(evaluation.accuracy)} %, 95 % interval {interval} %", "bold green")
    issues = evaluation.label_issues
    if issues is not None and evaluation.accuracy_without_label_issues is not None:
        accuracy = format_percent(evaluation.accuracy_without_label_issues)
        print_line(f"accuracy {_without_issues(issues, evaluation.split)}: {accuracy} %")
    print_line(f"expected calibration error: {evaluation.ece:.2f} %")
    _print_digit_metrics(evaluation)
    _print_confusion(evaluation.confusion)
    if print_mismatches(evaluation.mismatches, print_line, issues.indices if issues else ()):
        print_line(_ISSUE_NOTE)
    if evaluation.corruptions is not None:
        _print_corruptions(evaluation.corruptions, ["accuracy"])
    if export is not None:
        difference = f"logits differ by at most {export.max_difference:.1e}"
        print_line(f"ONNX Runtime: the same prediction for all {plural(export.count, 'image')}, {difference}")
    for note in notes:
        print_line(note)


def _without_issues(issues: "LabelIssues", split: str) -> str:
    return f"without {len(issues.indices)} {split} images with disputed labels"


def _print_digit_metrics(evaluation: "Evaluation") -> None:
    table = plain_table("digit", "support", "precision", "recall", "F1", justify="right")
    for row in evaluation.per_digit:
        scores = map(format_percent, (row.precision, row.recall, row.f1))
        table.add_row(str(row.digit), str(row.support), *scores)
    print_table(table)


def _print_confusion(confusion: Sequence[Sequence[int]]) -> None:
    print_line("confusion matrix (rows: true digit, columns: prediction)")
    table = plain_table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(confusion):
        styled = (Text(str(n), "bold" if n and d != digit else "dim") for d, n in enumerate(counts))
        table.add_row(str(digit), *styled)
    print_table(table)


def _print_corruptions(scores: "Sequence[CorruptionScore]", names: Sequence[str]) -> None:
    print_line("accuracy on corrupted images, %")
    table = plain_table("corruption", "severity", *names, justify="right", left=[0], folded=[0], keys=2)
    for row in scores:
        accuracies = map(format_percent, row.accuracies)
        table.add_row(f"{row.kind}, {row.unit}", f"{row.severity:g}", *accuracies)
    means = (sum(column) / len(scores) for column in zip(*(row.accuracies for row in scores), strict=True))
    table.add_row("mean", "", *map(format_percent, means), style="bold")
    print_table(table)


def print_comparison(
    comparison: "Comparison", *, notes: Sequence[str], paths: Sequence[Path], quiet: bool, json: bool
) -> None:
    """Print a table of the classifiers and their ensemble, each pair's test, and common errors."""
    for warning in comparison.warnings:
        print_warning(warning)
    if json:
        print_json(comparison.to_json() | {"notes": list(notes), "paths": [str(path) for path in paths]})
        return
    if quiet:
        for net in comparison.nets:
            print_line(format_percent(net.accuracy))
        return
    split = f"{comparison.dataset}, {comparison.split}"
    print_line(f"{len(comparison.nets)} models on {split}: {plural(comparison.count, 'image')}")
    _print_scores(comparison)
    for pair in comparison.pairs:
        errors = f"errors of one alone: {pair.first} {pair.only_first}, {pair.second} {pair.only_second}"
        adjusted = f" (adjusted for {len(comparison.pairs)} pairs: {pair.p_adjusted:.2g})"
        p = f"McNemar p {pair.p:.2g}{adjusted if len(comparison.pairs) > 1 else ''}"
        print_line(f"{errors}; {p}; {_pair_conclusion(pair)}")
    _print_shared_errors(comparison)
    if comparison.corruptions is not None:
        _print_corruptions(comparison.corruptions, [net.name for net in comparison.nets])
    for note in notes:
        print_line(note)


def _print_scores(comparison: "Comparison") -> None:
    issues = comparison.label_issues
    columns = ["accuracy, %", "95 % interval", *(["without disputed labels, %"] if issues else []), "ECE, %"]
    headers = ("name", "model", "parameters", "loss", *columns)
    table = plain_table(*headers, justify="right", left=[0, 1], folded=[0])
    rows: list[tuple[str, str, str, Scores]] = [
        (net.name, net.model, f"{net.parameters:,}", net) for net in comparison.nets
    ]
    for *columns, scores in [*rows, ("ensemble (mean probabilities)", "", "", comparison.ensemble)]:
        without = scores.accuracy_without_label_issues
        interval = " to ".join(map(format_percent, scores.accuracy_interval))
        accuracies = [format_percent(scores.accuracy), interval]
        accuracies += [] if without is None else [format_percent(without)]
        table.add_row(*columns, f"{scores.loss:.4f}", *accuracies, f"{scores.ece:.2f}")
    print_table(table)
    if issues:
        print_line(f"without disputed labels: accuracy {_without_issues(issues, comparison.split)}")


def _print_shared_errors(comparison: "Comparison") -> None:
    errors = comparison.misread_by_all
    print_line(f"errors common to all: {len(errors):,} of {comparison.count:,}")
    if not errors:
        return
    disputed = comparison.label_issues.indices if comparison.label_issues else ()
    names = (net.name for net in comparison.nets)
    table = plain_table("index", "true", *names, justify="right", keys=2)
    for error in errors[:_MAX_SHARED]:
        star = "*" if error.index in disputed else ""
        table.add_row(str(error.index), f"{error.true}{star}", *map(str, error.predicted))
    print_table(table)
    if len(errors) > _MAX_SHARED:
        print_line(f"and {len(errors) - _MAX_SHARED} more; --json lists all")
    if set(disputed) & {error.index for error in errors[:_MAX_SHARED]}:
        print_line(_ISSUE_NOTE)


def _pair_conclusion(pair: "Pair") -> str:
    if pair.p_adjusted >= 1 - LEVEL:
        return "no significant difference"
    better, worse = (
        (pair.first, pair.second) if pair.only_first < pair.only_second else (pair.second, pair.first)
    )
    return f"{better} is better than {worse}"


def print_generator_evaluation(
    evaluation: "GeneratorEvaluation", *, paths: Sequence[Path], quiet: bool, json: bool
) -> None:
    """Print the metrics of a generator with those of real images, then the results for each digit."""
    for warning in evaluation.warnings:
        print_warning(warning)
    if json:
        print_json(evaluation.to_json() | {"paths": [str(path) for path in paths]})
        return
    if quiet:
        print_line(f"{evaluation.frechet.value:.3f}")
        return
    print_line(
        f"{evaluation.model}: {evaluation.count:,} generated images, seed {evaluation.seed}, "
        f"compared with {evaluation.dataset}"
    )
    compared = f"{evaluation.compared} generated and {evaluation.compared} real images"
    print_line(f"Fréchet distance, density and coverage: of {compared}")
    reference = evaluation.reference_classifier
    source, accuracy = f"{reference.path}, {reference.digest[:12]}", format_percent(reference.accuracy)
    print_line(f"reference classifier: {reference.model} ({source}), accuracy {accuracy} %")
    frechet, conditional = evaluation.frechet, evaluation.conditional_accuracy
    ratio = frechet.value / frechet.real_reference if frechet.real_reference > 0 else float("inf")
    print_line(f"Fréchet distance: {frechet.value:.3f}, {ratio:.2f} times that of real images", "bold green")
    if conditional is not None:
        print_line(f"conditional accuracy: {format_percent(conditional.value)} %", "bold green")
    _print_generator_metrics(evaluation)
    _print_class_counts(evaluation)


def _print_generator_metrics(evaluation: "GeneratorEvaluation") -> None:
    headers = ("", "generated", "95 % interval", "real")
    table = plain_table(*headers, justify="right", left=[0], folded=[0])
    rows: list[tuple[str, Metric | None, Callable[[float], str]]] = [
        ("Fréchet distance", evaluation.frechet, "{:.3f}".format),
        ("density", evaluation.density, "{:.3f}".format),
        ("coverage", evaluation.coverage, "{:.3f}".format),
        ("near-duplicates, %", evaluation.near_duplicates, format_percent),
        ("class entropy, bits", evaluation.class_entropy, "{:.3f}".format),
        ("conditional accuracy, %", evaluation.conditional_accuracy, format_percent),
    ]
    for name, metric, form in rows:
        if metric is not None:
            # All resamples of equal values are equal, which says nothing about their spread.
            interval = f"{form(metric.low)} to {form(metric.high)}" if metric.low < metric.high else "-"
            table.add_row(name, form(metric.value), interval, form(metric.real_reference))
    print_table(table)


def _print_class_counts(evaluation: "GeneratorEvaluation") -> None:
    by_digit = evaluation.conditional_accuracy_by_digit
    columns = [] if by_digit is None else ["conditional accuracy"]
    table = plain_table("digit", "predictions", "share", *columns, justify="right")
    for digit, count in enumerate(evaluation.class_counts):
        row = [str(digit), str(count), f"{format_percent(100 * count / evaluation.count)} %"]
        if by_digit is not None:
            accuracy = by_digit[digit]
            row.append("-" if accuracy is None else f"{format_percent(accuracy)} %")
        table.add_row(*row)
    print_table(table)


def print_predictions(predictions: "Predictions", *, paths: Sequence[Path], quiet: bool, json: bool) -> None:
    """Print each prediction, above the images as the net received them, and paths; errors go to stderr."""
    for prediction in predictions.images:
        if prediction.error is not None:
            print_error(prediction.error)
    if json:
        written = {"paths": [str(path) for path in paths]} if paths else {}
        print_json(predictions.to_json() | written)
        return
    misread = set(predictions.misread())
    for n, (prediction, images) in enumerate(zip(predictions.images, predictions.inputs, strict=True)):
        if prediction.error is not None:
            continue
        wrong = f", wrong: it is {prediction.label}" if n in misread else ""
        if prediction.number is None:
            print_line(f"{prediction.file}: no digit found{wrong}")
            continue
        unsure = ", unsure" if prediction.low_confidence else ""
        headline = f"{prediction.file}: {prediction.number}{unsure}{wrong}"
        if quiet:
            print_line(headline)
            continue
        first = f"; the first of {prediction.n_frames} images" if prediction.n_frames > 1 else ""
        more = prediction.n_unread
        unread = f"; {more} more digit{'s seem' if more > 1 else ' seems'} to be there" if more else ""
        if prediction.digit is not None:
            top3 = ", ".join(f"{digit} {100 * probability:.1f} %" for digit, probability in prediction.top3)
            print_digits(images, [f"{headline} ({top3}){first}{unread}"], "blocks")
            continue
        print_line(f"{headline}{first}{unread}")
        captions = [
            f"{each.digit} {100 * each.probability:.1f} %{', unsure' if each.low_confidence else ''}"
            for each in prediction.digits
        ]
        print_digits(images, captions, "blocks")
    _print_image_accuracy(predictions, quiet)
    if not quiet:
        print_paths(paths)


def _print_image_accuracy(predictions: "Predictions", quiet: bool) -> None:
    """Print the files of a folder that are left out and, if digits are known, the accuracy."""
    if predictions.left_out:
        print_line(f"left out, not images of a known format: {', '.join(predictions.left_out)}")
    accuracy = predictions.accuracy
    if accuracy is None:
        return
    interval = "" if quiet else f", 95 % interval {accuracy.low:.2f} to {accuracy.high:.2f} %"
    share = f"{accuracy.right} of {accuracy.images}"
    print_line(f"accuracy: {accuracy.accuracy:.2f} % ({share}{interval})", "bold green")
