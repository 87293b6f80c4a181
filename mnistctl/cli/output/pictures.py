"""Print the data set that was made from pictures."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import TextColumn

from mnistctl.cli.errors import folder_words
from mnistctl.cli.output.evaluate import print_paths
from mnistctl.cli.output.terminal import plain_table, print_json, print_line, print_table, progress_bar
from mnistctl.errors import plural

if TYPE_CHECKING:
    from mnistctl.data.pictures import ImportResult

_MAX_LISTED = 20  # files that are left out
_BATCH = 1000  # images of a batch in conv's recipe
_SMALL_BATCH = 100  # images of a batch for a data set with fewer images than that


def picture_progress() -> AbstractContextManager[Callable[[str, int, int | None], None]]:
    """A progress bar for the pictures, on a terminal. Yields the function that advances it."""
    return progress_bar(TextColumn("{task.completed}/{task.total}", markup=False))


def print_import(result: "ImportResult", data_dir: Path, *, json: bool) -> None:
    """Print the number of images of each digit, what was left out, the files, and how to train on them."""
    if json:
        print_json(result.to_json())
        return
    table = plain_table("digit", "train", "test", right=[1, 2])
    for digit, counts in enumerate(zip(result.train, result.test, strict=True)):
        table.add_row(str(digit), *map(str, counts))
    table.add_row("all", str(sum(result.train)), str(sum(result.test)), style="bold")
    print_table(table)
    if result.left_out:
        print_line(f"left out: {plural(len(result.left_out), 'file')}")
    for each in result.left_out[:_MAX_LISTED]:
        print_line(f"  {each.file}: {each.reason}")
    if (more := len(result.left_out) - _MAX_LISTED) > 0:
        print_line(f"  and {more} more; --json lists all")
    print_paths(result.paths)
    where = folder_words("data_dir", data_dir)
    count = sum(result.train)
    batch = "" if count >= _BATCH else f" --batch-size {min(count, _SMALL_BATCH)}"
    print_line(f"train on it with `mnistctl train conv --dataset own{where}{batch}`")
