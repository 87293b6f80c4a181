"""Where trials run: processes of this machine, a Dask cluster, or any executor that a user names."""

import importlib
import shlex
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from mnistctl.errors import UsageError
from mnistctl.trials.cluster import UNLIMITED, dask_factory
from mnistctl.trials.local import WorkerSlot, available_cores, local_slots


@dataclass(frozen=True)
class Backend:
    """Where trials run: the slots for a device and a number of trials, and the words that ask for it again.

    `here` says whether that is this machine, whose devices the parent can see.
    """

    slots: Callable[[str, int], list[WorkerSlot]]
    words: tuple[str, ...] = ()
    here: bool = True


def get_backend(
    executor: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    insecure: bool = False,
) -> Backend:
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
        return Backend(lambda device, trials: local_slots(device, trials, workers), tuple(words))
    if executor == "dask":
        make = dask_factory(workers, scheduler, scheduler_file, insecure)
        return Backend(lambda device, _: [WorkerSlot(make, UNLIMITED, device)], tuple(words), here=False)
    make = _named_factory(executor)
    return Backend(
        lambda device, _: [WorkerSlot(make, workers or available_cores(), device)], tuple(words), here=False
    )


def _named_factory(executor: str) -> Callable[[], Executor]:
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
