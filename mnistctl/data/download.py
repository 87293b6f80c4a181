"""Download data sets: each file from the first mirror that has it, verified before it is saved."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import time
import urllib.error
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import DOWNLOAD, Output, check_outputs
from mnistctl.data import idx, mirror
from mnistctl.data.datasets import (
    File,
    OtherFileError,
    dataset_folder,
    find_file,
    get_dataset,
    missing_files,
    read_verified,
    unusable,
)
from mnistctl.errors import DataError, UsageError
from mnistctl.schema import Schema

ProgressCallback = Callable[[str, int, int | None], None]  # file, bytes so far, bytes in all if known
MAX_TRIES = 3  # per file and mirror
RETRY_DELAY = 1.0  # seconds before the second try; doubled before the third
_CHUNK = 1 << 16  # bytes per read
_PIECE = 1 << 12  # bytes of the unpacked file that are counted at once


@dataclass(frozen=True)
class FileStatus(Schema):
    """The state of one file of a data set.

    Args:
        file: its name.
        kind: "images" or "labels".
        count: number of images or labels; None if the file is missing, damaged or another one.
        action: its state; "fetched" if it was downloaded or copied just now; "other" if it is a sound IDX
            file, but not that of the data set.
        verified: whether the data set has a checksum that it was compared with.
    """

    file: str
    kind: str
    count: int | None
    action: Literal["present", "fetched", "missing", "damaged", "other"]
    verified: bool = True


class _TransientError(Exception):
    """A failure that may pass: a broken connection, a status of 500 or more, a truncated body."""


class _NoAnswerError(_TransientError):
    """The mirror did not answer. If it never does, it is not tried for the other files."""


class _PermanentError(Exception):
    """A failure that another try would repeat: the mirror answered, but not with the file."""


class _UselessMirrorError(_PermanentError):
    """The mirror does not answer, or too slowly. It is not tried for the other files."""


def check(name: str, data_dir: Path | None) -> list[FileStatus]:
    """The state of each file of the data set `name`. Nothing is downloaded."""
    folder = dataset_folder(name, data_dir)
    return [_file_status(folder, file) for file in get_dataset(name).files]


def require_no_others(name: str, data_dir: Path | None, statuses: Iterable[FileStatus]) -> None:
    """Check that the data folder has no sound IDX file in the place of one of the data set's.

    Raises:
        DataError: it has.
    """
    others = [status.file for status in statuses if status.action == "other"]
    if others and get_dataset(name).mirrors:
        folder = dataset_folder(name, data_dir)
        message = f"in {folder} are other IDX files of these names, which are kept: {', '.join(others)}"
        remedies = ("own", "download_overwrite", "data_dir")
        raise DataError(
            message, field="dataset", value=name, remedies=remedies, options={"data_dir": data_dir}
        )


def require_all(name: str, data_dir: Path | None, statuses: Sequence[FileStatus]) -> None:
    """Check that the data folder has all files of the data set.

    Raises:
        DataError: one is missing or damaged, or as `require_no_others`.
    """
    require_no_others(name, data_dir, statuses)
    bad = [status.file for status in statuses if status.count is None]
    if bad:
        message = f"missing or damaged: {', '.join(bad)}"
        raise unusable(get_dataset(name), data_dir, message, "download")


def ensure(
    name: str,
    data_dir: Path | None,
    *,
    offline: bool,
    mirrors: Iterable[str] = (),
    progress: ProgressCallback | None = None,
) -> None:
    """Download the missing files of a data set that has mirrors. Existing files are not verified.

    Args:
        name: the data set.
        data_dir: the data folder; None for data/.
        offline: report missing files instead.
        mirrors: addresses to try before the data set's own mirrors.
        progress: as that of `fetch`.

    Raises:
        DataError: files are missing and `offline` is set; or as `fetch`.
    """
    missing = missing_files(name, data_dir) if get_dataset(name).mirrors else []
    if missing and offline:
        raise _download_error(name, missing, data_dir, ["downloads are turned off"], "online")
    if missing:
        fetch(name, data_dir, mirrors=mirrors, progress=progress)


def fetch(
    name: str,
    data_dir: Path | None,
    *,
    mirrors: Iterable[str] = (),
    source: Path | None = None,
    timeout: float = 30.0,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> list[FileStatus]:
    """Download, unpack and verify every file of a data set that is missing or damaged.

    Files are saved only when all of them are there. A failure leaves the folder as it was.

    Args:
        name: the data set.
        data_dir: the data folder; None for data/.
        mirrors: addresses to try before the data set's own mirrors.
        source: a local folder to copy the files from, instead of all mirrors.
        timeout: seconds to wait for an answer and for each read.
        overwrite: replace sound IDX files that are not those of the data set.
        progress: is called after each read.

    Raises:
        UsageError: the data set has no mirrors, a mirror is not an http address, or `source` is no folder.
        DataError: a sound IDX file that is not the data set's has the name of one, without `overwrite`.
        DataError: no mirror has a valid copy of a file.
        OSError: the data folder cannot be written.
    """
    dataset, folder = get_dataset(name), dataset_folder(name, data_dir)
    if not dataset.mirrors:
        remedies = ["import_pictures"] if name == "own" else []
        message = f"cannot be downloaded: it is {dataset.title}"
        raise UsageError(message, field="dataset", value=name, remedies=remedies)
    addresses: list[mirror.Address] = []
    if source is None:
        addresses = [*map(_parse_address, mirrors), *map(_known_address, dataset.mirrors)]
    elif not source.is_dir():
        raise UsageError("no such folder", field="source", value=source)
    found = [_file_status(folder, file) for file in dataset.files]
    if not overwrite:
        require_no_others(name, data_dir, found)
    check_outputs([Output(folder / file.name, DOWNLOAD) for file in dataset.files])
    files.remove_stale_temp_files(folder)
    downloader = _Downloader(addresses, timeout, progress)
    statuses, failed, reasons = [], [], []
    contents: dict[str, bytes] = {}
    for file, status in zip(dataset.files, found, strict=True):
        if status.action != "present":
            try:
                content = _read_local(source, file) if source else downloader.get(file)
            except _PermanentError as error:
                failed.append(file)
                reasons += [reason for reason in str(error).split("\n") if reason not in reasons]
                continue
            contents[file.name] = content
            status = FileStatus(file.name, file.kind, idx.shape(content)[0], "fetched")
        statuses.append(status)
    if failed and source is not None:
        names = ", ".join(file.name for file in failed)
        why = f" ({'; '.join(filter(None, reasons))})" if any(reasons) else ""
        message = f"has no sound copy of {names}, with or without .gz{why}"
        options = {"dataset": name, "data_dir": data_dir}
        raise DataError(message, field="source", value=source, remedies=["download"], options=options)
    if failed:
        raise _download_error(name, failed, data_dir, reasons)
    for file_name, content in contents.items():
        files.write(folder / file_name, content)
    return statuses


def _parse_address(text: str) -> mirror.Address:
    """The address of a mirror that the user gave. An error shows no more of it than is public."""
    try:
        return mirror.Address.parse(text)
    except ValueError as error:
        value = mirror.public_address(text)
        raise UsageError(str(error), field="mirrors", value=value, remedies=["source"]) from None


def _known_address(text: str) -> mirror.Address:
    """The address of one of the data set's own mirrors, which has no secret."""
    return replace(mirror.Address.parse(text), public=text)


