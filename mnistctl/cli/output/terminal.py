"""Printing: lines, errors, tables and progress bars.

Whatever is printed is text: square brackets in a name are no markup. Lines and tables that are printed while
progress bars run go through the console of the bars, which erases the bars first and draws them again below.
Rich is imported by the functions that need it: --help and tab completion need none of this.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.progress import Progress, TaskID
    from rich.table import Table
    from rich.text import Text

    from mnistctl.artifacts.files import Warned

_JSON_VERSION = 2  # of the objects that --json prints, where they have no version of their own
_BAR_WIDTH = 20  # columns, or fewer on a narrow terminal
_running: "list[Console]" = []  # the consoles of the progress bars that are shown now
_results: "list[TextIO]" = []  # the last one is where results are printed, if not on sys.stdout


def results_stream() -> TextIO:
    """Where results are printed: stdout, or stderr in `results_on_stderr`."""
    return _results[-1] if _results else sys.stdout


@contextmanager
def only_results_on_stdout() -> Iterator[None]:
    """Print on stderr what other code prints in the block, for example a recipe of one's own."""
    _results.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.pop()


@contextmanager
def results_on_stderr(enabled: bool) -> Iterator[None]:
    """Print results on stderr in the block if `enabled`: stdout has the bytes of a file."""
    _results.append(sys.stderr if enabled else results_stream())
    try:
        yield
    finally:
        _results.pop()


def get_console(*, stderr: bool = False) -> "Console":
    """The console for results or for stderr: that of the running progress bars if it is a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else results_stream()
    if _running and stream.isatty():
        return _running[-1]
    return Console(file=stream, highlight=False, markup=False, emoji=False)


def print_line(text: str, style: str = "") -> None:
    """Print one line of a result on stdout.

    On a terminal it is in `style` and wrapped at spaces. A word that is longer than a line, such as a path,
    stays whole, so that it can be copied. Elsewhere a line is never wrapped.
    """
    _print(get_console(), _printable(text, results_stream()), results_stream(), style)


def print_json(body: Mapping[str, object]) -> None:
    """Print a JSON object with a version on stdout, as `print_whole`."""
    print_whole(json.dumps({"version": _JSON_VERSION} | dict(body)))


def print_whole(text: str) -> None:
    """Print one line for programs on stdout. It is not even wrapped on a terminal, which may be recorded."""
    _print(get_console(), _printable(text, results_stream()), results_stream(), whole=True)


def _print(console: "Console", text: str, stream: TextIO, style: str = "", *, whole: bool = False) -> None:
    if console.is_terminal:
        from rich.text import Text

        lines = [text] if whole else _wrap(text, console.width)
        console.print(Text("\n".join(lines), style), soft_wrap=True)
    else:
        print(text, file=stream, flush=True)


def _wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, broken at spaces only. Lines after the first are indented if they fit then."""
    from rich.cells import cell_len

    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        alone = word.lstrip()
        if not lines[-1] or cell_len(lines[-1] + word) <= width or cell_len(alone) > width:
            lines[-1] += word
        else:
            lines.append(f"  {alone}" if cell_len(alone) + 2 <= width else alone)
    return lines


def print_error(message: str, notes: Iterable[str] = ()) -> None:
    """Print one line on stderr: the message, then the notes of the exception."""
    text = "; ".join([f"mnistctl: {message}", *notes])
    with suppress(OSError):  # stderr may be closed
        _print(get_console(stderr=True), _printable(text, sys.stderr), sys.stderr)


def print_warning(warning: "Warned") -> None:
    """Print a warning in one line on stderr."""
    from mnistctl.cli.errors import describe_warning

    print_error(f"warning: {describe_warning(warning)}")


