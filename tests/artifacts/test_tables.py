"""Tables of results as CSV, Markdown and LaTeX."""

import csv
import io

import pytest

from mnistctl.artifacts.tables import Table, TableFiles, to_csv, to_latex, to_markdown
from mnistctl.errors import UsageError

TABLE = Table(
    ("arm", "n", "mean", "p", "empty"),
    (
        ("a_b | 50 %", 3, 99.58333, 1.25e-05, None),
        ('x\\y "quoted", {z}', 12, 99.5, None, None),
        ("none", 0, None, 0.5, None),
    ),
    {"mean": 2},
)


def test_csv_has_every_digit_and_survives_commas_and_quotes():
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == ["arm", "n", "mean", "p", "empty"]
    assert rows[1] == ["a_b | 50 %", "3", "99.58333", "1.25e-05", ""]
    assert rows[2][0] == 'x\\y "quoted", {z}'


def test_text_that_a_spreadsheet_would_compute_is_written_as_text_and_numbers_stay_numbers():
    cells = ('=HYPERLINK("http://a")', "+aug", "-x", "@a", "\tb", "-0.01", "+3", "1e-3", -0.01, None)
    (row,) = csv.reader(io.StringIO(to_csv(Table(tuple("abcdefghij"), (cells,))).partition("\n")[2]))
    assert row[:5] == ['\'=HYPERLINK("http://a")', "'+aug", "'-x", "'@a", "'\tb"]
    assert row[5:] == ["-0.01", "+3", "1e-3", "-0.01", ""]
    (header, _) = csv.reader(io.StringIO(to_csv(Table(("=1+1",), ((2,),)))))
    assert header == ["'=1+1"]


def test_markdown_is_aligned_and_its_bars_are_escaped():
    assert to_markdown(TABLE.filled()).splitlines() == [
        "| arm | n | mean | p |",
        "| --- | ---: | ---: | ---: |",
        "| a_b \\| 50 % | 3 | 99.58 | 1.25e-05 |",
        '| x\\y "quoted", {z} | 12 | 99.50 |  |',
        "| none | 0 |  | 0.5 |",
    ]


def test_latex_escapes_its_own_characters():
    assert to_latex(TABLE.filled()).splitlines() == [
        "\\begin{tabular}{lrrr}",
        "\\hline",
        "arm & n & mean & p \\\\",
        "\\hline",
        "a\\_b \\textbar{} 50 \\% & 3 & 99.58 & 1.25e-05 \\\\",
        'x\\textbackslash{}y "quoted", \\{z\\} & 12 & 99.50 &  \\\\',
        "none & 0 &  & 0.5 \\\\",
        "\\hline",
        "\\end{tabular}",
    ]


def test_small_negative_number_is_no_negative_zero():
    assert "| 0.0000 |" in to_markdown(Table(("difference",), ((-1e-9,),), {"difference": 4}))


def test_each_format_needs_its_ending_and_an_unused_name(tmp_path):
    for field, ending in (("csv", "csv"), ("markdown", "md"), ("latex", "tex")):
        path = tmp_path / f"table.{ending}"
        written = TableFiles(**{field: path})
        written.check(overwrite=False)
        assert written.write(TABLE) == [path]
        assert "a" in path.read_text()
        with pytest.raises(UsageError, match="exists already"):
            written.check(overwrite=False)
        written.check(overwrite=True)
        with pytest.raises(UsageError, match=f"needs a name that ends in .{ending}") as error:
            TableFiles(**{field: tmp_path / "table.txt"}).check(overwrite=False)
        assert error.value.field == field
    with pytest.raises(UsageError, match="is the same file as"):
        TableFiles(csv=tmp_path / "a.csv").check(TableFiles(csv=tmp_path / "a.csv").outputs(), overwrite=True)


def test_table_on_stdout_has_no_path(capfd, tmp_path):
    files = TableFiles(csv="-", latex=tmp_path / "a.tex")
    assert files.uses_stdout
    assert files.write(TABLE) == [tmp_path / "a.tex"]
    assert capfd.readouterr().out == to_csv(TABLE.filled())


def test_names_of_any_characters_keep_a_table_in_its_rows():
    table = Table(("arm", "n"), (("a\nb", 1), ("[c]", 2), ("*d", 3), ("<e>|f", 4)))
    assert to_markdown(table).splitlines()[2:] == [
        "| a b | 1 |",
        "| [c] | 2 |",
        "| *d | 3 |",
        r"| <e>\|f | 4 |",
    ]
    rows = to_latex(table).splitlines()[4:8]
    assert rows == [
        r"a b & 1 \\",
        r"{}[c] & 2 \\",
        r"{}*d & 3 \\",
        r"\textless{}e\textgreater{}\textbar{}f & 4 \\",
    ]
