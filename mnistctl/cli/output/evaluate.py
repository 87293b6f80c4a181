"""What is judged: classifiers, generators, and what these drew."""

import json as jsons
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn
from rich.text import Text

from mnistctl.cli.output.show import print_digits
from mnistctl.cli.output.terminal import (
    JSON_VERSION,
    plain_table,
    print_error,
    print_line,
    print_table,
    progress_bar,
)
from mnistctl.cli.output.train import print_mismatches
from mnistctl.evaluation.statistics import LEVEL

if TYPE_CHECKING:
    from mnistctl.artifacts.files import Saved
    from mnistctl.data.datasets import LabelIssues
    from mnistctl.evaluation.classifier import CorruptionScore, Evaluation
    from mnistctl.evaluation.comparison import Comparison, Pair, Scores
    from mnistctl.evaluation.generator import GeneratorEvaluation
    from mnistctl.inference.predict import Prediction, Predictions


def corruption_progress() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """A bar for the corruptions, on a terminal; gives the function that moves it."""
    return progress_bar(TextColumn("{task.completed}/{task.total}"))


def print_evaluation(judged: "Evaluation", *, quiet: bool, json: bool) -> None:
    """The score of a net: headline, a table per digit, the confusions, the mismatches, the paths."""
    if json:
        print_line(jsons.dumps({"version": JSON_VERSION} | _evaluation_json(judged)))
        return
    if quiet:
        print_line(f"{judged.score.accuracy:.2f}")
        return
    print_line(f"{judged.model} on {judged.dataset}, {judged.split}: {judged.digits} digits")
    print_line(f"loss: {judged.score.loss:.4f}")
    print_line(f"accuracy: {judged.score.accuracy:.2f} %", "bold green")
    if judged.doubted is not None:
        print_line(f"{_without_label_issues(judged.doubted)}: {judged.undoubted:.2f} %")
    print_line(f"expected calibration error: {judged.calibration.ece:.2f} %")
    table = plain_table("digit", "support", "precision", "recall", "F1", justify="right")
    for row in judged.per_digit():
        scores = (f"{row[name]:.2f}" for name in ("precision", "recall", "f1"))
        table.add_row(f"{row['digit']:.0f}", f"{row['support']:.0f}", *scores)
    print_table(table)
    print_line("confusions (row: the digit, column: read as)")
    table = plain_table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(judged.confusion):
        styled = (Text(str(n), "bold" if n and d != digit else "dim") for d, n in enumerate(counts))
        table.add_row(str(digit), *styled)
    print_table(table)
    marked = judged.doubted.indices if judged.doubted else ()
    print_mismatches(judged.mismatches, print_line, marked)
    if set(marked) & set(judged.mismatches.indices):
        print_line(_LABEL_ISSUE_NOTE)
    if judged.corruptions is not None:
        _print_corruptions(judged.corruptions, ["accuracy"])
    if judged.onnx is not None:
        apart = f"logits at most {judged.onnx.difference:.1e} apart"
        print_line(f"onnx: ONNX Runtime reads all {judged.onnx.digits} digits alike, {apart}")
    for note in judged.notes:
        print_line(note)
    _print_paths(judged.saved)


_LABEL_ISSUE_NOTE = "* the label is doubted: fewer than 3 of 5 raters chose it"


def _without_label_issues(doubted: "LabelIssues") -> str:
    return f"without {len(doubted.indices)} digits whose labels are doubted"


def _evaluation_json(judged: "Evaluation") -> dict[str, Any]:
    body = asdict(judged) | {"per_digit": judged.per_digit()}
    body |= body.pop("score")
    body |= {"ece": body["calibration"]["ece"], "calibration": body["calibration"]["bins"]}
    body["paths"] = [saved["path"] for saved in body.pop("saved")]
    return body


