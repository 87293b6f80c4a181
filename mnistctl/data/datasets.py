"""Data sets: their files, sizes, checksums and mirrors; finding, verifying and loading them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mnistctl.data import idx
from mnistctl.errors import DataError, UsageError, suggest
from mnistctl.schema import Schema, to_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Split = Literal["train", "test"]
Kind = Literal["images", "labels"]


@dataclass(frozen=True)
class File:
    """One IDX file of a data set.

    Args:
        name: its name, without .gz.
        split, kind: what it holds.
        size: number of unpacked bytes, None if it may be any.
        sha256: of the unpacked bytes, None if it may be any.
        also_in: other folders that may have it, relative to the data set's: where torchvision puts it.
    """

    name: str
    split: Split
    kind: Kind
    size: int | None = None
    sha256: str | None = None
    also_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data set.

    Args:
        name: its key in `DATASETS`.
        title: for people.
        files: images and labels of both splits.
        mirrors: addresses to download the files from, in the order to try them.
        subfolder: of the data folder; the files are in it.
    """

    name: str
    title: str
    files: tuple[File, ...]
    mirrors: tuple[str, ...] = ()
    subfolder: str = ""


@dataclass(frozen=True)
class Arrays:
    """One split: images uint8 [N, 28, 28], labels uint8 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def _files(*sizes_and_sums: tuple[int, str] | None, also_in: tuple[str, ...] = ()) -> tuple[File, ...]:
    """The four files of a data set, in the order train images, train labels, test images, test labels."""
    kinds: tuple[tuple[str, Split, Kind], ...] = (
        ("train-images-idx3-ubyte", "train", "images"),
        ("train-labels-idx1-ubyte", "train", "labels"),
        ("t10k-images-idx3-ubyte", "test", "images"),
        ("t10k-labels-idx1-ubyte", "test", "labels"),
    )
    files = (File(*kind, *(given or (None, None))) for kind, given in zip(kinds, sizes_and_sums, strict=True))
    return tuple(replace(file, also_in=also_in) for file in files)


_SAMPLE = Path(__file__).with_name("sample")
_LABEL_ISSUES = Path(__file__).with_name("label_issues.json")


# fmt: off
DATASETS = {d.name: d for d in (
    Dataset("mnist", "MNIST", _files(
        (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (    60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ( 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        (    10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        also_in=("MNIST/raw", "raw"),
    ), (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    )),
    Dataset("fashion", "Fashion-MNIST", _files(
        (47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        (    60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ( 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        (    10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        also_in=("../FashionMNIST/raw", "raw"),
    ), (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ), "fashion-mnist"),
    Dataset("sample", "the 5,000 digits in the package", _files(
        (3_136_016, "74422b12132c7d8b0957cdb994d971a505f77a57ddac808ef1ea84f4bb9e7a2e"),
        (    4_008, "5dbd7686910cb66a8a6303f16940c2fae43896243c187897cd3976aab00f4817"),
        (  784_016, "39a5f23fe7320d50d2b650bd96c756db7999a84cb13541d939296ed59f1e0663"),
        (    1_008, "66e4c6deb5f2a061f7d8cd5ec53025fdb9dabb08265e449acb8cf64b8cd36cac"),
    )),
    Dataset("own", "any four IDX files", _files(None, None, None, None)),
)}


# fmt: on


def dataset_folder(name: str, data_dir: Path | None) -> Path:
    """The folder with the files of the data set `name`. For the sample it does not depend on `data_dir`.

    Raises:
        UsageError: no data set has this name.
    """
    if name == "sample":
        return _SAMPLE
    return (data_dir or Path("data")) / get_dataset(name).subfolder


def get_dataset(name: str) -> Dataset:
    """The data set called `name`.

    Raises:
        UsageError: there is none.
    """
    name = to_type(name, str, "dataset")
    if name not in DATASETS:
        message = f"no data set has this name{suggest(name, DATASETS)} choose one of {', '.join(DATASETS)}"
        raise UsageError(message, field="dataset", value=name)
    return DATASETS[name]


def find_file(folder: Path, file: File) -> Path | None:
    """The path of `file` in `folder` or its `also_in`, unpacked or with .gz; None if there is none.

    Its name may have a dot before idx, as in some copies of MNIST.
    """
    names = file.name, file.name.replace("-idx", ".idx")
    candidates = (
        Path(os.path.normpath(folder / subfolder)) / f"{name}{ending}"  # folder itself may not exist
        for subfolder in ("", *file.also_in)
        for name in names
        for ending in ("", ".gz")
    )
    return next((path for path in candidates if path.exists()), None)


def missing_files(name: str, data_dir: Path | None) -> list[File]:
    """The files of the data set `name` that do not exist."""
    folder = dataset_folder(name, data_dir)
    return [file for file in get_dataset(name).files if find_file(folder, file) is None]


def new_own_files(folder: Path, *remedies: str) -> tuple[File, ...]:
    """The files of the data set "own" to write to `folder`, which must have none of them.

    Raises:
        UsageError: it has one; `remedies` help.
    """
    wanted = get_dataset("own").files
    for file in wanted:
        if (path := find_file(folder, file)) is not None:
            raise UsageError(f"{path} exists already; it is not replaced", remedies=remedies)
    return wanted


class OtherFileError(idx.IdxError):
    """A file is a valid IDX file, but not that of the data set: somebody's own, which is not to be lost."""


