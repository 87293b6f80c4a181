"""One run: recipe and digits in, events out, files under out/; it goes on where it was stopped."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files, record
from mnistctl.artifacts.files import Saved
from mnistctl.errors import DivergedError, UsageError
from mnistctl.training import outputs
from mnistctl.training.checkpoints import RunCheckpoint, RunCheckpoints, RunProgress
from mnistctl.training.config import RunConfig, resolve
from mnistctl.training.events import Epoch, Finished, GanEpoch, Started
from mnistctl.training.options import RunOptions
from mnistctl.training.resume import (
    check_same_run,
    checkpoint_errors,
    read_existing,
    resume_finished,
    stale_grids,
    unfinished_error,
)
from mnistctl.training.tasks import Task, TaskEvent

Event = Started | TaskEvent | Finished


def train(
    model: str,
    options: RunOptions,
    *,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
    allow_inexact: bool = False,
) -> Iterator[Event]:
    """Train a net as `options` ask, tell it as it goes, and leave its files under `options.out_dir`.

    With `resume`, a run that was stopped goes on by its own options, and ends with the very bits of one that
    was not; where it goes on elsewhere (another machine, thread count or version) they may differ: that is
    refused without `allow_inexact`, and recorded.

    Raises:
        UsageError: a bad number, an unknown model or device, or a name that another run has taken.
        DataError: the digits are missing or damaged.
        DivergedError: the loss is no longer finite; the checkpoint after the epoch before is kept.
        CheckpointError: what is to be resumed is not there, damaged, or not what is asked for.
        OutputError: a file cannot be written.
    """
    began = time.perf_counter(), time.process_time()
    if resume and overwrite:
        raise UsageError("--resume goes on with a run and --overwrite begins it anew: give one of them")
    if allow_inexact and not resume:
        raise UsageError("--allow-inexact is of use with --resume only")
    options.recipe(model)  # a bad number is told before anything is touched
    stem = options.run_path(model)
    files.prepare_folder(options.out_dir)
    with files.run_lock(stem):
        unfinished = RunCheckpoints(stem)
        held = read_existing(unfinished.load, overwrite)
        standing = read_existing(lambda: record.read(files.with_ending(stem, "json")), overwrite)
        replaced = set() if standing is None else set(outputs.output_files(stem, standing))
        given_up = stale_grids(stem, held) - replaced if overwrite else set()
        if overwrite:
            held = standing = None
        elif held and standing and standing.get("started") == held.journal.started:
            unfinished.clear()  # it was stopped between its record and this
            held = None
        if held is None and resume:
            yield resume_finished(model, options, standing)
            return
        if held is not None and not resume:
            raise unfinished_error(stem, held)
        with checkpoint_errors(held):
            asked = resolve(model, options, held, allow_inexact, command)
        if held is None and standing is not None:
            yield check_same_run(stem, standing, asked.run)
            return
        yield from _execute(asked, unfinished, held, given_up, replaced, began)


def _execute(
    asked: RunConfig,
    unfinished: RunCheckpoints,
    held: RunCheckpoint | None,
    given_up: set[Path],
    replaced: set[Path],
    began: tuple[float, float],  # by the clock, and of processor time
) -> Iterator[Event]:
    """Train, and leave the files; those `given_up` go as it begins, those `replaced` as it ends."""
    options, run, task = asked.options, asked.run, asked.setting.task()
    if held is None:
        journal = RunProgress(datetime.now(UTC).isoformat())
        for path in given_up:
            path.unlink(missing_ok=True)
        unfinished.begin()
    else:
        journal = held.journal
        with checkpoint_errors(held):
            task.restore(held.tensors)
        sitting = {"after": task.epoch} | ({"inexact": asked.inexact} if asked.inexact else {})
        journal.resumed.append(sitting)
    before = journal.seconds, journal.processor_seconds

    def time_it() -> None:
        journal.seconds = before[0] + time.perf_counter() - began[0]
        journal.processor_seconds = before[1] + time.process_time() - began[1]

    def keep() -> None:
        time_it()
        about = {"command": asked.command, "options": options.to_dict(), "run": run, "machine": asked.machine}
        unfinished.save(journal, about, task.state())

    if held is None:
        keep()
    yield Started(
        model=run["model"],
        parameters=task.parameters,
        epochs=run["recipe"]["epochs"],
        batch_size=run["recipe"]["batch"],
        iterations=task.iterations,
        device=run["device"],
        threads=run["threads"],
        precision=run["precision"],
        seed=run["seed"],
        dataset=run["dataset"]["name"],
        digits=len(asked.setting.train.labels),
        after=None if held is None else task.epoch,
    )
    yield from journal.epochs
    try:
        for event in task.fit():
            if isinstance(event, Epoch | GanEpoch):
                journal.epochs.append(event)
                keep()
            yield event
    except DivergedError as fault:
        kept = f"the checkpoint after epoch {task.epoch} is kept, --overwrite begins anew"
        raise DivergedError(f"{fault}; {kept}") from None
    yield from task.conclude()
    time_it()
    task.leave(journal.epochs)
    left = outputs.output_files(unfinished.stem, run)
    for path in replaced.difference(left):
        path.unlink(missing_ok=True)
    record.write(
        left[-1], _build_record(asked, task, journal)
    )  # what makes the run a finished one, so at the end
    unfinished.clear()
    for path in left:
        yield Saved(str(path))
    yield Finished(task.accuracy, journal.seconds)


def _build_record(asked: RunConfig, task: Task, journal: RunProgress) -> dict[str, Any]:
    """The record of a finished run."""
    result = task.result(journal.epochs)
    judging = sum(average["seconds"] for average in result.get("averages", ()))
    return {
        "command": asked.command,
        **asked.run,
        "parameters": task.parameters,
        "started": journal.started,
        "seconds": journal.seconds,
        "processor_seconds": journal.processor_seconds,
        "training_seconds": sum(row.seconds for row in journal.epochs) + judging,
        **({"resumed": journal.resumed} if journal.resumed else {}),
        **result,
        "machine": asked.machine,
    }