def _print_corruptions(told: "Sequence[CorruptionScore]", names: Sequence[str]) -> None:
    print_line("accuracy on spoilt digits, %")
    table = plain_table("corruption", "strength", *names, justify="right")
    table.columns[0].justify = "left"
    for row in told:
        accuracies = (f"{accuracy:.2f}" for accuracy in row.accuracies)
        table.add_row(f"{row.kind}, {row.unit}", f"{row.strength:g}", *accuracies)
    means = (sum(column) / len(told) for column in zip(*(row.accuracies for row in told), strict=True))
    table.add_row("mean", "", *(f"{mean:.2f}" for mean in means), style="bold")
    print_table(table)


def _print_paths(saved: "Sequence[Saved]") -> None:
    for file in saved:
        print_line(f"wrote {file.path}")


_MAX_SHARED = 20  # digits that all nets misread


def print_comparison(told: "Comparison", *, quiet: bool, json: bool) -> None:
    """Nets side by side: a row each and one for their average, each pair, the errors of all, the paths."""
    if json:
        body = asdict(told)
        body["paths"] = [saved["path"] for saved in body.pop("saved")]
        print_line(jsons.dumps({"version": JSON_VERSION} | body))
        return
    if quiet:
        for net in told.nets:
            print_line(f"{net.accuracy:.2f}")
        return
    print_line(f"{len(told.nets)} nets on {told.dataset}, {told.split}: {told.digits} digits")
    doubted = ["undoubted, %"] if told.doubted else []
    table = plain_table(
        "net", "model", "parameters", "loss", "accuracy, %", *doubted, "ECE, %", justify="right"
    )
    table.columns[0].justify = table.columns[1].justify = "left"
    rows: list[tuple[str, str, str, Scores]] = [
        (net.name, net.model, f"{net.parameters:,}", net) for net in told.nets
    ]
    for *about, scored in [*rows, ("probabilities averaged", "", "", told.ensemble)]:
        undoubted = [] if scored.undoubted is None else [f"{scored.undoubted:.2f}"]
        table.add_row(*about, f"{scored.loss:.4f}", f"{scored.accuracy:.2f}", *undoubted, f"{scored.ece:.2f}")
    print_table(table)
    if told.doubted:
        print_line(f"undoubted: {_without_label_issues(told.doubted)}")
    for pair in told.pairs:
        alone = f"{pair.only_first} digits misread by {pair.first} alone, {pair.only_second} by {pair.second}"
        of_several = f", beside the other pairs {pair.p_adjusted:.2g}" if len(told.pairs) > 1 else ""
        print_line(f"{alone}: McNemar p {pair.p:.2g}{of_several}; {_pair_conclusion(pair)}")
    print_line(f"misread by all: {len(told.shared)} of {told.digits}")
    if told.shared:
        marked = told.doubted.indices if told.doubted else ()
        table = plain_table("index", "digit", *(net.name for net in told.nets), justify="right")
        for row in told.shared[:_MAX_SHARED]:
            star = "*" if row.index in marked else ""
            table.add_row(str(row.index), f"{row.true}{star}", *map(str, row.predicted))
        print_table(table)
        if len(told.shared) > _MAX_SHARED:
            print_line(f"and {len(told.shared) - _MAX_SHARED} more, which --json has")
        if set(marked) & {row.index for row in told.shared[:_MAX_SHARED]}:
            print_line(_LABEL_ISSUE_NOTE)
    if told.corruptions is not None:
        _print_corruptions(told.corruptions, [net.name for net in told.nets])
    _print_paths(told.saved)


def _pair_conclusion(pair: "Pair") -> str:
    if pair.p_adjusted >= 1 - LEVEL:
        return "not told apart"
    better, worse = (
        (pair.first, pair.second) if pair.only_first < pair.only_second else (pair.second, pair.first)
    )
    return f"{better} is better than {worse}"


