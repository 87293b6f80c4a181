"""What `trials` does with recorded trials instead of running new ones: compare or join them."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mnistctl.cli.commands import check_stdout
from mnistctl.cli.options import refuse_ignored
from mnistctl.errors import MnistctlError, UsageError

if TYPE_CHECKING:
    from mnistctl.artifacts.tables import TableFiles

# The parameters that are used with each of the two options.
_COMPARE = {"compare", "model", "csv", "markdown", "latex", "overwrite", "out_dir", "quiet", "json"}
_JOIN = (_COMPARE - {"compare"}) | {"join", "name"}


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

    refuse_ignored(context, "--compare", _COMPARE)
    json, quiet = context.params["json"], context.params["quiet"]
    tables.check(overwrite=overwrite)
    check_stdout(tables.outputs(), json=json)
    comparison = compare_recorded(read_recorded([find_recorded(name, out_dir) for name in references]))
    paths, failure = list[Path](), None
    try:
        paths = tables.write(comparison_table(comparison))
    except MnistctlError as error:  # after the results are printed
        failure = error
    with results_on_stderr(tables.uses_stdout):
        print_comparison(comparison, paths, quiet=quiet, json=json)
    if failure is not None:
        raise failure


def join(
    context: typer.Context, references: list[str], tables: "TableFiles", *, overwrite: bool, out_dir: Path
) -> None:
    """Make one record of trials that ran apart, and print its results.

    Raises:
        UsageError: another option is given, there is no name for the trials, or it is in use.
        CheckpointError: a part is missing, damaged or unfinished, or the parts differ.
        OutputError: a file cannot be written.
        FailedTrialsError: at the end: some trials diverged or failed.
    """
    from mnistctl.cli.output.terminal import results_on_stderr
    from mnistctl.cli.output.trials import print_trials
    from mnistctl.training.options import RunOptions
    from mnistctl.trials.join import join_trials
    from mnistctl.trials.listing import TRIALS_FOLDER
    from mnistctl.trials.recorded import find_recorded

    refuse_ignored(context, "--join", _JOIN)
    json, quiet, name = (context.params[field] for field in ("json", "quiet", "name"))
    if name is None:
        raise UsageError("the joined trials need a name", field="join", remedies=("name",))
    run_path = RunOptions(out_dir=out_dir / TRIALS_FOLDER, name=name).run_path(name)
    check_stdout(tables.outputs(), json=json)
    paths = [find_recorded(reference, out_dir) for reference in references]
    words = ["mnistctl trials --join", *map(shlex.quote, references), "--name", shlex.quote(name)]
    joining = join_trials(paths, run_path, command=" ".join(words), overwrite=overwrite, tables=tables)
    with results_on_stderr(tables.uses_stdout):
        print_trials(joining, quiet=quiet, json=json, resume_command="")
