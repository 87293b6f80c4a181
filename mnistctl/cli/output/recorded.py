"""The output of `trials --compare`: the arms of several records, and their differences."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.output.conclusions import describe_difference, print_arms
from mnistctl.cli.output.terminal import print_json, print_line

if TYPE_CHECKING:
    from mnistctl.trials.recorded import RecordsComparison


def print_comparison(
    comparison: "RecordsComparison", paths: Sequence[Path], *, quiet: bool, json: bool
) -> None:
    """Print the records, a row for each arm, each comparison with its reason, and the paths of the tables."""
    if json:
        print_json(comparison.to_json() | {"paths": [str(path) for path in paths]})
        return
    if quiet:
        for arm in comparison.arms:
            print_line("-" if arm.mean is None else format_percent(arm.mean, 4))
        return
    print_line(f"accuracies of the {comparison.scored}, %")
    for record in comparison.records:
        print_line(f"{record.name}: {record.command or record.path}")
        for note in record.notes:
            print_line(f"{record.name}: {note}")
    print_arms([arm for arm in comparison.arms if arm.n])
    for row in comparison.comparisons:
        print_line(f"{row.second} minus {row.first}: {describe_difference(row)}")
        print_line(f"({row.reason})")
        print_line(f"{row.conclusion}.", "bold")
    for path in paths:
        print_line(f"wrote {path}")