def silence(stream: TextIO) -> None:
    """Discard what is still written to stdout or stderr: it is closed, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
                tasks[name] = bars.add_task(_printable(name, sys.stderr), total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield on_progress


@contextmanager
def progress_bars(*columns: Any) -> "Iterator[Progress]":
    """Progress bars on stderr, with `columns` to the right. Shown on a terminal only; removed at the end.

    They are not shown either while stdout is a pipe: its reader may print the lines on the same terminal.
    """
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    console = get_console(stderr=True)
    shown = console.is_terminal and not console.is_dumb_terminal and not _is_pipe(results_stream())
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(None, table_column=Column(max_width=_BAR_WIDTH)),
        *columns,
        console=console,
        transient=True,
        disable=not shown,
        redirect_stdout=shown,
    )
    with bars:
        if shown:
            _running.append(console)
        try:
            yield bars
        finally:
            if shown:
                _running.pop()


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:  # not a file of the system
        return False


def format_duration(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any: `0:07`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@dataclass
class PlainTable:
    """A table without borders, whose cells are text.

    Args:
        headers: the columns' headers.
        justify: "left" or "right", for each column.
        folded: the columns whose cells may be wrapped at spaces on a narrow terminal.
        keys: number of columns that say what a row is. They are printed again in each part of a table that is
            wider than the terminal.
    """

    headers: "list[Text]"
    justify: "Sequence[JustifyMethod]"
    folded: Sequence[int]
    keys: int
    rows: "list[tuple[list[Text], str]]" = field(default_factory=list)

    def add_row(self, *cells: "str | Text", style: str = "") -> None:
        """Add a row, in `style`. A cell that is a `Text` keeps its own style."""
        self.rows.append(([_cell(cell) for cell in cells], style))

    def parts(self, width: int | None) -> "Iterator[Table]":
        """Tables of Rich that are at most `width` columns wide, each with as many columns as fit.

        A part is wider if it has only one column beside the keys, and that does not fit.
        """
        keys, chosen = list(range(self.keys)), list[int]()
        for column in range(self.keys, len(self.headers)):
            if width is not None and chosen and self._least_width([*keys, *chosen, column]) > width:
                yield self._part([*keys, *chosen], width)
                chosen = []
            chosen.append(column)
        yield self._part([*keys, *chosen], width)

    def _least_width(self, columns: Sequence[int]) -> int:
        return sum(self._widths(column)[0] for column in columns) + len(columns) - 1

    def _widths(self, column: int) -> tuple[int, int]:
        """The smallest width of a column, with its cells wrapped if they may be, and its natural width."""
        cells = [row[column] for row, _ in self.rows]
        natural = max(text.cell_len for text in [self.headers[column], *cells])
        if column not in self.folded and any(" " in cell.plain for cell in cells):
            return natural, natural
        # If no cell has a space, this wraps the header alone.
        words = (word for text in [self.headers[column], *cells] for word in _cell(text).split(" "))
        return max(word.cell_len for word in words), natural

    def _part(self, columns: Sequence[int], width: int | None) -> "Table":
        from rich.table import Table

        ranges = [self._widths(column) for column in columns]
        widths = [natural for _, natural in ranges]
        excess = 0 if width is None else sum(widths) + len(widths) - 1 - width
        # Take it from the columns that can spare most.
        for index in sorted(range(len(widths)), key=lambda i: ranges[i][0] - ranges[i][1]):
            least, natural = ranges[index]
            widths[index] -= max(0, min(excess, natural - least))
            excess -= natural - widths[index]
        total = sum(widths) + len(widths) - 1
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, width=total)
        for column, content_width in zip(columns, widths, strict=True):
            table.add_column(self.headers[column], justify=self.justify[column], width=content_width)
        for cells, style in self.rows:
            table.add_row(*(cells[column] for column in columns), style=style)
        return table


def _cell(value: "str | Text") -> "Text":
    from rich.text import Text

    return value if isinstance(value, Text) else Text(_printable(value, results_stream()))


def plain_table(
    *headers: str,
    justify: "JustifyMethod" = "left",
    left: Sequence[int] = (),
    right: Sequence[int] = (),
    folded: Sequence[int] = (),
    keys: int = 1,
) -> PlainTable:
    """An empty table.

    Args:
        headers: the columns' headers.
        justify: of all columns, except those in `left` and `right`.
        left, right: numbers of columns that are justified so.
        folded, keys: as in `PlainTable`.
    """
    sides: list[JustifyMethod] = [
        "left" if column in left else "right" if column in right else justify
        for column in range(len(headers))
    ]
    return PlainTable([_cell(header) for header in headers], sides, folded, keys)


def print_table(table: PlainTable) -> None:
    """Print the table on stdout.

    On a terminal that is too narrow, long cells are wrapped at spaces. If that is not enough, the columns are
    printed in several parts, one below the other. Elsewhere a table is as wide as it has to be.
    """
    console = get_console()
    fitted = console.is_terminal or "COLUMNS" in os.environ
    for part in table.parts(console.width if fitted else None):
        console.print(part, crop=False)
