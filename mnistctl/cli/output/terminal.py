"""How anything is printed: a line, a complaint, a table, a bar."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TextIO

from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

JSON_VERSION = 1  # the version of what --json prints
_MAX_WIDTH = 200  # columns; more than any table here takes


def print_line(text: str, style: str = "") -> None:
    """One line of a result on stdout: never wrapped or cut, in a style on a terminal that has styles."""
    shown = _printable(text, sys.stdout)
    if style and (console := Console(highlight=False)).is_terminal:
        console.print(Text(shown, style), soft_wrap=True)
    else:
        print(shown, flush=True)


def print_error(message: str, notes: Iterable[str] = ()) -> None:
    """One line on stderr: what went wrong, then the notes that were added to the exception."""
    text = "; ".join([message, *notes])
    with suppress(OSError):  # nobody is left to tell
        print(_printable(f"mnistctl: {text}", sys.stderr), file=sys.stderr, flush=True)


def silence_stdout() -> None:
    """Send what is still to be printed nowhere: its reader is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _printable(text: str, stream: TextIO) -> str:
    # In one line, and what the stream's encoding has no sign for in escapes: a path may hold anything.
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def download_progress() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """A bar for each file that comes in, on a terminal; gives the function that moves it."""
    return progress_bar(DownloadColumn())


@contextmanager
def progress_bar(column: Any) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each thing that takes long, on a terminal, `column` behind it; gives what moves it."""
    with progress_bars(column) as bars:
        tasks: dict[str, TaskID] = {}

        def moved(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield moved


def plain_table(*columns: str, justify: JustifyMethod = "left") -> Table:
    """A table without rules, to be filled."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """The table on stdout."""
    # As wide as it needs: a terminal wraps what does not fit, where rich would cut numbers short.
    Console(highlight=False, width=_MAX_WIDTH).print(table)


def progress_bars(*columns: Any) -> Progress:
    """Bars on stderr with these columns behind them; on a terminal only, and gone at the end."""
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