class _Downloader:
    """Downloads files from a list of mirrors, and remembers which mirrors are useless."""

    def __init__(
        self, mirrors: Iterable[mirror.Address], timeout: float, progress: ProgressCallback | None
    ) -> None:
        self._mirrors = tuple({address.url: address for address in mirrors}.values())
        self._timeout, self._progress = timeout, progress
        self._useless: dict[mirror.Address, str] = {}  # mirrors, and why

    def get(self, file: File) -> bytes:
        """The unpacked bytes of `file` from the first mirror that has them.

        Raises:
            _PermanentError: no mirror has them; the message has a line for each.
        """
        reasons = []
        for address in self._mirrors:
            if address in self._useless:
                reasons.append(self._useless[address])
                continue
            try:
                return self._try_repeatedly(address, file)
            except _UselessMirrorError as error:
                self._useless[address] = f"{address}: {error}"
                reasons.append(self._useless[address])
            except _PermanentError as error:
                reasons.append(f"{address}: {error}")
        raise _PermanentError("\n".join(reasons))

    def _try_repeatedly(self, address: mirror.Address, file: File) -> bytes:
        for attempt in range(MAX_TRIES):
            if attempt:
                time.sleep(RETRY_DELAY * 2 ** (attempt - 1))
            try:
                return self._try_once(address, file)
            except _TransientError as error:
                last = error
        raise (_UselessMirrorError if isinstance(last, _NoAnswerError) else _PermanentError)(str(last))

    def _try_once(self, address: mirror.Address, file: File) -> bytes:
        """Download `file` once. Nothing of what a mirror sent is part of an error's text."""
        try:
            content = self._download(address, file)
        except mirror.SlowError as error:
            raise _UselessMirrorError(str(error)) from None
        except urllib.error.HTTPError as error:
            error.close()
            kind = _TransientError if error.code >= 500 else _PermanentError
            raise kind(f"answered {error.code}") from None
        except (gzip.BadGzipFile, zlib.error):  # before OSError, of which BadGzipFile is one
            raise _PermanentError("sent a gzip that is damaged") from None
        except (TimeoutError, urllib.error.URLError, OSError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise _UselessMirrorError(f"timed out after {self._timeout:g} s") from None
            if isinstance(reason, str):  # no exception, so urllib itself refused
                raise _PermanentError("redirects to an address that is not http or https") from None
            kind = _NoAnswerError if isinstance(error, urllib.error.URLError) else _TransientError
            raise kind(getattr(reason, "strerror", None) or "no connection, or a proxy refused it") from None
        except (EOFError, http.client.IncompleteRead):
            raise _TransientError("sent a truncated body") from None
        except (http.client.HTTPException, ValueError):
            raise _TransientError("sent something that is not HTTP") from None
        _check_content(content, file)
        return content

    def _download(self, address: mirror.Address, file: File) -> bytes:
        """The unpacked body of the answer, at most one byte more than the size of `file`."""
        meter = mirror.Meter(self._timeout)
        with mirror.open_file(address, f"{file.name}.gz", meter) as answer:
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() and len(length) < 20 else None
            body = idx.ByteStream(self._read_chunks(file, answer, total))
            content = bytearray()
            while piece := body.take(min(_PIECE, (file.size or 0) + 1 - len(content))):
                content += piece
                meter.unpacked(len(piece))
            return bytes(content)

    def _read_chunks(
        self, file: File, answer: http.client.HTTPResponse, total: int | None
    ) -> Iterator[bytes]:
        """The chunks of a body as they arrive.

        Raises:
            EOFError: the body is shorter than the header says.
        """
        done = 0
        for chunk in iter(partial(answer.read1, _CHUNK), b""):  # read1 returns what has arrived
            done += len(chunk)
            if self._progress:
                self._progress(file.name, done, total)
            yield chunk
        if total is not None and done < total:
            raise EOFError


def _check_content(content: bytes, file: File) -> None:
    """Check what a mirror sent against the size and the checksum of `file`."""
    if not content:
        raise _TransientError("sent an empty body")
    if len(content) != file.size or hashlib.sha256(content).hexdigest() != file.sha256:
        raise _PermanentError("sent other content than the file")


def _read_local(source: Path, file: File) -> bytes:
    """The verified, unpacked bytes of `file` in the folder `source`.

    Raises:
        _PermanentError: it is damaged; or, without a message, missing.
    """
    path = find_file(source, file)
    if path is None:
        raise _PermanentError
    try:
        return bytes(read_verified(path, file)[0])
    except DataError as error:
        raise _PermanentError(str(error)) from None


def _file_status(folder: Path, file: File) -> FileStatus:
    path = find_file(folder, file)
    if path is None:
        return FileStatus(file.name, file.kind, None, "missing")
    try:
        content, _ = read_verified(path, file)
    except OtherFileError:
        return FileStatus(file.name, file.kind, None, "other")
    except DataError:
        return FileStatus(file.name, file.kind, None, "damaged")
    return FileStatus(file.name, file.kind, idx.shape(content)[0], "present", file.sha256 is not None)


def _download_error(
    name: str, missing: list[File], data_dir: Path | None, reasons: list[str], *remedies: str
) -> DataError:
    names = ", ".join(file.name for file in missing)
    return DataError(
        f"missing or damaged in {dataset_folder(name, data_dir)}: {names} ({'; '.join(reasons)})",
        field="dataset",
        value=name,
        remedies=[*remedies, "download_from", "download_mirror", "sample"],
        options={"data_dir": data_dir},
    )
