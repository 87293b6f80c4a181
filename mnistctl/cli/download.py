"""The command download: fetch a data set."""

from pathlib import Path
from typing import Annotated

import typer

from mnistctl.cli.options import DATA_DIR, DataDir, Dataset, flag
from mnistctl.cli.output import terminal
from mnistctl.cli.output.show import print_file_statuses
from mnistctl.errors import DataError, UsageError


def download(
    dataset: Dataset = "mnist",
    data_dir: DataDir = DATA_DIR,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", envvar="MNISTCTL_MIRROR", help="Try this folder first; repeatable."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from a local folder.")
    ] = None,
    check: Annotated[bool, flag("--check", help="Only verify what is there.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a silent mirror.")] = 30.0,
) -> None:
    """Fetch the digits and verify them; what is there and whole is not fetched again."""
    from mnistctl.data import download

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give seconds above 0")
    if check:
        found = download.check(dataset, data_dir)
        print_file_statuses(found)
        bad = [status.file for status in found if status.count is None]
        if bad:
            mend = "`mnistctl download` without --check mends it"
            raise DataError(f"{dataset}: missing or damaged: {', '.join(bad)}; {mend}")
        return
    with terminal.download_progress() as progress:
        found = download.fetch(
            dataset, data_dir, mirrors=mirror or (), source=source, timeout=timeout, progress=progress
        )
    print_file_statuses(found)


def ensure(dataset: str, data_dir: Path, offline: bool) -> None:
    """Fetch the digits that are missing, unless `offline`.

    Raises:
        DataError: they are not there, and cannot be fetched.
    """
    from mnistctl.data import download

    with terminal.download_progress() as progress:
        download.ensure(dataset, data_dir, offline=offline, progress=progress)
