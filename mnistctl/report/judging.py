"""What is judged: classifiers, generators, and what these drew."""

import json as jsons
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mnistctl.report.looking import digits
from mnistctl.report.running import mismatches
from mnistctl.report.terminal import JSON, line, plain_table, print_table

if TYPE_CHECKING:
    from mnistctl.evaluation import Evaluation
    from mnistctl.fidelity import Fidelity
    from mnistctl.generation import Made


def evaluation(judged: "Evaluation", *, quiet: bool, json: bool) -> None:
    """The score of a net: headline, a table per digit, the confusions, the mismatches, the paths."""
    if quiet and not json:
        line(f"{judged.score.accuracy:.2f}")
        return
    if json:
        line(jsons.dumps({"version": JSON} | _evaluation(judged)))
        return
    line(f"{judged.model} on {judged.dataset}, {judged.split}: {judged.digits} digits")
    line(f"loss: {judged.score.loss:.4f}")
    line(f"accuracy: {judged.score.accuracy:.2f} %", "bold green")
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
    mismatches(judged.mismatches, line)
    if judged.onnx is not None:
        apart = f"logits at most {judged.onnx.difference:.1e} apart"
        line(f"onnx: ONNX Runtime reads all {judged.onnx.digits} digits alike, {apart}")
    for saved in judged.saved:
        line(f"wrote {saved.path}")


def _evaluation(judged: "Evaluation") -> dict[str, Any]:
    body = asdict(judged) | {"per_digit": judged.per_digit()}
    body |= body.pop("score")
    body["paths"] = [saved["path"] for saved in body.pop("saved")]
    return body


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
    for saved in judged.saved:
        line(f"wrote {saved.path}")


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
    for saved in made.saved:
        line(f"wrote {saved.path}")
