"""What the data sets are: names, folders, files, sizes, checksums, mirrors; find and verify them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnistctl.data import idx
from mnistctl.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Split = Literal["train", "test"]
Kind = Literal["images", "labels"]


@dataclass(frozen=True)
class File:
    """One IDX file of a data set: `size` in unpacked bytes and their SHA-256, None where any will do."""

    name: str
    split: Split
    kind: Kind
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Four files, where they stand below the data folder, and where they can be fetched."""

    name: str
    title: str
    files: tuple[File, ...]
    mirrors: tuple[str, ...] = ()
    subfolder: str = ""


@dataclass(frozen=True)
class Arrays:
    """The digits of one split: images uint8 [N, 28, 28], labels uint8 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def _files(*facts: tuple[int, str] | None) -> tuple[File, ...]:
    kinds: tuple[tuple[str, Split, Kind], ...] = (
        ("train-images-idx3-ubyte", "train", "images"),
        ("train-labels-idx1-ubyte", "train", "labels"),
        ("t10k-images-idx3-ubyte", "test", "images"),
        ("t10k-labels-idx1-ubyte", "test", "labels"),
    )
    return tuple(File(*kind, *(fact or (None, None))) for kind, fact in zip(kinds, facts, strict=True))


_SAMPLE = Path(__file__).with_name("sample")


# fmt: off
DATASETS = {d.name: d for d in (
    Dataset("mnist", "MNIST", _files(
        (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (    60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ( 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        (    10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ), (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    )),
    Dataset("fashion", "Fashion-MNIST", _files(
        (47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        (    60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ( 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        (    10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ), (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ), "fashion-mnist"),
    Dataset("sample", "the 5,000 digits in the package", _files(None, None, None, None)),
    Dataset("own", "any four IDX files", _files(None, None, None, None)),
)}


# fmt: on


def dataset_folder(name: str, data_dir: Path | None) -> Path:
    """Where the files of the data set `name` stand; the sample's place does not depend on `data_dir`."""
    if name == "sample":
        return _SAMPLE
    return (data_dir or Path("data")) / get_dataset(name).subfolder


def get_dataset(name: str) -> Dataset:
    """The data set called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in DATASETS:
        raise UsageError(f"--dataset {name!r}{suggest(name, DATASETS)} there are {', '.join(DATASETS)}")
    return DATASETS[name]


def find_file(place: Path, file: File) -> Path | None:
    """The path of `file` in the folder `place`, plain or .gz; None where neither stands."""
    return next((p for p in (place / file.name, place / f"{file.name}.gz") if p.exists()), None)


def missing_files(name: str, data_dir: Path | None) -> list[File]:
    """Which files of the data set `name` are not there."""
    place = dataset_folder(name, data_dir)
    return [file for file in get_dataset(name).files if find_file(place, file) is None]


def read_verified(path: Path, file: File) -> tuple[bytearray, str]:
    """The unpacked bytes of `file` at `path`, sound and with its checksum where it has one; their SHA-256.

    Raises:
        DataError: damaged, or another file under this name.
    """
    content = idx.read_bytes(path, file.size or idx.MAX_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if file.sha256 not in (None, found):
        raise idx.IdxError(path, "damaged, or another file", f"SHA-256 {file.sha256}", found)
    return content, found


def load(name: str, data_dir: Path | None, split: Split) -> tuple[Arrays, dict[str, str]]:
    """The digits of one split, verified, and the SHA-256 of each of its files' unpacked bytes.

    Raises:
        DataError: a file is missing, damaged, or does not hold 28x28 images or labels from 0 to 9.
    """
    place = dataset_folder(name, data_dir)
    arrays, sums = {}, {}
    for file in get_dataset(name).files:
        if file.split != split:
            continue
        path = find_file(place, file)
        if path is None:
            ways = (
                "run `mnistctl download`, or try --dataset sample"
                if get_dataset(name).mirrors
                else "put it there"
            )
            raise DataError(f"{place}: {file.name} is missing; give another --data-dir, or {ways}")
        try:
            content, sums[file.name] = read_verified(path, file)
        except idx.IdxError as fault:
            if not get_dataset(name).mirrors:
                raise
            raise DataError(f"{fault}; `mnistctl download --dataset {name}` mends it") from None
        arrays[file.kind] = _check_shape(path, idx.to_array(content), file.kind)
    images, labels = arrays["images"], arrays["labels"]
    if len(images) != len(labels):
        raise DataError(f"{place}: the {split} files hold {len(images)} images but {len(labels)} labels")
    return Arrays(images, labels), sums


@dataclass(frozen=True)
class LabelIssues:
    """Digits of a split whose labels are doubted: what that means, who says so, and their indices."""

    source: str
    meaning: str
    indices: tuple[int, ...]


def label_issues(name: str, split: Split) -> LabelIssues | None:
    """What is known of doubtful labels in a split of the data set `name`; None where nothing is."""
    told = json.loads(Path(__file__).with_name("label_issues.json").read_bytes())
    if (told["dataset"], told["split"]) != (name, split):
        return None
    return LabelIssues(told["source"], told["meaning"], tuple(told["indices"]))


def choose(
    arrays: Arrays, *, index: int | None, digit: int | None, count: int, seed: int | None
) -> NDArray[np.int64]:
    """Indices of `count` digits drawn without repetition, of one digit or all; or `index` and what follows.

    Raises:
        UsageError: a number out of range.
    """
    import numpy as np

    if index is not None and not 0 <= index < len(arrays.labels):
        raise UsageError(f"--index {index}: give 0 to {len(arrays.labels) - 1}")
    if digit is not None and not 0 <= digit <= 9:
        raise UsageError(f"--digit {digit}: give 0 to 9")
    kept = np.arange(len(arrays.labels)) if digit is None else np.flatnonzero(arrays.labels == digit)
    if index is not None:
        kept = kept[kept >= index]
    if not 1 <= count <= len(kept):
        raise UsageError(f"-n {count}: there are {len(kept)} to choose from; give 1 to {len(kept)}")
    if index is not None:
        return kept[:count]
    if seed is not None and seed < 0:
        raise UsageError(f"--seed {seed}: give 0 or more")
    return np.random.default_rng(seed).choice(kept, count, replace=False)


def _check_shape(path: Path, values: NDArray[np.uint8], kind: Kind) -> NDArray[np.uint8]:
    if kind == "images" and values.shape[1:] != (28, 28):
        raise idx.IdxError(path, "not images of 28x28", "[N, 28, 28]", values.shape)
    if kind == "labels" and (values.ndim != 1 or values.max() > 9):
        found = values.shape if values.ndim != 1 else f"a label {values.max()}"
        raise idx.IdxError(path, "not labels of digits", "[N] from 0 to 9", found)
    return values
