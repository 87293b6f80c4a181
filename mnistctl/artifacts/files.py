"""Atomic files and checksums: a file is complete or missing, however its writing ends."""

import errno
import hashlib
import io
import json
import os
import re
import secrets
import socket
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mnistctl.errors import OutputError
from mnistctl.schema import Schema

CHECKSUM_PLACEHOLDER = "sha256:" + 64 * "0"  # replaced by the checksum of the content that contains it
STDOUT = "-"  # as a path, means stdout
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # the disk, or what a user may have of it
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_SUFFIX = ".part"
_NAME_PART = 20  # characters of a file's name in that of its temporary file
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_STALE_AFTER = 24 * 3600  # seconds after which a temporary file of a process that cannot be asked is deleted
_CHECKSUM = re.compile(rb"sha256:([0-9a-f]{64})")
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})\.([0-9]{1,10})\.[0-9a-f]{8}\.part", re.DOTALL)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file next to `path` for writing, and rename it to `path` at the end of the block.

    The bytes are on disk before the file is renamed. If the block raises, or the disk is full, an older file
    at `path` stays as it was, and the temporary file is deleted. A link is followed: the file that it names
    is written. To a pipe or a device the bytes are written at the end of the block; `-` is stdout.

    Raises:
        OutputError: the folder cannot be created or written, or the disk is full.
    """
    if is_stream(path):
        with _write_to_stream(path) as buffer:
            yield buffer
        return
    try:
        target = resolve(path)
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None
    # Not `tempfile.mkstemp`, whose files only their owner can read. A long name gets no room for more.
    token = f"{_HOST}.{os.getpid()}.{secrets.token_hex(4)}"
    part = target.parent / f".{target.name[:_NAME_PART]}.{token}{_SUFFIX}"
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        _remove(part)
        raise unwritable(path, error) from None
    except BaseException:
        _remove(part)
        raise
    fsync_dir(target.parent)


def resolve(path: Path) -> Path:
    """The path that a chain of links at `path` ends at, which need not exist.

    Raises:
        OSError: the links never end.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def is_stream(path: Path) -> bool:
    """Whether `path` is written to as it is, not replaced: stdout, a file descriptor, a pipe or a device."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def is_stdout(path: Path | None) -> bool:
    """Whether `path` means stdout: `-`, /dev/stdout or /dev/fd/1."""
    return path is not None and _descriptor(path) == 1


def _descriptor(path: Path) -> int | None:
    """The number of the open file that `path` names; None if it names no open file."""
    names = {STDOUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else names.get(str(path))


@contextmanager
def _write_to_stream(path: Path) -> Iterator[IO[bytes]]:
    """Yield a buffer whose bytes go to the pipe, device or open file at `path` at the end of the block."""
    buffer = io.BytesIO()
    yield buffer
    descriptor = _descriptor(path)
    try:
        if descriptor == 1:
            sys.stdout.flush()  # what was printed before comes before
        # A file that the shell opened is written where the shell's position is, not from its start.
        with path.open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        if descriptor == 1 and isinstance(error, BrokenPipeError):
            raise  # as when a result is printed
        raise unwritable(path, error) from None


def max_name_bytes(folder: Path) -> int:
    """The largest number of bytes in the name of a file in `folder`."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # a system without it
        return 255


def write(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, completely or not at all.

    Raises:
        OutputError: as `atomic_write`.
    """
    with atomic_write(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def read(path: Path, limit: int) -> bytes:
    """The bytes of the file at `path`, at most `limit`.

    Raises:
        OSError: it is missing, no regular file, larger, or unreadable.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would wait for its writer
        raise OSError(0, "not a file", str(path))
    if status.st_size > limit:
        raise OSError(0, f"larger than {limit} bytes", str(path))
    return path.read_bytes()


def add_checksum(content: bytes) -> bytes:
    """Replace the first CHECKSUM_PLACEHOLDER in `content` by the SHA-256 of `content`."""
    return content.replace(
        CHECKSUM_PLACEHOLDER.encode(), f"sha256:{hashlib.sha256(content).hexdigest()}".encode(), 1
    )


def verify_checksum(content: bytes) -> bool:
    """Whether every byte of `content` is as `add_checksum` left it."""
    match = _CHECKSUM.search(content)
    if match is None:
        return False
    view = memoryview(content)
    total = hashlib.sha256(view[: match.start()])
    total.update(CHECKSUM_PLACEHOLDER.encode())
    total.update(view[match.end() :])
    return total.hexdigest().encode() == match[1]


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or has too many brackets within brackets.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def with_ending(run_path: Path, ending: str) -> Path:
    """A file of the run at `run_path`: `out/conv` and "json" give `out/conv.json`."""
    return run_path.with_name(f"{run_path.name}.{ending}")  # with_suffix would cut a name that contains a dot


def shorten(name: str, limit: int) -> str:
    """`name`, cut to `limit` bytes if it has more; then it ends in its checksum, in place of what is cut."""
    encoded = os.fsencode(name)
    if len(encoded) <= limit:
        return name
    return f"{encoded[: limit - 9].decode(errors='ignore')}-{zlib.crc32(encoded):08x}"


def list_runs(folder: Path, ending: str) -> list[str]:
    """The sorted names of the runs that have a file with this ending in `folder`, which may be missing."""
    return sorted(p.name.removesuffix(f".{ending}") for p in folder.glob(f"[!.]*.{ending}"))


def reason(error: OSError) -> str:
    """The operating system's message."""
    return error.strerror or str(error)


def unwritable(path: Path, error: OSError, *, what: str = "written") -> OutputError:
    """The error that `path` cannot be written, or what else `what` says, with what helps."""
    return OutputError(f"{path}: cannot be {what} ({reason(error)})", remedies=write_remedies(error))


def write_remedies(error: OSError) -> tuple[str, ...]:
    """What helps after an error of writing a file; empty if that depends on the file."""
    if error.errno in _FULL:
        return ("free_space",)
    return ("other_folder",) if error.errno in _REFUSED else ()


def prepare_folder(folder: Path) -> None:
    """Create `folder`, delete temporary files of dead processes in it, and check that it can be written.

    Called before long work, so that its end does not fail.

    Raises:
        OutputError: the folder cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temp_files(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else reason(error)
        remedies = ("out_dir",) if error.errno not in _FULL else ("free_space", "out_dir")
        raise OutputError(f"{folder}: cannot be written ({why})", remedies=remedies) from None


def remove_stale_temp_files(folder: Path) -> None:
    """Delete the temporary files of dead processes in `folder`. Those of running processes stay."""
    with suppress(OSError):
        for part in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if _is_stale(part):
                    part.unlink()


def _is_stale(part: Path) -> bool:
    match = _TEMPORARY.fullmatch(part.name)
    if match is None:
        return False  # not a name that `atomic_write` gives
    host, process = match.groups()
    if host != _HOST or sys.platform == "win32":  # os.kill(process, 0) sends Ctrl-C there
        return time.time() - part.stat().st_mtime > _STALE_AFTER
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # a process of somebody else, or a number that no process can have
        return False
    return False


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink()


def fsync_dir(folder: Path) -> None:
    """Flush the names in `folder` to disk, on systems that can open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Warned(Schema):
    """Something that the user should know, in one sentence; the work goes on.

    Args:
        message: the sentence.
        kind: one word for programs, such as "inverted".
        remedies: what helps, as in `MnistctlError`.
    """

    message: str
    kind: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Saved:
    """A file was written to `path`."""

    path: str
