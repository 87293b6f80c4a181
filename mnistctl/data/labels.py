"""The true digits of image files: from the names of folders and files, or from a table."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.errors import UsageError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MAX_BYTES = 2**24  # of a table
_IN_NAME = re.compile(rf"(?:^|[^a-z])(?:label[_-]?([0-9])(?![0-9])|({'|'.join(WORDS)})(?![a-z]))")


def label_of(path: Path) -> int | None:
    """The digit that the name of a file or of its folder says, or None.

    A folder is called 0 to 9. A file has `label3` or `three` in its name, not within a longer word or number.
    """
    if re.fullmatch("[0-9]", path.parent.name):
        return int(path.parent.name)
    found = {digit or str(WORDS.index(word)) for digit, word in _IN_NAME.findall(path.stem.lower())}
    return int(found.pop()) if len(found) == 1 else None


def read_labels(table: Path) -> dict[str, int]:
    """The digit of each file in a CSV file with the columns file and label, and any others if it names them.

    Raises:
        UsageError: the table cannot be read, or a line is not a file and a digit; the line is named.
    """
    try:
        text = files.read(table, _MAX_BYTES).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline="")))  # whatever ends its lines
    except (OSError, UnicodeDecodeError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"cannot be read ({reason})", field="labels", value=table) from None
    except csv.Error as error:
        raise UsageError(f"not a table in CSV ({error})", field="labels", value=table) from None
    labels: dict[str, int] = {}
    titles = [title.strip().lower() for title in rows[0]] if rows else []
    named = {"file", "label"} <= set(titles) or titles[1:] == ["label"]
    if not named:
        titles = ["file", "label"]
    label = titles.index("label")
    file = titles.index("file") if "file" in titles else 0
    for number, row in enumerate(rows, 1):
        if not row or (named and number == 1):
            continue
        if len(row) == len(titles) and re.fullmatch("[0-9]{2,}", row[label].strip()):
            message = f"line {number}: only pictures of one digit can have a label; leave the line out"
            raise UsageError(message, field="labels", value=table)
        if len(row) != len(titles) or not re.fullmatch("[0-9]", row[label].strip()):
            hint = "" if named else "; a first line with the names of the columns has file and label"
            message = f"line {number}: give a file and its digit{hint if number == 1 else ''}"
            raise UsageError(message, field="labels", value=table)
        name, digit = str(Path(row[file].strip())), int(row[label])
        if labels.setdefault(name, digit) != digit:
            raise UsageError(f"line {number}: {name} has two digits", field="labels", value=table)
    return labels


def find_labels(images: Sequence[Path], table: Path | None = None) -> list[int | None]:
    """The digit of each image file: from the table, by path, full path or name, or else from the names.

    Raises:
        UsageError: the table is not valid, or has none of the files.
    """
    if table is None:
        return [label_of(path) for path in images]
    labels = read_labels(table)
    found = [labels.get(str(path), labels.get(str(path.resolve()), labels.get(path.name))) for path in images]
    if all(label is None for label in found):
        raise UsageError("has none of the images", field="labels", value=table)
    return found
