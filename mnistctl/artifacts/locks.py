"""Locks: the files of a run are used by one process at a time."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.artifacts.files import Warned
from mnistctl.errors import OutputError, UsageError

# What a file system without locks answers, as some network ones do.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextmanager
def run_lock(run_path: Path) -> Iterator[list[Warned]]:
    """Lock the files of a run, those whose paths begin with `run_path`, against other processes.

    The operating system releases the lock when the process ends, in whatever way. On a file system without
    locks, a file that only one process can create takes its place. It stays if the process is killed; the
    next one on the same machine finds that and takes it over.

    Yields:
        Warnings: one if the file system has no locks.

    Raises:
        UsageError: another process has the lock.
        OutputError: the lock file cannot be created.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    path = run_path.with_name(f".{run_path.name}.lock")
    marker = run_path.with_name(f".{run_path.name}.mark")
    lock: FileLock | SoftFileLock = FileLock(path, fallback_to_soft=False)
    warnings = []
    try:
        try:
            lock.acquire(blocking=False)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            path.unlink(missing_ok=True)
            lock, path = SoftFileLock(marker), marker
            lock.acquire(blocking=False)
            what = f"{marker} keeps other processes off; delete it if one was killed on another machine"
            warnings.append(Warned(f"{run_path.parent}: its file system has no locks, so {what}", "locks"))
    except Timeout:
        hint = f" (if there is none, delete {marker})" if path == marker else ""
        message = f"{run_path}: in use by another process; wait for its end{hint}"
        raise UsageError(message, remedies=("name", "out_dir")) from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be locked ({files.reason(error)})") from None
    try:
        yield warnings
    finally:
        if path != marker:  # the release deletes that one
            with suppress(OSError):
                path.unlink()  # before the release: a process that has it open sees that its name is gone
        lock.release()
