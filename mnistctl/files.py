"""Files that are whole or not there: written beside their name, flushed to disk, then renamed."""

import os
import secrets
import socket
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mnistctl.errors import OutputError

_SUFFIX = ".part"
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_FORGOTTEN = 24 * 3600  # seconds after which another machine's temporary file counts as abandoned


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` for writing; it takes that name when the block ends well.

    The bytes reach the disk before the name does. When the block raises, or the disk is full,
    what stood under `path` stays as it was and the temporary file is gone.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of our own (0o666 less the umask) instead of mkstemp's 0o600: others may read results.
    part = path.parent / f".{path.name}.{_HOST}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}"
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _flush_folder(path.parent)


def write(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def ready(folder: Path) -> None:
    """Make `folder`, clear it of what dead processes left, and see that it can be written: before long work.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        why = "a file stands there" if isinstance(fault, FileExistsError) else fault.strerror
        raise OutputError(f"{folder}: cannot be written ({why}); give another --out-dir") from None


def sweep(folder: Path) -> None:
    """Delete the temporary files in `folder` that dead processes left behind; those of live ones stay."""
    with suppress(OSError):
        for part in folder.glob(f".*{_SUFFIX}"):
            with suppress(OSError):
                if _abandoned(part):
                    part.unlink()


def _abandoned(part: Path) -> bool:
    fields = part.name.split(".")
    if len(fields) < 5 or not fields[-3].isdecimal():
        return False  # not a name of ours
    if fields[-4] != _HOST:
        return time.time() - part.stat().st_mtime > _FORGOTTEN
    try:
        os.kill(int(fields[-3]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _flush_folder(folder: Path) -> None:
    # A rename is on disk only once its folder is; where a folder cannot be opened, it goes without.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
