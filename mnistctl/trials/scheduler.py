"""Run many trials on executors, with retries when a worker dies.

Executors and workers may be anybody's. Whatever they do wrong is the failure of a trial.
"""

from collections import Counter, deque
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from mnistctl.errors import DivergedError, MnistctlError
from mnistctl.trials.events import WorkerDied
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.task import ResultChecker, RunTrial, TrialResult, TrialSettings

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
    tasks: list[TrialKey], pool: "SlotPool", checker: ResultChecker
) -> Generator[tuple[TrialKey, Outcome | WorkerDied], None, None]:
    """Run every task in one of the pool's slots and yield each outcome as it ends, in any order.

    A task whose worker dies starts again in a new executor, at most `MAX_RETRIES` times; each time a
    `WorkerDied` is yielded first. After that, or after any unexpected exception, the outcome is a failure.

    Args:
        tasks: the trials.
        pool: where they run.
        checker: checks the results.

    Raises:
        MnistctlError: a worker had an expected error other than divergence. Every other task would have it.
    """
    waiting, deaths = deque(tasks), Counter[TrialKey]()

    def retry_or_fail(task: TrialKey, error: BaseException) -> Outcome | WorkerDied:
        deaths[task] += 1
        if deaths[task] > MAX_RETRIES:
            return TrialFailure("failed", f"its worker died {deaths[task]} times")
        waiting.appendleft(task)
        return WorkerDied(*task, deaths[task], MAX_RETRIES, str(error) or type(error).__name__)

    while waiting or pool.running:
        while waiting and (number := pool.free_slot()) is not None:
            task = waiting.popleft()
            try:
                failure = pool.submit(number, task)
            except BrokenExecutor as error:  # even a new one
                yield task, retry_or_fail(task, error)
            else:
                if failure is not None:
                    yield task, failure
        for future in wait(pool.running, return_when=FIRST_COMPLETED).done if pool.running else ():
            running = pool.running.pop(future)
            outcome: Outcome | WorkerDied
            try:
                outcome = _outcome_of(future, running.task, checker)
            except (BrokenExecutor, CancelledError) as error:
                pool.discard_executor(running)
                outcome = retry_or_fail(running.task, error)
            yield running.task, outcome


@dataclass(frozen=True)
class _Running:
    """Where a task runs: the slot's number, and the executor that the slot had then."""

    slot: int
    executor: Executor
    task: TrialKey


class SlotPool:
    """Submits tasks to slots. Each slot has an executor, which is replaced when it breaks.

    As a context manager it makes the first executor at the start, so that an executor that cannot be made is
    an error before any trial. It shuts down all of them at the end.

    Args:
        slots: the sources of executors.
        run_trial: runs one trial in a worker.
        settings: what a worker needs to know.
    """

    def __init__(self, slots: list[WorkerSlot], run_trial: RunTrial, settings: TrialSettings) -> None:
        self.running: dict[Future[Any], _Running] = {}
        self._slots, self._run_trial, self._settings = slots, run_trial, settings
        self._executors: dict[int, Executor] = {}

    def __enter__(self) -> Self:
        self._executors[0] = self._slots[0].make_executor()
        return self

    def __exit__(self, *exception: object) -> None:
        for future in self.running:
            with suppress(Exception):
                future.cancel()
        for executor in self._executors.values():
            _shut_down(executor)

    def free_slot(self) -> int | None:
        """The number of the first slot that can take another task; None if all are full."""
        load = Counter(running.slot for running in self.running.values())
        return next((n for n, slot in enumerate(self._slots) if load[n] < slot.width), None)

    def submit(self, slot: int, task: TrialKey) -> TrialFailure | None:
        """Start `task` in the slot, in a new executor if the slot has none or its executor is broken.

        Returns:
            The failure if the executor does not take the task; None if it does.

        Raises:
            BrokenExecutor: a new executor is broken.
        """
        if slot in self._executors:
            try:
                return self._submit(slot, task)
            except BrokenExecutor:  # the worker died between two tasks, so no task counts a death
                _shut_down(self._executors.pop(slot))
        self._executors[slot] = self._slots[slot].make_executor()
        try:
            return self._submit(slot, task)
        except BrokenExecutor:
            _shut_down(self._executors.pop(slot))
            raise

    def _submit(self, slot: int, task: TrialKey) -> TrialFailure | None:
        executor = self._executors[slot]
        settings = replace(self._settings, device=self._slots[slot].device)
        try:
            future: object = executor.submit(self._run_trial, *task, settings)
        except (BrokenExecutor, MnistctlError):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the executor may be anybody's
            return _failure("the executor refused the trial", error)
        if not isinstance(future, Future) or not hasattr(future, "_condition"):  # which `wait` needs
            reason = f"the executor gave {type(future).__name__} instead of a concurrent.futures.Future"
            return TrialFailure("failed", reason)
        if future in self.running:
            return TrialFailure("failed", "the executor gave the future of another trial")
        self.running[future] = _Running(slot, executor, task)
        return None

    def discard_executor(self, running: _Running) -> None:
        """Shut down the executor of a task whose worker died, unless its slot has a new one by now."""
        if self._executors.get(running.slot) is running.executor:
            _shut_down(self._executors.pop(running.slot))


def _shut_down(executor: Executor) -> None:
    with suppress(Exception):
        executor.shutdown(wait=False)


def _outcome_of(future: Future[Any], task: TrialKey, checker: ResultChecker) -> Outcome:
    """The checked result of a finished future, or the failure that it ended with.

    Raises:
        BrokenExecutor, CancelledError: its worker died.
        MnistctlError: an expected error other than divergence.
    """
    # Raising it here would end the program if the worker had called `sys.exit`.
    error = future.exception()
    if isinstance(error, DivergedError):
        return TrialFailure("diverged", error.message[:_MAX_REASON])
    if isinstance(error, BrokenExecutor | CancelledError | MnistctlError):
        raise error
    if error is not None:
        return _failure("", error)
    try:
        return checker.convert(task[0], future.result())
    except ValueError as invalid:
        return TrialFailure("failed", str(invalid)[:_MAX_REASON])


def _failure(what: str, error: BaseException) -> TrialFailure:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return TrialFailure("failed", (f"{what} ({text})" if what else text)[:_MAX_REASON])