def read_verified(path: Path, file: File) -> tuple[bytearray, str]:
    """The unpacked bytes of `file` at `path`, and their SHA-256.

    Raises:
        IdxError: it is not a valid IDX file.
        OtherFileError: it is a valid one without the data set's checksum.
    """
    content = idx.read_bytes(path)
    checksum = hashlib.sha256(content).hexdigest()
    if file.sha256 not in (None, checksum):
        raise OtherFileError(path, "another IDX file", f"SHA-256 {file.sha256}", checksum)
    return content, checksum


def load(name: str, data_dir: Path | None, split: Split) -> tuple[Arrays, dict[str, str]]:
    """One split of a data set, and the SHA-256 of each of its files' unpacked bytes.

    Raises:
        DataError: a file is missing, damaged, or does not hold 28x28 images or labels from 0 to 9.
        UsageError: there is no such data set or split.
    """
    if split not in get_args(Split):
        raise UsageError(f"choose one of {', '.join(get_args(Split))}", field="split", value=repr(split))
    folder, dataset = dataset_folder(name, data_dir), get_dataset(name)
    arrays, checksums = {}, {}
    for file in dataset.files:
        if file.split != split:
            continue
        path = find_file(folder, file)
        if path is None:
            message = f"{folder}: {file.name} is missing"
            raise unusable(dataset, data_dir, message, "download", "sample", "data_dir")
        try:
            content, checksums[file.name] = read_verified(path, file)
            arrays[file.kind] = _check_shape(path, idx.to_array(content), file.kind)
        except idx.IdxError as error:
            helps = ("own", "download_overwrite") if isinstance(error, OtherFileError) else ("download",)
            raise unusable(dataset, data_dir, str(error), *helps) from None
    images, labels = arrays["images"], arrays["labels"]
    if len(images) != len(labels):
        message = f"{folder}: the {split} files hold {len(images)} images but {len(labels)} labels"
        raise unusable(dataset, data_dir, message, "download")
    return Arrays(images, labels), checksums


def unusable(dataset: Dataset, data_dir: Path | None, message: str, *remedies: str) -> DataError:
    """The error that files of the data set cannot be used; `remedies` help if it can be downloaded."""
    if not dataset.mirrors:
        remedies = ("reinstall",) if dataset.name == "sample" else ("import_pictures", "data_dir")
    options = {"data_dir": data_dir}
    return DataError(message, field="dataset", value=dataset.name, remedies=remedies, options=options)


