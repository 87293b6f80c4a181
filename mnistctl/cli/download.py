"""The command download: fetch a data set."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mnistctl.cli.options import DATA_DIR, DataDir, Dataset, Json, flag, refuse_ignored
from mnistctl.cli.output import terminal
from mnistctl.errors import UsageError

_MIRROR = "MNISTCTL_MIRROR"  # a variable with one or several addresses, separated by spaces
_MAX_TIMEOUT = 86_400  # seconds; a socket refuses much larger numbers


def download(
    context: typer.Context,
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", envvar=_MIRROR, help="Try this mirror first; repeatable."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from a local folder.")
    ] = None,
    check: Annotated[bool, flag("--check", help="Verify the files; download nothing.")] = False,
    overwrite: Annotated[
        bool, flag("--overwrite", help="Replace other IDX files that have the names of the data set's.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a silent mirror.")] = 30.0,
    json: Json = False,
) -> None:
    """The command `download`."""
    from mnistctl.cli.output.show import print_file_statuses
    from mnistctl.data import download

    if not 0 < timeout <= _MAX_TIMEOUT:
        message = f"give a number of seconds above 0, at most {_MAX_TIMEOUT}"
        raise UsageError(message, field="timeout", value=f"{timeout:g}")
    checked = {"dataset", "data_dir", "json"}
    if check:
        refuse_ignored(context, "--check", {"check", *checked})
    elif source is not None:
        refuse_ignored(context, "--from", {"source", "overwrite", *checked})
    if check:
        statuses = download.check(dataset, data_dir)
        print_file_statuses(statuses, dataset, json=json)
        download.require_all(dataset, data_dir, statuses)
        return
    with terminal.download_progress() as on_progress:
        statuses = download.fetch(
            dataset,
            data_dir,
            mirrors=mirror or (),
            source=source,
            timeout=timeout,
            overwrite=overwrite,
            progress=on_progress,
        )
    print_file_statuses(statuses, dataset, json=json)


def ensure(dataset: str, data_dir: Path, offline: bool) -> None:
    """Download the files that are missing, with a progress bar, as the command `download` does.

    Raises:
        UsageError: MNISTCTL_MIRROR has something else than addresses.
        DataError: files are missing, and `offline` is set or no mirror has them.
    """
    from mnistctl.data import download

    mirrors = os.environ.get(_MIRROR, "").split()
    with terminal.download_progress() as on_progress:
        try:
            download.ensure(dataset, data_dir, offline=offline, mirrors=mirrors, progress=on_progress)
        except UsageError as error:
            if error.field == "mirrors":
                error.given_by, error.remedies = _MIRROR, ()  # only the command download has other sources
            raise
