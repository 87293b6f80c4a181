"""Trials on a Dask cluster."""

import ipaddress
import logging
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.errors import OutputError, UsageError
from mnistctl.nn.cores import available_cores
from mnistctl.trials.local import without_sigint

_CONNECT_SECONDS = 10  # timeout of the connection to a scheduler
_CLOSE_SECONDS = 0.5  # timeout of closing the connection
_MAX_FILE_BYTES = 1 << 20  # of a scheduler file
UNLIMITED = 1 << 20  # trials at a time; the scheduler distributes them


def dask_factory(
    workers: int | None, scheduler: str | None, scheduler_file: Path | None, insecure: bool
) -> Callable[[], Executor]:
    """A function that makes the executor of a Dask cluster.

    Args:
        workers: number of workers of a new cluster on this machine; None for as many as processor cores.
        scheduler: address of a running scheduler.
        scheduler_file: file that a running scheduler wrote.
        insecure: allow an unencrypted connection to another machine.

    Raises:
        UsageError: Dask is not installed, more than one of the first three is set, or the connection is
            insecure.
        OutputError: the scheduler file cannot be read.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        message = "Dask is not installed; run pip install distributed"
        raise UsageError(message, field="executor", value="dask") from None
    if [workers, scheduler, scheduler_file].count(None) < 2:
        message = "these exclude each other: address, file, and workers of a new cluster"
        raise UsageError(message, remedies=("scheduler", "scheduler_file", "workers"))
    if scheduler_file is not None:
        scheduler = _read_address(scheduler_file)
    if scheduler is not None and not insecure and not is_safe_address(scheduler):
        message = "neither on this machine nor encrypted (TLS): others could send code to its workers"
        raise UsageError(message, field="scheduler", value=scheduler, remedies=("insecure",))
    return lambda: DaskExecutor(scheduler, workers or available_cores())


def _read_address(path: Path) -> str:
    try:
        return str(files.parse_json(files.read(path, _MAX_FILE_BYTES))["address"])
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({files.reason(error)})") from None
    except (ValueError, KeyError, TypeError):
        message = "not the file of a Dask scheduler"
        raise UsageError(message, field="scheduler_file", value=path) from None


def is_safe_address(address: str) -> bool:
    """Whether data sent to the scheduler at `address` stays on this machine or is encrypted."""
    protocol, _, rest = address.rpartition("://")
    if protocol in ("tls", "wss", "inproc"):
        return True
    host = rest.rpartition(":")[0] or rest
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


class DaskExecutor(Executor):
    """Dask's own executor on a cluster.

    Args:
        address: address of the scheduler; None for a new cluster on this machine.
        workers: number of worker processes of the new cluster.

    Raises:
        OutputError: the scheduler cannot be reached.
        UsageError: one of its workers runs several tasks at once.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the trials report what matters
        self._cluster: Any = None
        try:
            with without_sigint():
                if address is None:
                    self._cluster = LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address="127.0.0.1:0",  # a free port: the default may be in use
                        silence_logs=logging.CRITICAL,
                    )
                self._client: Any = Client(
                    self._cluster or address, timeout=_CONNECT_SECONDS, set_as_default=False
                )
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            self._close_cluster()
            raise OutputError(f"Dask scheduler at {address or 'this machine'}: {error}") from None
        workers_by_name = self._client.scheduler_info(n_workers=-1)["workers"]
        several = [name for name, worker in workers_by_name.items() if worker["nthreads"] != 1]
        if several:
            self.shutdown()
            raise UsageError(
                f"{several[0]} runs several tasks at once; start that Dask worker with one thread"
            )
        # With `pure`, two trials with equal arguments would be one task, and its result taken from a cache.
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel unfinished tasks, disconnect, and stop the cluster if this executor started it."""
        with suppress(Exception):  # the scheduler may be gone
            self._client.close(_CLOSE_SECONDS)
        self._close_cluster()

    def _close_cluster(self) -> None:
        if self._cluster is not None:
            for nanny in list(self._cluster.workers.values()):
                with suppress(OSError, TypeError):
                    # Closing alone would wait for the end of a trial. On Windows SIGTERM does the same.
                    os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            with suppress(Exception):
                self._cluster.close(_CLOSE_SECONDS)
