"""Where trials run: processes of this machine, a Dask cluster, or any executor that a user names."""

import importlib
import ipaddress
import json
import logging
import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mnistctl import files
from mnistctl.errors import OutputError, UsageError

_CONNECTING = 10  # seconds to wait for a scheduler
_LEAVING = 0.5  # seconds to wait for one to say goodbye
_ALL = 1 << 20  # trials at a time: the scheduler deals them out


@dataclass(frozen=True)
class Slot:
    """A source of executors: `make` gives one, and a new one where that broke; `width` trials at a time."""

    make: Callable[[], Executor]
    width: int
    device: str


@dataclass(frozen=True)
class Place:
    """Where trials run: the slots for a device and a number of trials, and the words that ask for it again.

    `here` says whether that is this machine, whose devices the parent can see.
    """

    slots: Callable[[str, int], list[Slot]]
    words: tuple[str, ...] = ()
    here: bool = True


def place(
    executor: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    insecure: bool = False,
) -> Place:
    """The place that a user asks for: `executor` is local, dask, or module:factory.

    Raises:
        UsageError: no such executor, options that do not go together, or a cluster that is not safe.
        OutputError: the scheduler's file cannot be read.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: give 1 or more")
    if executor != "dask" and (scheduler is not None or scheduler_file is not None):
        raise UsageError("--scheduler and --scheduler-file go with --executor dask")
    words = [] if executor == "local" else ["--executor", shlex.quote(executor)]
    for flag, value in (("workers", workers), ("scheduler", scheduler), ("scheduler-file", scheduler_file)):
        if value is not None:
            words += [f"--{flag}", shlex.quote(str(value))]
    words += ["--insecure"] if insecure else []
    if executor == "local":
        return Place(lambda device, trials: _local(device, trials, workers), tuple(words))
    if executor == "dask":
        make = _dask(workers, scheduler, scheduler_file, insecure)
        return Place(lambda device, _: [Slot(make, _ALL, device)], tuple(words), here=False)
    make = _named(executor)
    return Place(lambda device, _: [Slot(make, workers or cores(), device)], tuple(words), here=False)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _local(device: str, trials: int, workers: int | None) -> list[Slot]:
    # A pool for each worker, so that one that dies breaks no other's trial.
    devices = [device]
    if device == "cuda":
        import torch

        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    usual = len(devices) if device.startswith("cuda") else cores()
    count = max(1, min(trials, workers or usual))
    return [Slot(Worker, 1, devices[number % len(devices)]) for number in range(count)]


class Worker(ProcessPoolExecutor):
    """One process, started when first needed, that dies with its parent and never outlives `shutdown`."""

    def __init__(self) -> None:
        super().__init__(1, multiprocessing.get_context("spawn"), _serve)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`; the process that may start here never sees Ctrl-C, which is the parent's."""
        with _uninterrupted():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process, whatever it is at: what `kill_workers` does from Python 3.14 on."""
        for process in list((self._processes or {}).values()):
            process.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _serve() -> None:
    """Leave Ctrl-C to the parent, and die with it, even where it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    # Threads and processes that begin in this block inherit the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _named(executor: str) -> Callable[[], Executor]:
    module, _, name = executor.partition(":")
    if not module or not name:
        raise UsageError(f"--executor {executor!r}: give local, dask or module:factory")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as fault:
        raise UsageError(f"--executor {executor}: {fault}") from None

    def make() -> Executor:
        made = factory()
        if not isinstance(made, Executor):
            raise UsageError(f"--executor {executor}: it gives no concurrent.futures.Executor")
        return made

    return make


def _dask(
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
        scheduler = _written(scheduler_file)
    if scheduler is not None and not insecure and not safe(scheduler):
        raise UsageError(
            f"--scheduler {scheduler}: neither on this machine nor TLS, so that anyone on the way may send "
            "code to its workers; --insecure goes there all the same"
        )
    return lambda: Dask(scheduler, workers or cores())


def _written(path: Path) -> str:
    try:
        return str(json.loads(files.read(path, 1 << 20))["address"])
    except OSError as fault:
        raise OutputError(f"{path}: cannot be read ({files.reason(fault)})") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"--scheduler-file {path}: not the file of a Dask scheduler") from None


def safe(address: str) -> bool:
    """Whether what goes to the scheduler at `address` stays on this machine or is encrypted."""
    protocol, _, rest = address.rpartition("://")
    if protocol in ("tls", "wss", "inproc"):
        return True
    host = rest.rpartition(":")[0] or rest
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


class Dask(Executor):
    """Dask's own executor on a cluster: the one at `address`, else one of `workers` processes here."""

    def __init__(self, address: str | None, workers: int) -> None:
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told by the trials
        self._cluster: Any = None
        try:
            with _uninterrupted():
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
                    self._cluster or address, timeout=_CONNECTING, set_as_default=False
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
            self._client.close(_LEAVING)
        self._end_cluster()

    def _end_cluster(self) -> None:
        if self._cluster is not None:
            for nanny in list(self._cluster.workers.values()):
                with suppress(OSError, TypeError):
                    os.kill(nanny.pid, signal.SIGKILL)  # which a trial's end would have to be waited for
            with suppress(Exception):
                self._cluster.close(_LEAVING)
