"""Trials on a Dask cluster."""

import ipaddress
import json
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
from mnistctl.trials.local import available_cores, without_sigint

_CONNECT_SECONDS = 10  # seconds to wait for a scheduler
_CLOSE_SECONDS = 0.5  # seconds to wait for one to say goodbye
UNLIMITED = 1 << 20  # trials at a time: the scheduler deals them out


def dask_factory(
    workers: int | None, scheduler: str | None, scheduler_file: Path | None, insecure: bool
) -> Callable[[], Executor]:
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError("--executor dask needs Dask: pip install 'mnistctl[cluster]'") from None
    if [workers, scheduler, scheduler_file].count(None) < 2:
        raise UsageError(
            "give one of --scheduler, --scheduler-file and --workers, for a cluster of one's own"
        )
    if scheduler_file is not None:
        scheduler = _scheduler_address(scheduler_file)
    if scheduler is not None and not insecure and not is_safe_address(scheduler):
        raise UsageError(
            f"--scheduler {scheduler}: neither on this machine nor TLS, so that anyone on the way may send "
            "code to its workers; --insecure goes there all the same"
        )
    return lambda: DaskExecutor(scheduler, workers or available_cores())


def _scheduler_address(path: Path) -> str:
    try:
        return str(json.loads(files.read(path, 1 << 20))["address"])
    except OSError as fault:
        raise OutputError(f"{path}: cannot be read ({files.reason(fault)})") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"--scheduler-file {path}: not the file of a Dask scheduler") from None


def is_safe_address(address: str) -> bool:
    """Whether what goes to the scheduler at `address` stays on this machine or is encrypted."""
    protocol, _, rest = address.rpartition("://")
    if protocol in ("tls", "wss", "inproc"):
        return True
    host = rest.rpartition(":")[0] or rest
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


class DaskExecutor(Executor):
    """Dask's own executor on a cluster: the one at `address`, else one of `workers` processes here."""

    def __init__(self, address: str | None, workers: int) -> None:
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told by the trials
        self._cluster: Any = None
        try:
            with without_sigint():
                if address is None:
                    self._cluster = LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,
                    )
                self._client: Any = Client(
                    self._cluster or address, timeout=_CONNECT_SECONDS, set_as_default=False
                )
        except (OSError, TimeoutError, ValueError, RuntimeError) as fault:
            self._end_cluster()
            raise OutputError(f"the Dask scheduler at {address or 'this machine'}: {fault}") from None
        serving = self._client.scheduler_info(n_workers=-1)["workers"]
        several = [name for name, worker in serving.items() if worker["nthreads"] != 1]
        if several:
            self.shutdown()
            raise UsageError(f"{several[0]} runs several tasks at once; start its worker with --nthreads 1")
        # Two trials are never one, whatever their arguments: nothing is to be taken from a cache.
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take back what is not done, leave the cluster, and end it if it is our own."""
        with suppress(Exception):  # a scheduler that is gone needs no goodbye
            self._client.close(_CLOSE_SECONDS)
        self._end_cluster()

    def _end_cluster(self) -> None:
        if self._cluster is not None:
            for nanny in list(self._cluster.workers.values()):
                with suppress(OSError, TypeError):
                    os.kill(nanny.pid, signal.SIGKILL)  # which a trial's end would have to be waited for
            with suppress(Exception):
                self._cluster.close(_CLOSE_SECONDS)
