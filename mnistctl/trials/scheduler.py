"""Run many trials on executors: retries, dead workers."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import Any

from mnistctl.errors import MnistctlError
from mnistctl.trials.events import WorkerDied
from mnistctl.trials.local import WorkerSlot

MAX_RETRIES = 3  # of a trial whose worker died
_MAX_REASON = 500  # characters of a reason
TrialKey = tuple[str, int]  # model and seed
RunTrial = Callable[[str, int, Mapping[str, Any]], dict[str, Any]]


def run_tasks(
    tasks: list[TrialKey], slots: list[WorkerSlot], perform: RunTrial, settings: Mapping[str, Any]
) -> Generator[tuple[TrialKey, dict[str, Any] | WorkerDied], None, None]:
    """Have every task performed in one of the slots, and give each one's outcome as it ends, in any order.

    A task whose executor breaks under it, since a worker died say, is begun again in a new one, REPEATS
    times, of which `Lost` tells; then its outcome is `failed`. So is that of any other fault, but for the
    expected failures, which would meet every other task as well, and are raised.
    """
    waiting, tries = deque(tasks), Counter[TrialKey]()
    standing: dict[int, Executor] = {}
    going: dict[Future[dict[str, Any]], tuple[int, Executor, TrialKey]] = {}
    try:
        while waiting or going:
            for number, slot in enumerate(slots):
                load = sum(1 for place, _, _ in going.values() if place == number)
                while waiting and load < slot.width:
                    future, executor = _submit(slot, number, standing, perform, waiting[0], settings)
                    going[future] = (number, executor, waiting.popleft())
                    load += 1
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                number, executor, task = going.pop(future)
                try:
                    yield task, future.result()
                except (BrokenExecutor, CancelledError) as fault:
                    if standing.get(number) is executor:
                        standing.pop(number).shutdown(wait=False)
                    tries[task] += 1
                    if tries[task] > MAX_RETRIES:
                        yield task, {"failed": f"its worker died {tries[task]} times"}
                    else:
                        waiting.appendleft(task)
                        yield (
                            task,
                            WorkerDied(*task, tries[task], MAX_RETRIES, str(fault) or type(fault).__name__),
                        )
                except MnistctlError:
                    raise
                except Exception as fault:  # noqa: BLE001 - whatever it is, it is this task's, and recorded
                    yield task, {"failed": f"{type(fault).__name__}: {fault}"[:_MAX_REASON]}
    finally:
        for future in going:
            future.cancel()
        for executor in standing.values():
            executor.shutdown(wait=False)


def _submit(
    slot: WorkerSlot,
    number: int,
    standing: dict[int, Executor],
    perform: RunTrial,
    task: TrialKey,
    settings: Mapping[str, Any],
) -> tuple[Future[dict[str, Any]], Executor]:
    told = {**settings, "device": slot.device}
    if number in standing:
        with_it = standing[number]
        try:
            return with_it.submit(perform, *task, told), with_it
        except BrokenExecutor:  # its worker died between two tasks, which costs neither a try
            standing.pop(number).shutdown(wait=False)
    standing[number] = slot.make()
    return standing[number].submit(perform, *task, told), standing[number]
