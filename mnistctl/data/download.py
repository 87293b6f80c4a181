"""Fetch the digits: each file from the first mirror that has it, verified before it stands under its name."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from mnistctl import __version__
from mnistctl.artifacts import files
from mnistctl.data import idx
from mnistctl.data.datasets import (
    Dataset,
    File,
    dataset_folder,
    find_file,
    get_dataset,
    missing_files,
    read_verified,
)
from mnistctl.errors import DataError, UsageError

ProgressCallback = Callable[[str, int, int | None], None]  # file, bytes so far, bytes in all
MAX_TRIES = 3
RETRY_DELAY = 1.0  # seconds before the second try; doubled before the third
_CHUNK = 1 << 16
_MIN_BYTES_PER_SECOND = (
    500  # bytes a second; a mirror slower than that throughout a time-out counts as silent
)


@dataclass(frozen=True)
class FileStatus:
    """How a file of a data set stands; `count` is its images or labels, None where it is not sound."""

    file: str
    kind: str
    count: int | None
    action: Literal["present", "fetched", "missing", "damaged"]


class _TransientError(Exception):
    """A fault that may pass: a broken connection, a 5xx, a body cut short."""


class _NoAnswerError(_TransientError):
    """Nobody there, or nothing in time: if that stays so, the mirror is not asked for the other files."""


class _PermanentError(Exception):
    """A fault that stays: another answer than the file."""


class _MirrorTimeoutError(_PermanentError):
    """The mirror stayed silent through every try."""


def check(name: str, data_dir: Path | None) -> list[FileStatus]:
    """How each file of the data set `name` stands, fetching nothing."""
    place = dataset_folder(name, data_dir)
    return [_file_status(place, file) for file in get_dataset(name).files]


def ensure(
    name: str, data_dir: Path | None, *, offline: bool, progress: ProgressCallback | None = None
) -> None:
    """Fetch what is missing of the data set `name`, if it has mirrors; does not verify what is there.

    Raises:
        DataError: something is missing and `offline`, or as `fetch`.
    """
    absent = missing_files(name, data_dir) if get_dataset(name).mirrors else []
    if absent and offline:
        raise _download_error(name, absent, dataset_folder(name, data_dir), ["not asked for, since offline"])
    if absent:
        fetch(name, data_dir, progress=progress)


def fetch(
    name: str,
    data_dir: Path | None,
    *,
    mirrors: Iterable[str] = (),
    source: Path | None = None,
    timeout: float = 30.0,
    progress: ProgressCallback | None = None,
) -> list[FileStatus]:
    """Make the data set `name` whole: what is there and sound stays, the rest is fetched, unpacked, verified.

    `mirrors` are tried before the data set's own; `source` is a local folder that stands in for all of them.
    `timeout` is in seconds, for each answer and each read.

    Raises:
        UsageError: the data set cannot be fetched, or a mirror is not an http address.
        DataError: a file could not be had anywhere; what stood under its name stays.
        OSError: the data folder cannot be written.
    """
    wanted, place = get_dataset(name), dataset_folder(name, data_dir)
    if not wanted.mirrors:
        raise UsageError(f"--dataset {name} is not fetched: it is {wanted.title}")
    for mirror in mirrors:
        if not mirror.lower().startswith(("http://", "https://")):
            raise UsageError(f"--mirror {mirror}: give an http or https address; a folder goes with --from")
    files.remove_stale_temp_files(place)
    asked = _Mirrors(wanted, tuple(mirrors), timeout, progress)
    found, failed, why = [], [], []
    fetched: dict[str, bytes] = {}  # written once all are there: a failure leaves the folder as it was
    for file in wanted.files:
        status = _file_status(place, file)
        if status.action != "present":
            try:
                content = _read_local(source, file) if source else asked.get(file)
            except _PermanentError as fault:
                failed.append(file)
                why += [text for text in str(fault).split("\n") if text not in why]
                continue
            fetched[file.name] = content
            status = FileStatus(file.name, file.kind, idx.shape(content)[0], "fetched")
        found.append(status)
    if failed:
        raise _download_error(name, failed, place, why)
    for file_name, content in fetched.items():
        files.write(place / file_name, content)
    return found


class _Mirrors:
    """The mirrors of one command: where each file is asked for, and which of them have fallen silent."""

    def __init__(
        self, wanted: Dataset, first: tuple[str, ...], timeout: float, progress: ProgressCallback | None
    ) -> None:
        self._places = tuple(dict.fromkeys((*first, *wanted.mirrors)))
        self._timeout, self._progress = timeout, progress
        self._silent: dict[str, str] = {}

    def get(self, file: File) -> bytes:
        """The unpacked bytes of `file` from the first mirror that has them; _MoveOnError: none."""
        reasons = []
        for mirror in self._places:
            if mirror in self._silent:
                reasons.append(self._silent[mirror])
                continue
            try:
                return self._patiently(mirror, file)
            except _MirrorTimeoutError as fault:
                self._silent[mirror] = f"{mirror}: {fault}"
                reasons.append(self._silent[mirror])
            except _PermanentError as fault:
                reasons.append(f"{mirror}: {fault}")
        raise _PermanentError("\n".join(reasons))

    def _patiently(self, mirror: str, file: File) -> bytes:
        for attempt in range(MAX_TRIES):
            if attempt:
                time.sleep(RETRY_DELAY * 2 ** (attempt - 1))
            try:
                return self._once(mirror, file)
            except _TransientError as fault:
                last = fault
        raise (_MirrorTimeoutError if isinstance(last, _NoAnswerError) else _PermanentError)(str(last))

    def _once(self, mirror: str, file: File) -> bytes:
        address = f"{mirror.rstrip('/')}/{file.name}.gz"
        try:
            request = urllib.request.Request(address, headers={"User-Agent": f"mnistctl/{__version__}"})
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                length = answer.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
                body = idx.Unpacked(self._told(file, answer, total))
                content = bytes(body.take((file.size or 0) + 1))
        except urllib.error.HTTPError as fault:
            fault.close()
            kind = _TransientError if fault.code >= 500 else _PermanentError
            raise kind(f"answered {fault.code}") from None
        except (TimeoutError, urllib.error.URLError, OSError, http.client.HTTPException) as fault:
            reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
            if isinstance(reason, TimeoutError):
                raise _NoAnswerError(f"timed out after {self._timeout:g} s") from None
            kind = _NoAnswerError if isinstance(fault, urllib.error.URLError) else _TransientError
            raise kind(getattr(reason, "strerror", None) or str(reason)) from None
        except EOFError:
            raise _TransientError("sent a body that is cut short") from None
        except zlib.error:
            raise _PermanentError("sent a gzip that is damaged") from None
        except ValueError as fault:  # an address that urllib cannot take apart
            raise _PermanentError(f"not an address ({fault})") from None
        return _check_content(content, file)

    def _told(self, file: File, answer: http.client.HTTPResponse, total: int | None) -> Iterator[bytes]:
        done = behind = 0
        since = time.monotonic()
        # read1 returns with what is there, so that a trickle is noticed: each byte of it renews the time-out.
        for chunk in iter(partial(answer.read1, _CHUNK), b""):
            done += len(chunk)
            if time.monotonic() - since > self._timeout:
                if done - behind < _MIN_BYTES_PER_SECOND * self._timeout:
                    raise TimeoutError
                behind, since = done, time.monotonic()
            if self._progress:
                self._progress(file.name, done, total)
            yield chunk
        if total is not None and done < total:
            raise EOFError


def _check_content(content: bytes, file: File) -> bytes:
    if not content:
        raise _TransientError("sent an empty body")
    if len(content) != file.size or hashlib.sha256(content).hexdigest() != file.sha256:
        raise _PermanentError("sent something else than the file")
    return content


def _read_local(source: Path, file: File) -> bytes:
    path = find_file(source, file)
    if path is None:
        raise _PermanentError(f"{source}: has neither {file.name} nor {file.name}.gz")
    try:
        return bytes(read_verified(path, file)[0])
    except DataError as fault:
        raise _PermanentError(str(fault)) from None


def _file_status(place: Path, file: File) -> FileStatus:
    path = find_file(place, file)
    if path is None:
        return FileStatus(file.name, file.kind, None, "missing")
    try:
        content, _ = read_verified(path, file)
    except DataError:
        return FileStatus(file.name, file.kind, None, "damaged")
    return FileStatus(file.name, file.kind, idx.shape(content)[0], "present")


def _download_error(name: str, absent: list[File], place: Path, why: list[str]) -> DataError:
    names = ", ".join(file.name for file in absent)
    return DataError(
        f"{name}: missing or damaged in {place}: {names} ({'; '.join(why)}). Three ways on: download on "
        "another machine and `mnistctl download --from DIR`, or `--mirror URL`, or `--dataset sample`"
    )
