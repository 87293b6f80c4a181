"""Printing: lines, errors, tables and progress bars.

Rich is imported by the functions that need it: --help and tab completion need none of this.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.progress import Progress, TaskID
    from rich.table import Table

JSON_VERSION = 2  # version of the objects that --json prints
_MAX_WIDTH = 200  # columns; wider than any table


def print_line(text: str, style: str = "") -> None:
    """Print one line of a result on stdout, never wrapped or cut; in `style` if stdout is a terminal."""
    shown = _printable(text, sys.stdout)
    from rich.console import Console
    from rich.text import Text

    if style and (console := Console(highlight=False)).is_terminal:
        console.print(Text(shown, style), soft_wrap=True)
    else:
        print(shown, flush=True)


def print_error(message: str, notes: Iterable[str] = ()) -> None:
    """Print one line on stderr: the message, then the notes of the exception."""
    text = "; ".join([message, *notes])
    with suppress(OSError):  # stderr may be closed
        print(_printable(f"mnistctl: {text}", sys.stderr), file=sys.stderr, flush=True)


def silence_stdout() -> None:
    """Discard all further output: the reader of stdout has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def results_on_stderr(enabled: bool) -> Iterator[None]:
    """Print results on stderr in the block if `enabled`: stdout has the bytes of a file."""
    with redirect_stdout(sys.stderr) if enabled else nullcontext():
        yield


def _printable(text: str, stream: TextIO) -> str:
    # Paths may contain any character. Escape line breaks, and what the stream's encoding does not have.
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def download_progress() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """A progress bar for each downloaded file; see `progress_bar`."""
    from rich.progress import DownloadColumn

    return progress_bar(DownloadColumn())


@contextmanager
def progress_bar(column: Any) -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar for each named task, on a terminal only.

    Args:
        column: Rich column to the right of each bar.

    Yields:
        The function that updates the bars: its arguments are name, steps done, and total steps or None.
    """
    with progress_bars(column) as bars:
        tasks: dict[str, TaskID] = {}

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield on_progress


def plain_table(*columns: str, justify: "JustifyMethod" = "left") -> "Table":
    """An empty table without borders."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def print_table(table: "Table") -> None:
    """Print the table on stdout."""
    from rich.console import Console

    # At full width: a terminal wraps long rows, whereas Rich would cut numbers.
    Console(highlight=False, width=_MAX_WIDTH).print(table)


def progress_bars(*columns: Any) -> "Progress":
    """Progress bars on stderr, with `columns` to the right. Shown on a terminal only; removed at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    shown = console.is_terminal and not console.is_dumb_terminal
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        *columns,
        console=console,
        transient=True,
        disable=not shown,
        redirect_stdout=shown and sys.stdout.isatty(),
    )
