"""Trials in processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any

from mnistctl.nn.cores import available_cores


@dataclass(frozen=True)
class WorkerSlot:
    """A source of executors.

    Args:
        make_executor: makes an executor; called again when that one breaks.
        width: number of trials that run in it at a time.
        device: device that its trials use.
    """

    make_executor: Callable[[], Executor]
    width: int
    device: str


def local_slots(device: str, trials: int, workers: int | None) -> list[WorkerSlot]:
    """One slot for each worker process, so that a process that dies breaks no other trial.

    Args:
        device: device to train on; "cuda" distributes the workers over all CUDA devices.
        trials: number of trials; there are no more workers than that.
        workers: number of workers; None for as many as processor cores or CUDA devices.
    """
    devices = [device]
    if device == "cuda":
        import torch

        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    default = len(devices) if device.startswith("cuda") else available_cores()
    count = max(1, min(trials, workers or default))
    return [WorkerSlot(SingleProcessExecutor, 1, devices[number % len(devices)]) for number in range(count)]


class SingleProcessExecutor(ProcessPoolExecutor):
    """An executor with one process, which dies with its parent and never outlives `shutdown`."""

    def __init__(self) -> None:
        super().__init__(1, multiprocessing.get_context("spawn"), _initialize_worker)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`. The process that may start here ignores SIGINT, which the parent handles.

        It does not import the user's script, unless that defines `fn`: without a guard of `__main__`, the
        script would start its trials again in each worker.
        """
        own_script = getattr(fn, "__module__", None) == "__main__"
        with without_sigint(), nullcontext() if own_script else _without_main_module():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill the process, even in the middle of a task. Python 3.14 has `kill_workers` for this.

        `wait` is ignored: a killed process ends at once. Without waiting for the executor's thread, the
        interpreter could exit while that thread closes its pipe, and would print a traceback.
        """
        for process in list((self._processes or {}).values()):
            process.kill()
        super().shutdown(wait=True, cancel_futures=cancel_futures)


def _initialize_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent dies, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """In the block the main module is an empty one, which a new process does not import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def without_sigint() -> Iterator[None]:
    """Block SIGINT in the block. Threads and processes that start there inherit the mask.

    Windows has no signal masks: there Ctrl-C may end a process that has just started. The program ends then.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
