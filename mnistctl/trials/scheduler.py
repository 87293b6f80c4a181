"""Run many trials on executors, with retries when a worker dies."""

from collections import Counter, deque
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Literal

from mnistctl.errors import DivergedError, MnistctlError
from mnistctl.trials.events import WorkerDied
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.task import RunTrial, TrialResult, TrialSettings

MAX_RETRIES = 3  # per trial, when its worker dies
_MAX_REASON = 500  # characters of the reason of a failure
TrialKey = tuple[str, int]  # model and seed


@dataclass(frozen=True)
class TrialFailure:
    """A trial without a result: its training diverged, or it failed for another reason."""

    state: Literal["diverged", "failed"]
    reason: str


Outcome = TrialResult | TrialFailure


def run_tasks(
    tasks: list[TrialKey], slots: list[WorkerSlot], run_trial: RunTrial, settings: TrialSettings
) -> Generator[tuple[TrialKey, Outcome | WorkerDied], None, None]:
    """Run every task in one of the slots and yield each outcome as it ends, in any order.

    A task whose worker dies starts again in a new executor, at most `MAX_RETRIES` times; each time a
    `WorkerDied` is yielded first. After that, or after any unexpected exception, the outcome is a failure.

    Raises:
        MnistctlError: a worker had an expected error other than divergence. Every other task would have it.
    """
    pool = _SlotPool(slots, run_trial, settings)
    waiting, deaths = deque(tasks), Counter[TrialKey]()
    try:
        while waiting or pool.running:
            while waiting and (number := pool.free_slot()) is not None:
                pool.submit(number, waiting.popleft())
            for future in wait(pool.running, return_when=FIRST_COMPLETED).done:
                running = pool.running.pop(future)
                task = running.task
                outcome: Outcome | WorkerDied
                try:
                    outcome = _outcome_of(future)
                except (BrokenExecutor, CancelledError) as error:
                    pool.discard_executor(running)
                    deaths[task] += 1
                    if deaths[task] > MAX_RETRIES:
                        outcome = TrialFailure("failed", f"its worker died {deaths[task]} times")
                    else:
                        waiting.appendleft(task)
                        reason = str(error) or type(error).__name__
                        outcome = WorkerDied(*task, deaths[task], MAX_RETRIES, reason)
                yield task, outcome
    finally:
        pool.shutdown()


@dataclass(frozen=True)
class _Running:
    """Where a task runs: the slot's number, and the executor that the slot had then."""

    slot: int
    executor: Executor
    task: TrialKey


class _SlotPool:
    """Submits tasks to slots. Each slot has an executor, which is replaced when it breaks."""

    def __init__(self, slots: list[WorkerSlot], run_trial: RunTrial, settings: TrialSettings) -> None:
        self.running: dict[Future[TrialResult], _Running] = {}
        self._slots, self._run_trial, self._settings = slots, run_trial, settings
        self._executors: dict[int, Executor] = {}

    def free_slot(self) -> int | None:
        """The number of the first slot that can take another task; None if all are full."""
        load = Counter(running.slot for running in self.running.values())
        return next((n for n, slot in enumerate(self._slots) if load[n] < slot.width), None)

    def submit(self, slot: int, task: TrialKey) -> None:
        """Start `task` in the slot, in a new executor if the slot has none or its executor is broken."""
        settings = replace(self._settings, device=self._slots[slot].device)
        executor = self._executors.get(slot)
        future = None
        if executor is not None:
            try:
                future = executor.submit(self._run_trial, *task, settings)
            except BrokenExecutor:  # the worker died between two tasks, so no task counts a death
                self._executors.pop(slot).shutdown(wait=False)
        if executor is None or future is None:
            executor = self._executors[slot] = self._slots[slot].make_executor()
            future = executor.submit(self._run_trial, *task, settings)
        self.running[future] = _Running(slot, executor, task)

    def discard_executor(self, running: _Running) -> None:
        """Shut down the executor of a task whose worker died, unless its slot has a new one by now."""
        if self._executors.get(running.slot) is running.executor:
            self._executors.pop(running.slot).shutdown(wait=False)

    def shutdown(self) -> None:
        """Cancel what runs and shut down every executor."""
        for future in self.running:
            future.cancel()
        for executor in self._executors.values():
            executor.shutdown(wait=False)


def _outcome_of(future: Future[TrialResult]) -> Outcome:
    """The checked result of a finished future, or the failure that it ended with.

    Raises:
        BrokenExecutor, CancelledError: its worker died.
        MnistctlError: an expected error other than divergence.
    """
    try:
        return _check_result(future.result())
    except DivergedError as error:
        return TrialFailure("diverged", error.message)
    except (BrokenExecutor, CancelledError, MnistctlError):
        raise
    except Exception as error:  # noqa: BLE001 - it concerns this trial only, and is recorded
        return TrialFailure("failed", f"{type(error).__name__}: {error}"[:_MAX_REASON])


def _check_result(value: object) -> Outcome:
    """`value` if it is a result whose fields have the right types; else a failure."""
    if not isinstance(value, TrialResult):
        return TrialFailure("failed", f"the worker sent {type(value).__name__} instead of a result")
    try:
        return TrialResult.from_json(value.to_json())
    except (ValueError, TypeError) as error:
        return TrialFailure("failed", f"the worker sent an invalid result: {error}"[:_MAX_REASON])
