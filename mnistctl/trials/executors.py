"""Where trials run: processes of this machine, a Dask cluster, or any executor that the user names."""

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mnistctl.errors import MnistctlError, UsageError
from mnistctl.nn.cores import available_cores
from mnistctl.schema import to_type
from mnistctl.trials.cluster import UNLIMITED, dask_factory
from mnistctl.trials.local import WorkerSlot, local_slots

_MAX_MESSAGE = 300  # characters of another program's error


@dataclass(frozen=True)
class Backend:
    """Where trials run.

    Args:
        slots: gives the slots for a device and a number of trials.
        local: whether it is this machine, whose devices and number of workers are known.
    """

    slots: Callable[[str, int], list[WorkerSlot]]
    local: bool = True


def get_backend(
    executor: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    insecure: bool = False,
) -> Backend:
    """The backend of an executor.

    Args:
        executor: "local", "dask", or "module:factory" with a function that returns a
            `concurrent.futures.Executor`.
        workers: number of workers; None for as many as processor cores or CUDA devices.
        scheduler: address of a running Dask scheduler.
        scheduler_file: file that a Dask scheduler wrote.
        insecure: allow an unencrypted connection to a scheduler on another machine.

    Raises:
        UsageError: there is no such executor, arguments do not go together, or the connection is insecure.
        OutputError: the scheduler file cannot be read.
    """
    executor = to_type(executor, str, "executor")
    workers = None if workers is None else to_type(workers, int, "workers")
    scheduler_file = None if scheduler_file is None else to_type(scheduler_file, Path, "scheduler_file")
    if workers is not None and workers < 1:
        raise UsageError("give 1 or more", field="workers", value=workers)
    if executor == "dask":
        make_executor = dask_factory(workers, scheduler, scheduler_file, insecure)
        return Backend(lambda device, _: [WorkerSlot(make_executor, UNLIMITED, device)], local=False)
    for field, value in (("scheduler", scheduler), ("scheduler_file", scheduler_file)):
        if value is not None:
            raise UsageError("only the executor dask has a scheduler", field=field, value=value)
    if insecure:
        raise UsageError("only the executor dask connects to other machines", field="insecure")
    if executor == "local":
        return Backend(lambda device, trials: local_slots(device, trials, workers))
    make_executor = _import_factory(executor)
    width = workers or available_cores()
    return Backend(lambda device, _: [WorkerSlot(make_executor, width, device)], local=False)


def _import_factory(executor: str) -> Callable[[], Executor]:
    module, _, name = executor.partition(":")
    if not module or not name:
        raise UsageError("give local, dask or module:factory", field="executor", value=executor)
    with _reported_errors(executor, "cannot be imported"):
        factory = getattr(importlib.import_module(module), name)
    if not callable(factory):
        message = f"{name} is {type(factory).__name__}, not a function"
        raise UsageError(message, field="executor", value=executor)

    def make_executor() -> Executor:
        with _reported_errors(executor, "the factory failed"):
            instance = factory()
        if not isinstance(instance, Executor):
            message = f"returned {type(instance).__name__}, not a concurrent.futures.Executor"
            raise UsageError(message, field="executor", value=executor)
        return instance

    return make_executor


@contextmanager
def _reported_errors(executor: str, what: str) -> Iterator[None]:
    """Turn whatever the user's code raises, even SystemExit, into a UsageError."""
    try:
        yield
    except MnistctlError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_MESSAGE]
        raise UsageError(f"{what} ({text})", field="executor", value=executor) from None
