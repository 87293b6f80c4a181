"""Files that are whole or not there: written beside their name, flushed to disk, then renamed."""

import hashlib
import os
import re
import secrets
import socket
import stat
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mnistctl.errors import OutputError, UsageError

CHECKSUM_PLACEHOLDER = "sha256:" + 64 * "0"  # where a content's checksum will stand
_SUFFIX = ".part"
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_STALE_AFTER = 24 * 3600  # seconds after which another machine's temporary file counts as abandoned
_CHECKSUM = re.compile(rb"sha256:([0-9a-f]{64})")


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` for writing; it takes that name when the block ends well.

    The bytes reach the disk before the name does. When the block raises, or the disk is full,
    what stood under `path` stays as it was and the temporary file is gone.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    # A name of our own (0o666 less the umask) instead of mkstemp's 0o600: others may read results.
    part = path.parent / f".{path.name}.{_HOST}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as fault:
        _remove(part)
        raise OutputError(f"{path}: cannot be written ({reason(fault)})") from None
    except BaseException:
        _remove(part)
        raise
    fsync_dir(path.parent)


def write(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all.

    Raises:
        OutputError: as `replacing`.
    """
    with atomic_write(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def read(path: Path, limit: int) -> bytes:
    """The bytes of the file at `path`, at most `limit`.

    Raises:
        OSError: not there, not a file, larger, or not to be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
        raise OSError(0, "not a file", str(path))
    if status.st_size > limit:
        raise OSError(0, f"larger than {limit} bytes", str(path))
    return path.read_bytes()


def add_checksum(content: bytes) -> bytes:
    """`content` with the SHA-256 of all of it, as it is given, in the place of the first UNSIGNED in it."""
    return content.replace(
        CHECKSUM_PLACEHOLDER.encode(), f"sha256:{hashlib.sha256(content).hexdigest()}".encode(), 1
    )


def verify_checksum(content: bytes) -> bool:
    """Whether every byte of `content` is as `signed` left it."""
    found = _CHECKSUM.search(content)
    if found is None:
        return False
    view = memoryview(content)
    total = hashlib.sha256(view[: found.start()])
    total.update(CHECKSUM_PLACEHOLDER.encode())
    total.update(view[found.end() :])
    return total.hexdigest().encode() == found[1]


@contextmanager
def run_lock(stem: Path) -> Iterator[None]:
    """Keep other processes from a run's files, all those that begin with the path `stem`, in this block.

    The system gives the lock back when the process ends, however it ends.

    Raises:
        UsageError: another process has it.
        OutputError: it cannot be had.
    """
    from filelock import FileLock, Timeout

    path = stem.with_name(f".{stem.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        free = "wait for it, or give another --name or --out-dir"
        raise UsageError(f"{stem}: another run of this name is going on there; {free}") from None
    except OSError as fault:
        raise OutputError(f"{path}: cannot be locked ({reason(fault)})") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who opened it meanwhile sees that it has lost its name
        lock.release()


def with_ending(stem: Path, ending: str) -> Path:
    """The file of a run whose files begin with the path `stem`."""
    return stem.with_name(f"{stem.name}.{ending}")  # a name may hold dots, which with_suffix would cut


def list_runs(folder: Path, ending: str) -> list[str]:
    """The names, sorted, of the runs with a file of this ending in `folder`, which need not be there."""
    return sorted(p.name.removesuffix(f".{ending}") for p in folder.glob(f"[!.]*.{ending}"))


def reason(fault: OSError) -> str:
    """Why the system refused, in its words."""
    return fault.strerror or str(fault)


def prepare_folder(folder: Path) -> None:
    """Make `folder`, clear it of what dead processes left, and see that it can be written: before long work.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temp_files(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        why = "a file stands there" if isinstance(fault, FileExistsError) else reason(fault)
        raise OutputError(f"{folder}: cannot be written ({why}); give another --out-dir") from None


def remove_stale_temp_files(folder: Path) -> None:
    """Delete the temporary files in `folder` that dead processes left behind; those of live ones stay."""
    with suppress(OSError):
        for part in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if _is_stale(part):
                    part.unlink()


def _is_stale(part: Path) -> bool:
    fields = part.name.split(".")
    if len(fields) < 5 or not fields[-3].isdecimal():
        return False  # not a name of ours
    if fields[-4] != _HOST:
        return time.time() - part.stat().st_mtime > _STALE_AFTER
    try:
        os.kill(int(fields[-3]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink()


def fsync_dir(folder: Path) -> None:
    """See that a name made or changed in `folder` is on disk; where a folder cannot be opened, go without."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Saved:
    """A file now stands at `path`."""

    path: str
