"""Folders of pictures, one for each digit, made into a data set of IDX files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import IDX, Output, check_outputs
from mnistctl.data import datasets, idx
from mnistctl.data.datasets import Split
from mnistctl.data.photos import load_grid, load_image, to_mnist
from mnistctl.errors import DataError, OutputError, UsageError, plural
from mnistctl.schema import Schema

_TEST_SHARE = 1 / 6  # of the pictures of each digit; MNIST has 10,000 of 70,000
_DIGITS = range(10)
_SPLITS: tuple[Split, ...] = ("train", "test")
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class LeftOut(Schema):
    """A file that is not in the data set, and why."""

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImportResult(Schema):
    """A data set that was made from pictures.

    Args:
        source: the folder of pictures.
        train: number of training images of each digit, 0 to 9.
        test: number of test images of each digit.
        seed: seed of the split and of the order.
        left_out: the files that are not in it.
        paths: the four files.
    """

    source: Path
    train: tuple[int, ...]
    test: tuple[int, ...]
    seed: int
    left_out: tuple[LeftOut, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Picture:
    """A picture as it goes into the data set: its digit, [28, 28] pixels, its split if a folder says it."""

    digit: int
    pixels: NDArray[np.uint8]
    split: Split | None


def import_pictures(
    source: Path,
    folder: Path,
    *,
    as_is: bool = False,
    test_share: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ImportResult:
    """Make the four IDX files of a data set in `folder` from the pictures in `source`.

    `source` has folders called 0 to 9, or the folders train and test that have them. Without these, a share
    of the pictures of each digit is drawn for the test split. The images of each split are in random order.
    A picture of one image that mnistctl wrote is taken as it is.
    A picture whose image equals that of an earlier one is left out: no test image is also a training image.
    So are files and folders beside those of the digits.

    Args:
        source: the folder of pictures.
        folder: folder of the IDX files.
        as_is: take pictures of 28x28 pixels as they are; otherwise each is prepared as a photograph.
        test_share: share of the pictures for the test split, one in six if None; only without the folders
            train and test.
        seed: seed of the split and of the order.
        progress: is called after each picture.

    Raises:
        UsageError: a number is out of range, `source` has no such folders, or has some of both kinds, or
            its folders say the split and `test_share` is given, or `folder` has a data set.
        DataError: too few pictures can be used.
        OutputError: a folder cannot be read, or a file cannot be written.
    """
    if test_share is not None and not 0 < test_share < 1:
        raise UsageError("give a number between 0 and 1", field="test_share", value=f"{test_share:g}")
    if seed < 0:
        raise UsageError("give 0 or more", field="seed", value=seed)
    wanted = datasets.new_own_files(folder, "data_dir")
    outputs = [Output(folder / file.name, IDX) for file in wanted]
    check_outputs(outputs)

    roots = _find_roots(source)
    if test_share is not None and None not in roots:
        message = f"{source} has the folders train and test, which say the split of each picture"
        raise UsageError(message, field="test_share", value=f"{test_share:g}")
    beside = _list_beside(source, roots, folder)
    pictures, unusable = _read_pictures(_find_pictures(source, roots), as_is, progress)
    left_out = [*beside, *unusable]
    splits = _split(pictures, test_share or _TEST_SHARE, np.random.default_rng(seed))
    for split, chosen in splits.items():
        if not chosen:
            # Of the pictures first: they are what the user means to import.
            reason = "".join(f" ({each.file}: {each.reason})" for each in [*unusable, *beside][:1])
            message = (
                f"no picture is left for the {split} split; left out: {plural(len(left_out), 'file')}{reason}"
            )
            raise DataError(f"{source}: {message}; give 2 or more pictures of a digit")
    for file, output in zip(wanted, outputs, strict=True):
        images = np.stack([picture.pixels for picture in splits[file.split]])
        labels = np.array([picture.digit for picture in splits[file.split]], np.uint8)
        files.write(output.path, idx.dump(images if file.kind == "images" else labels))
    return ImportResult(
        source=source,
        train=_count_digits(splits["train"]),
        test=_count_digits(splits["test"]),
        seed=seed,
        left_out=tuple(left_out),
        paths=tuple(output.path for output in outputs),
    )


def _count_digits(pictures: list[_Picture]) -> tuple[int, ...]:
    return tuple(sum(picture.digit == digit for picture in pictures) for digit in _DIGITS)


def _find_roots(source: Path) -> dict[Split | None, Path]:
    """The folders that have the folders of the digits: `source`, or those of the two splits.

    Raises:
        UsageError: there are no such folders, or it is unclear which are meant.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder")
    found: list[Split] = [split for split in _SPLITS if _digit_folders(source / split)]
    if found and _digit_folders(source):
        message = f"{source}: has folders of digits itself, and in {' and '.join(found)}"
        raise UsageError(f"{message}; move all into train and test, or all out of them")
    if len(found) == 1:
        (has,), (lacks,) = found, {*_SPLITS} - {*found}
        message = f"{source}: {has} has folders of digits, but {lacks} has none"
        raise UsageError(f"{message}; make both, or name {source / has}, which is then split")
    return {split: source / split for split in found} if found else {None: source}


