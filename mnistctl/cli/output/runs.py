"""Print what stands in a folder of results: a table, JSON or CSV."""

from dataclasses import fields
from typing import TYPE_CHECKING

from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.output.terminal import plain_table, print_json, print_line, print_table, print_whole

if TYPE_CHECKING:
    from mnistctl.trials.listing import RunEntry, RunList

_FEW = 3  # models; of as many more than the first, or of a sweep's arms, only the number is printed


def print_runs(listed: "RunList", *, json: bool, csv: bool) -> None:
    """Print the runs and trials of a folder by name. Problems of damaged ones are below the table."""
    if json:
        print_json(listed.to_json())
    elif csv:
        _print_csv(listed)
    elif not listed.runs:
        print_line(f"no runs in {listed.folder}")
    else:
        _print_table(listed)


def _print_csv(listed: "RunList") -> None:
    from mnistctl.artifacts.tables import Table, to_csv
    from mnistctl.trials.listing import RunEntry

    names = tuple(field.name for field in fields(RunEntry))
    bodies = [entry.to_json() | {"models": " ".join(entry.models)} for entry in listed.runs]
    rows = tuple(tuple(body[name] for name in names) for body in bodies)
    for line in to_csv(Table(names, rows)).splitlines():
        print_whole(line)


def _describe_models(entry: "RunEntry") -> str:
    first, *others = entry.models or ("",)
    return " ".join(entry.models) if len(others) < _FEW else f"{first} and {len(others)} more"


def _describe_accuracy(entry: "RunEntry") -> str:
    if entry.accuracy is None:
        return ""
    return ("validation " if entry.holdout else "") + format_percent(entry.accuracy)


def _print_table(listed: "RunList") -> None:
    table = plain_table(
        "name", "kind", "state", "model", "data", "seed", "done", "accuracy, %", "started", right=[5, 6, 7]
    )
    for entry in listed.runs:
        table.add_row(
            entry.name,
            entry.kind,
            entry.state,
            _describe_models(entry),
            entry.dataset or "",
            "" if entry.seed is None else str(entry.seed),
            "" if entry.total is None else f"{entry.done}/{entry.total}",
            _describe_accuracy(entry),
            (entry.started or "")[:10],
        )
    print_table(table)
    for entry in listed.runs:
        if entry.problem is not None:
            print_line(f"{entry.name}: {entry.problem}")
