"""What is judged: classifiers, generators, and what these drew."""

import json as jsons
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn
from rich.text import Text

from mnistctl.inference import LEVEL
from mnistctl.report.looking import digits
from mnistctl.report.running import mismatches
from mnistctl.report.terminal import JSON, complain, following, line, plain_table, print_table

if TYPE_CHECKING:
    from mnistctl.comparison import Comparison, Pair, Scores
    from mnistctl.datasets import Doubted
    from mnistctl.evaluation import Corrupted, Evaluation
    from mnistctl.events import Saved
    from mnistctl.fidelity import Fidelity
    from mnistctl.generation import Made
    from mnistctl.reading import Read, Reading


def corrupting() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """A bar for the corruptions, on a terminal; gives the function that moves it."""
    return following(TextColumn("{task.completed}/{task.total}"))


def evaluation(judged: "Evaluation", *, quiet: bool, json: bool) -> None:
    """The score of a net: headline, a table per digit, the confusions, the mismatches, the paths."""
    if json:
        line(jsons.dumps({"version": JSON} | _evaluation(judged)))
        return
    if quiet:
        line(f"{judged.score.accuracy:.2f}")
        return
    line(f"{judged.model} on {judged.dataset}, {judged.split}: {judged.digits} digits")
    line(f"loss: {judged.score.loss:.4f}")
    line(f"accuracy: {judged.score.accuracy:.2f} %", "bold green")
    if judged.doubted is not None:
        line(f"{_without(judged.doubted)}: {judged.undoubted:.2f} %")
    line(f"expected calibration error: {judged.calibration.ece:.2f} %")
    table = plain_table("digit", "support", "precision", "recall", "F1", justify="right")
    for row in judged.per_digit():
        scores = (f"{row[name]:.2f}" for name in ("precision", "recall", "f1"))
        table.add_row(f"{row['digit']:.0f}", f"{row['support']:.0f}", *scores)
    print_table(table)
    line("confusions (row: the digit, column: read as)")
    table = plain_table("", *map(str, range(10)), justify="right")
    for digit, counts in enumerate(judged.confusion):
        styled = (Text(str(n), "bold" if n and d != digit else "dim") for d, n in enumerate(counts))
        table.add_row(str(digit), *styled)
    print_table(table)
    marked = judged.doubted.indices if judged.doubted else ()
    mismatches(judged.mismatches, line, marked)
    if set(marked) & set(judged.mismatches.indices):
        line(_STARRED)
    if judged.corruptions is not None:
        _corruptions(judged.corruptions, ["accuracy"])
    if judged.onnx is not None:
        apart = f"logits at most {judged.onnx.difference:.1e} apart"
        line(f"onnx: ONNX Runtime reads all {judged.onnx.digits} digits alike, {apart}")
    for note in judged.notes:
        line(note)
    _paths(judged.saved)


_STARRED = "* the label is doubted: fewer than 3 of 5 raters chose it"


def _without(doubted: "Doubted") -> str:
    return f"without {len(doubted.indices)} digits whose labels are doubted"


def _evaluation(judged: "Evaluation") -> dict[str, Any]:
    body = asdict(judged) | {"per_digit": judged.per_digit()}
    body |= body.pop("score")
    body |= {"ece": body["calibration"]["ece"], "calibration": body["calibration"]["bins"]}
    body["paths"] = [saved["path"] for saved in body.pop("saved")]
    return body


def _corruptions(told: "Sequence[Corrupted]", names: Sequence[str]) -> None:
    line("accuracy on spoilt digits, %")
    table = plain_table("corruption", "strength", *names, justify="right")
    table.columns[0].justify = "left"
    for row in told:
        accuracies = (f"{accuracy:.2f}" for accuracy in row.accuracies)
        table.add_row(f"{row.kind}, {row.unit}", f"{row.strength:g}", *accuracies)
    means = (sum(column) / len(told) for column in zip(*(row.accuracies for row in told), strict=True))
    table.add_row("mean", "", *(f"{mean:.2f}" for mean in means), style="bold")
    print_table(table)


def _paths(saved: "Sequence[Saved]") -> None:
    for file in saved:
        line(f"wrote {file.path}")


_LISTED = 20  # digits that all nets misread


