"""Tables of results as files: CSV for programs, Markdown and LaTeX for texts."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import LATEX, MARKDOWN, TABLE, Format, Output, check_outputs

Cell = str | int | float | None
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Table:
    """A table of results.

    Args:
        columns: names of the columns; a column without any value is left out of the files.
        rows: the cells of each row; None for no value.
        decimals: number of decimals of a column's numbers in texts; others are written as they are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    decimals: Mapping[str, int] = field(default_factory=dict)

    def filled(self) -> "Table":
        """The table without the columns that have no value."""
        kept = [n for n in range(len(self.columns)) if any(row[n] is not None for row in self.rows)]
        rows = tuple(tuple(row[n] for n in kept) for row in self.rows)
        return Table(tuple(self.columns[n] for n in kept), rows, self.decimals)

    def texts(self) -> list[list[str]]:
        """The cells of each row as they stand in a text."""
        return [
            [self._text(name, cell) for name, cell in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def is_number(self, column: int) -> bool:
        """Whether a column has no other values than numbers."""
        return not any(isinstance(row[column], str) for row in self.rows)

    def _text(self, name: str, cell: Cell) -> str:
        if cell is None:
            return ""
        if isinstance(cell, float) and name in self.decimals:
            return f"{cell:z.{self.decimals[name]}f}"
        # A file's name may have line breaks, which would end the row.
        return f"{cell:.3g}" if isinstance(cell, float) else " ".join(str(cell).splitlines())


def to_csv(table: Table) -> str:
    """The table as CSV with a line of names, numbers in full precision, and empty fields for no value.

    A spreadsheet would compute a text that begins like a formula, such as the name of somebody's run. An
    apostrophe before it makes it plain text there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_as_text(cell) for cell in row] for row in [table.columns, *table.rows])
    return text.getvalue()


def _as_text(cell: Cell) -> Cell:
    """The cell; with an apostrophe before it, if it is a text that a spreadsheet would compute."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def to_markdown(table: Table) -> str:
    """The table in Markdown, with numbers aligned right."""
    escaped = [[text.replace("|", "\\|") for text in row] for row in [list(table.columns), *table.texts()]]
    sides = ["---:" if table.is_number(n) else "---" for n in range(len(table.columns))]
    return "".join(f"| {' | '.join(row)} |\n" for row in [escaped[0], sides, *escaped[1:]])


def to_latex(table: Table) -> str:
    """The table as a LaTeX tabular that needs no package, with numbers aligned right."""
    sides = "".join("r" if table.is_number(n) else "l" for n in range(len(table.columns)))
    header, *rows = (
        " & ".join(_escape_latex(text) for text in row) + r" \\" for row in [table.columns, *table.texts()]
    )
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"\hline", header, r"\hline", *rows, r"\hline"]
    return "\n".join([*lines, r"\end{tabular}", ""])


def _escape_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    # After the end of a row, a bracket or a star would be an option of the line break.
    return "{}" + escaped if escaped.startswith(("[", "*")) else escaped


@dataclass(frozen=True)
class TableFiles:
    """The files that a table is written to. None: not in this format; `-` is stdout."""

    csv: Path | None = None
    markdown: Path | None = None
    latex: Path | None = None

    def outputs(self) -> list[Output]:
        """The files as outputs of a command."""
        return [Output(path, form, name) for name, path, form, _ in self._formats()]

    @property
    def uses_stdout(self) -> bool:
        """Whether one is written to stdout."""
        return any(output.is_stdout for output in self.outputs())

    def check(self, others: Sequence[Output] = (), *, overwrite: bool) -> None:
        """Check that the files, and the other outputs of a command, can be written.

        Raises:
            UsageError, OutputError: as `check_outputs`.
        """
        check_outputs([*others, *self.outputs()], overwrite=overwrite)

    def write(self, table: Table) -> list[Path]:
        """Write the table and return the paths of the files, without stdout.

        Raises:
            OutputError: a file cannot be written.
        """
        filled = table.filled()
        for _, path, _, form in self._formats():
            files.write(path, form(filled))
        return [output.path for output in self.outputs() if not output.is_stdout]

    def _formats(self) -> list[tuple[str, Path, Format, Callable[[Table], str]]]:
        formats = (
            ("csv", self.csv, TABLE, to_csv),
            ("markdown", self.markdown, MARKDOWN, to_markdown),
            ("latex", self.latex, LATEX, to_latex),
        )
        return [(name, path, form, write) for name, path, form, write in formats if path is not None]


NO_TABLES = TableFiles()