def print_generator_evaluation(judged: "GeneratorEvaluation", *, quiet: bool, json: bool) -> None:
    """What a judge makes of a generator: each figure beside that of real digits, then digit by digit."""
    if json:
        body = asdict(judged)
        body["paths"] = [saved["path"] for saved in body.pop("saved")]
        print_line(jsons.dumps({"version": JSON_VERSION} | body))
        return
    if quiet:
        print_line(f"{judged.frechet.value:.3f}")
        return
    print_line(
        f"{judged.model} beside {judged.dataset}: {judged.digits} generated digits, seed {judged.seed}"
    )
    judge, name = (
        judged.judge,
        f"{judged.judge['model']} ({judged.judge['path']}, {judged.judge['digest'][:12]})",
    )
    print_line(f"judge: {name}, accuracy {judge['accuracy']:.2f} %")
    times = judged.frechet.value / judged.frechet_floor if judged.frechet_floor > 0 else float("inf")
    print_line(
        f"Frechet distance: {judged.frechet.value:.3f}, {times:.2f} times that of real digits", "bold green"
    )
    if judged.asked is not None:
        print_line(f"read as asked: {judged.asked.value:.2f} %", "bold green")
    table = plain_table("", "generated", "95 % interval", "real", justify="right")
    table.columns[0].justify = "left"
    for name, estimate, floor, form in (
        ("Frechet distance", judged.frechet, judged.frechet_floor, ".3f"),
        ("density", judged.density, judged.density_floor, ".3f"),
        ("coverage", judged.coverage, judged.coverage_floor, ".3f"),
        ("near copies, %", judged.copies, judged.copies_floor, ".2f"),
        ("entropy of classes, bits", judged.entropy, judged.entropy_floor, ".3f"),
        *([("read as asked, %", judged.asked, judge["accuracy"], ".2f")] if judged.asked else []),
    ):
        interval = f"{estimate.low:{form}} to {estimate.high:{form}}"
        table.add_row(name, f"{estimate.value:{form}}", interval, f"{floor:{form}}")
    print_table(table)
    table = plain_table("digit", "read", "share", *(["as asked"] if judged.asked else []), justify="right")
    for digit, count in enumerate(judged.classes):
        row = [str(digit), str(count), f"{100 * count / judged.digits:.2f} %"]
        if judged.asked_by_digit is not None:
            share = judged.asked_by_digit[digit]
            row.append("-" if share is None else f"{share:.2f} %")
        table.add_row(*row)
    print_table(table)
    _print_paths(judged.saved)


def print_predictions(told: "Predictions", *, quiet: bool, json: bool) -> None:
    """What a net reads in pictures: each as the net saw it, under its answer; what failed on stderr."""
    for picture in told.images:
        if picture.error is not None:
            print_error(picture.error)
    if json:
        body = {"model": told.model, "digest": told.digest, "threshold": told.threshold}
        print_line(
            jsons.dumps(
                {"version": JSON_VERSION} | body | {"images": [_prediction_json(p) for p in told.images]}
            )
        )
        return
    for picture in told.images:
        if picture.error is not None:
            continue
        if picture.seen is None:
            print_line(f"{picture.file}: no digit found")
            continue
        unsure = ", unsure" if picture.unsure else ""
        answer = f"{picture.file}: {picture.likeliest[0][0]}{unsure}"
        if quiet:
            print_line(answer)
            continue
        chances = ", ".join(f"{digit} {100 * chance:.1f} %" for digit, chance in picture.likeliest)
        first = f"; the first of {picture.frames} pictures" if picture.frames > 1 else ""
        print_digits(picture.seen[None], [f"{answer} ({chances}){first}"], "blocks")


def _prediction_json(told: "Prediction") -> dict[str, Any]:
    digit, chance = told.likeliest[0] if told.likeliest else (None, None)
    body = {"file": told.file, "digit": digit, "probability": chance, "likeliest": told.likeliest}
    return body | {"unsure": told.unsure, "frames": told.frames, "error": told.error}
