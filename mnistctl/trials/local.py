"""Trials in processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any


@dataclass(frozen=True)
class WorkerSlot:
    """A source of executors: `make` gives one, and a new one where that broke; `width` trials at a time."""

    make: Callable[[], Executor]
    width: int
    device: str


def available_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_slots(device: str, trials: int, workers: int | None) -> list[WorkerSlot]:
    # A pool for each worker, so that one that dies breaks no other's trial.
    devices = [device]
    if device == "cuda":
        import torch

        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    usual = len(devices) if device.startswith("cuda") else available_cores()
    count = max(1, min(trials, workers or usual))
    return [WorkerSlot(SingleProcessExecutor, 1, devices[number % len(devices)]) for number in range(count)]


class SingleProcessExecutor(ProcessPoolExecutor):
    """One process, started when first needed, that dies with its parent and never outlives `shutdown`."""

    def __init__(self) -> None:
        super().__init__(1, multiprocessing.get_context("spawn"), _start_worker)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`; the process that may start here never sees Ctrl-C, which is the parent's."""
        with without_sigint():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process, whatever it is at: what `kill_workers` does from Python 3.14 on."""
        for process in list((self._processes or {}).values()):
            process.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _start_worker() -> None:
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
def without_sigint() -> Iterator[None]:
    # Threads and processes that begin in this block inherit the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