@dataclass(frozen=True)
class LabelIssues(Schema):
    """Images of one split whose labels human raters dispute.

    Args:
        source: who collected the ratings.
        meaning: which labels these are.
        indices: of the images, in the order of the file.
    """

    source: str
    meaning: str
    indices: tuple[int, ...]


def label_issues(name: str, split: Split) -> LabelIssues | None:
    """The known label issues of a split of the data set `name`; None if none are known."""
    body = json.loads(_LABEL_ISSUES.read_bytes())
    return LabelIssues.from_json(body) if (body["dataset"], body["split"]) == (name, split) else None


def is_sorted_by_label(labels: NDArray[np.uint8]) -> bool:
    """Whether equal labels [N] follow each other far more often than in a random order.

    In a random order, the next label is the same with the probability sum(p^2) of the shares p. Where it is
    the same more than halfway from there to always, a batch has digits of few labels only.
    """
    import numpy as np

    if len(labels) < 2:
        return False
    by_chance = float(((np.bincount(labels) / len(labels)) ** 2).sum())
    return float((labels[1:] == labels[:-1]).mean()) > (1 + by_chance) / 2


def mixed_order(labels: NDArray[np.uint8], seed: int) -> NDArray[np.int64]:
    """A random order of the labels [N], as indices, in which each part has all labels in their shares."""
    import numpy as np

    rng = np.random.default_rng(seed)
    position = np.empty(len(labels))
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        position[rng.permutation(indices)] = (np.arange(len(indices)) + rng.random()) / len(indices)
    return np.argsort(position, kind="stable")


def choose(
    arrays: Arrays, *, index: int | None, digit: int | None, count: int, seed: int | None
) -> NDArray[np.int64]:
    """Indices of images to show: random ones without repetition, or those from `index` on.

    Args:
        arrays: the images to choose from.
        index: index of the first image; None for random ones.
        digit: only images with this label; None for all.
        count: number of images.
        seed: of the random choice; None for another choice each time.

    Raises:
        UsageError: a number is out of range.
    """
    import numpy as np

    check_choice(index=index, digit=digit, count=count, seed=seed)
    if index is not None and index >= len(arrays.labels):
        raise UsageError(f"give 0 to {len(arrays.labels) - 1}", field="index", value=index)
    candidates = np.arange(len(arrays.labels)) if digit is None else np.flatnonzero(arrays.labels == digit)
    if index is not None:
        candidates = candidates[candidates >= index]
    if digit is not None and not len(candidates):
        if index is None:
            raise UsageError(f"no image is a {digit}", field="digit", value=digit)
        raise UsageError(f"no image from here on is a {digit}", field="index", value=index)
    if count > len(candidates):
        message = f"there are {len(candidates)} images to choose from; give 1 to {len(candidates)}"
        raise UsageError(message, field="count", value=count)
    if index is not None:
        return candidates[:count]
    return np.random.default_rng(seed).choice(candidates, count, replace=False)


def check_choice(*, index: int | None, digit: int | None, count: int, seed: int | None) -> None:
    """Check the arguments of `choose` as far as no images are needed for it.

    Raises:
        UsageError: a number is out of range.
    """
    if digit is not None and not 0 <= digit <= 9:
        raise UsageError("give 0 to 9", field="digit", value=digit)
    for field, value, low in (("index", index, 0), ("count", count, 1), ("seed", seed, 0)):
        if value is not None and value < low:
            raise UsageError(f"give {low} or more", field=field, value=value)


def _check_shape(path: Path, values: NDArray[np.uint8], kind: Kind) -> NDArray[np.uint8]:
    """`values` if they are images [N, 28, 28] or labels [N] from 0 to 9, depending on `kind`."""
    if kind == "images" and values.shape[1:] != (28, 28):
        raise idx.IdxError(path, "not images of 28x28", "[N, 28, 28]", values.shape)
    if kind == "labels" and (values.ndim != 1 or values.max() > 9):
        actual = values.shape if values.ndim != 1 else f"a label {values.max()}"
        raise idx.IdxError(path, "not labels of digits", "[N] from 0 to 9", actual)
    return values
