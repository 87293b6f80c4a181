"""What `trials` does with recorded trials instead of running new ones: compare them."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mnistctl.cli.commands import check_stdout
from mnistctl.cli.errors import option_of
from mnistctl.errors import UsageError

if TYPE_CHECKING:
    from mnistctl.artifacts.tables import TableFiles

_COMPARE = {"compare", "csv", "markdown", "latex", "overwrite", "out_dir", "quiet", "json"}


def compare(
    context: typer.Context, references: list[str], tables: "TableFiles", *, overwrite: bool, out_dir: Path
) -> None:
    """Compare recorded trials, print the result, and write the tables.

    Raises:
        UsageError: another option is given, or fewer than two records.
        CheckpointError: a record is missing or damaged, or the digits differ.
        OutputError: a file cannot be written.
    """
    from mnistctl.cli.output.recorded import print_comparison
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.trials.recorded import compare_recorded, find_recorded, read_recorded
    from mnistctl.trials.tables import comparison_table

    _refuse_others(context, "compare", _COMPARE)
    json, quiet = context.params["json"], context.params["quiet"]
    tables.check(overwrite=overwrite)
    check_stdout(tables.outputs(), json=json)
    comparison = compare_recorded(read_recorded([find_recorded(name, out_dir) for name in references]))
    with results_on_stderr(tables.uses_stdout):
        print_comparison(comparison, tables.write(comparison_table(comparison)), quiet=quiet, json=json)


def _refuse_others(context: typer.Context, chosen: str, allowed: Collection[str]) -> None:
    """Refuse options on the command line, not in the environment, that do not apply to recorded trials.

    Raises:
        UsageError: there is one.
    """
    for name in context.params:
        source: Any = context.get_parameter_source(name)
        if name not in allowed and name != "model" and source is not None and source.name == "COMMANDLINE":
            field = "settings" if name == "set_" else name
            raise UsageError(f"{option_of(field)} cannot be combined with {option_of(chosen)}")