def _list_beside(source: Path, roots: dict[Split | None, Path], data: Path) -> list[LeftOut]:
    """What lies beside the folders of the digits and of the splits, but for the folder `data`."""
    known = {path for root in roots.values() for _, path in _digit_folders(root)} | {*roots.values()}
    entries = {path for folder in (source, *roots.values()) for path in _visible(folder)}
    return [
        LeftOut(str(path), "not in a folder called 0, 1, ... 9")
        for path in sorted(entries - known)
        if path.resolve() != data.resolve()
    ]


def _visible(folder: Path) -> list[Path]:
    """The files and folders in a folder that are not hidden, in order of their names.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({files.reason(error)})") from None


def _find_pictures(source: Path, roots: dict[Split | None, Path]) -> list[tuple[Path, int, Split | None]]:
    """The files in the folders of the digits, in order of their names, with digit and split.

    Raises:
        UsageError: there are none.
        OutputError: a folder cannot be read.
    """
    found = [
        (path, digit, split)
        for split, root in roots.items()
        for digit, folder in _digit_folders(root)
        for path in _visible(folder)
    ]
    if not found:
        raise UsageError(f"{source}: has no pictures in folders called 0, 1, ... 9")
    return found


def _digit_folders(folder: Path) -> list[tuple[int, Path]]:
    return [(digit, path) for digit in _DIGITS if (path := folder / str(digit)).is_dir()]


def _read_pictures(
    found: list[tuple[Path, int, Split | None]], as_is: bool, progress: Progress | None
) -> tuple[list[_Picture], list[LeftOut]]:
    pictures, left_out, seen = [], [], dict[bytes, Path]()
    for number, (path, digit, split) in enumerate(found, 1):
        pixels = _prepare(path, as_is)
        if isinstance(pixels, str):
            left_out.append(LeftOut(str(path), pixels))
        elif (key := pixels.tobytes()) in seen:
            left_out.append(LeftOut(str(path), f"the same image as {seen[key]}"))
        else:
            seen[key] = path
            pictures.append(_Picture(digit, pixels, split))
        if progress is not None:
            progress("pictures", number, len(found))
    return pictures, left_out


def _prepare(path: Path, as_is: bool) -> NDArray[np.uint8] | str:
    """The picture as [28, 28] pixels, or why it cannot be used."""
    if path.is_dir():
        return "a folder"
    try:
        grey, _ = load_image(path)
    except OutputError as error:
        return error.message.removeprefix(f"{path}: ")
    cells = load_grid(path)  # that mnistctl wrote; its white lines would be taken for paper
    if cells is not None:
        return cells[0, 0] if cells.shape[:2] == (1, 1) else f"a grid of {cells[..., 0, 0].size} images"
    if not as_is:
        image = to_mnist(grey)
        return "no digit found" if image is None else image
    if grey.shape != (28, 28):
        rows, columns = grey.shape
        return f"{columns}x{rows} pixels, not 28x28"
    return np.rint(grey).astype(np.uint8)


def _split(
    pictures: list[_Picture], test_share: float, rng: np.random.Generator
) -> dict[Split, list[_Picture]]:
    """The pictures of each split in random order. Of each digit with two or more, both splits have some."""
    splits: dict[Split, list[_Picture]] = {"train": [], "test": []}
    for digit in _DIGITS:
        own = [picture for picture in pictures if picture.digit == digit and picture.split is None]
        order = rng.permutation(len(own))
        count = min(max(1, round(test_share * len(own))), len(own) - 1) if len(own) > 1 else 0
        splits["test"] += [own[i] for i in order[:count]]
        splits["train"] += [own[i] for i in order[count:]]
    for picture in pictures:
        if picture.split is not None:
            splits[picture.split].append(picture)
    return {split: [chosen[i] for i in rng.permutation(len(chosen))] for split, chosen in splits.items()}
