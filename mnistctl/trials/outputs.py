"""The files of trials besides the journal: what they may replace, and writing them."""

from collections.abc import Iterator
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.artifacts.files import Saved
from mnistctl.artifacts.outputs import CHART, TRIALS, Output, check_outputs
from mnistctl.artifacts.tables import TableFiles
from mnistctl.errors import OutputError, UsageError
from mnistctl.training.outputs import require_unused
from mnistctl.trials import summary
from mnistctl.trials.events import TrialsFinished
from mnistctl.trials.nets import KeptNets
from mnistctl.trials.pictures import draw_trials
from mnistctl.trials.summary import TrialsSummary
from mnistctl.trials.tables import trials_table


def check_trials_outputs(run_path: Path, *, replace: bool) -> None:
    """Check that all files of trials can be written, before the first trial.

    Args:
        run_path: path of their files without the endings.
        replace: whether files of this name belong to the trials, so that they may be replaced.

    Raises:
        UsageError, OutputError: as `check_run_outputs`.
    """
    formats = {"jsonl": TRIALS, "json": TRIALS, "png": CHART}
    paths = {files.with_ending(run_path, ending): form for ending, form in formats.items()}
    check_outputs([Output(path, form, run=run_path.name) for path, form in paths.items()])
    nets = KeptNets(run_path).folder
    if nets.exists() and not nets.is_dir():
        raise OutputError(f"{nets}: is a file; a sweep keeps its nets in a folder of this name")
    require_unused([path for path in (*paths, nets) if path.exists()], replace=replace)


def check_tables(tables: TableFiles, *, overwrite: bool) -> None:
    """Check that the tables can be written, before the first trial.

    Raises:
        UsageError, OutputError: as `check_outputs`.
    """
    try:
        tables.check(overwrite=overwrite)
    except UsageError as error:
        if "overwrite" in error.remedies:  # which would run the trials again
            message = f"{error.message}; name another file"
            raise UsageError(message, field=error.field, value=error.value) from None
        raise


def write_results(
    run_path: Path, result: TrialsSummary, tables: TableFiles, *, already: bool
) -> Iterator[Saved | TrialsFinished]:
    """Write the summary, the picture and the tables, which can be computed again from the journal.

    Args:
        run_path: path of the files without the endings.
        result: the summary.
        tables: the tables to write.
        already: all trials had ended before.
    """
    yield Saved(str(files.with_ending(run_path, "jsonl")))
    picture = draw_trials(result)
    if picture is not None:
        path = files.with_ending(run_path, "png")
        picture.write(path)
        yield Saved(str(path))
    path = files.with_ending(run_path, "json")
    summary.write(path, result)
    yield Saved(str(path))
    if result.sweep is not None and result.sweep.winner is not None:
        yield Saved(str(KeptNets(run_path).folder))
    for table in tables.write(trials_table(result)):
        yield Saved(str(table))
    yield TrialsFinished(result, already)