def comparison(told: "Comparison", *, quiet: bool, json: bool) -> None:
    """Nets side by side: a row each and one for their average, each pair, the errors of all, the paths."""
    if json:
        body = asdict(told)
        body["paths"] = [saved["path"] for saved in body.pop("saved")]
        line(jsons.dumps({"version": JSON} | body))
        return
    if quiet:
        for net in told.nets:
            line(f"{net.accuracy:.2f}")
        return
    line(f"{len(told.nets)} nets on {told.dataset}, {told.split}: {told.digits} digits")
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
        line(f"undoubted: {_without(told.doubted)}")
    for pair in told.pairs:
        alone = f"{pair.only_first} digits misread by {pair.first} alone, {pair.only_second} by {pair.second}"
        of_several = f", beside the other pairs {pair.p_adjusted:.2g}" if len(told.pairs) > 1 else ""
        line(f"{alone}: McNemar p {pair.p:.2g}{of_several}; {_told_apart(pair)}")
    line(f"misread by all: {len(told.shared)} of {told.digits}")
    if told.shared:
        marked = told.doubted.indices if told.doubted else ()
        table = plain_table("index", "digit", *(net.name for net in told.nets), justify="right")
        for row in told.shared[:_LISTED]:
            star = "*" if row.index in marked else ""
            table.add_row(str(row.index), f"{row.true}{star}", *map(str, row.predicted))
        print_table(table)
        if len(told.shared) > _LISTED:
            line(f"and {len(told.shared) - _LISTED} more, which --json has")
        if set(marked) & {row.index for row in told.shared[:_LISTED]}:
            line(_STARRED)
    if told.corruptions is not None:
        _corruptions(told.corruptions, [net.name for net in told.nets])
    _paths(told.saved)


def _told_apart(pair: "Pair") -> str:
    if pair.p_adjusted >= 1 - LEVEL:
        return "not told apart"
    better, worse = (
        (pair.first, pair.second) if pair.only_first < pair.only_second else (pair.second, pair.first)
    )
    return f"{better} is better than {worse}"


def fidelity(judged: "Fidelity", *, quiet: bool, json: bool) -> None:
    """What a judge makes of a generator: each figure beside that of real digits, then digit by digit."""
    if json:
        body = asdict(judged)
        body["paths"] = [saved["path"] for saved in body.pop("saved")]
        line(jsons.dumps({"version": JSON} | body))
        return
    if quiet:
        line(f"{judged.frechet.value:.3f}")
        return
    line(f"{judged.model} beside {judged.dataset}: {judged.digits} generated digits, seed {judged.seed}")
    judge, name = (
        judged.judge,
        f"{judged.judge['model']} ({judged.judge['path']}, {judged.judge['digest'][:12]})",
    )
    line(f"judge: {name}, accuracy {judge['accuracy']:.2f} %")
    times = judged.frechet.value / judged.frechet_floor if judged.frechet_floor > 0 else float("inf")
    line(f"Frechet distance: {judged.frechet.value:.3f}, {times:.2f} times that of real digits", "bold green")
    if judged.asked is not None:
        line(f"read as asked: {judged.asked.value:.2f} %", "bold green")
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
    _paths(judged.saved)


def generated(made: "Made", *, show: bool, json: bool) -> None:
    """What a generator drew, in the terminal if asked, and the files that hold it."""
    asked = None if made.drawn is None or made.drawn.digits is None else made.drawn.digits
    if json:
        body = {"model": made.model, "digest": made.digest, "seed": made.seed, "count": made.count}
        body |= {"digits": None if asked is None else asked.tolist(), "paths": [s.path for s in made.saved]}
        line(jsons.dumps({"version": JSON} | body))
        return
    if show and made.drawn is not None:
        digits(made.drawn.images, asked if asked is not None else [made.model] * made.count, "blocks")
    _paths(made.saved)


def reading(told: "Read", *, quiet: bool, json: bool) -> None:
    """What a net reads in pictures: each as the net saw it, under its answer; what failed on stderr."""
    for picture in told.images:
        if picture.error is not None:
            complain(picture.error)
    if json:
        body = {"model": told.model, "digest": told.digest, "threshold": told.threshold}
        line(jsons.dumps({"version": JSON} | body | {"images": [_picture(p) for p in told.images]}))
        return
    for picture in told.images:
        if picture.error is not None:
            continue
        if picture.seen is None:
            line(f"{picture.file}: no digit found")
            continue
        unsure = ", unsure" if picture.unsure else ""
        answer = f"{picture.file}: {picture.likeliest[0][0]}{unsure}"
        if quiet:
            line(answer)
            continue
        chances = ", ".join(f"{digit} {100 * chance:.1f} %" for digit, chance in picture.likeliest)
        first = f"; the first of {picture.frames} pictures" if picture.frames > 1 else ""
        digits(picture.seen[None], [f"{answer} ({chances}){first}"], "blocks")


def _picture(told: "Reading") -> dict[str, Any]:
    digit, chance = told.likeliest[0] if told.likeliest else (None, None)
    body = {"file": told.file, "digit": digit, "probability": chance, "likeliest": told.likeliest}
    return body | {"unsure": told.unsure, "frames": told.frames, "error": told.error}
