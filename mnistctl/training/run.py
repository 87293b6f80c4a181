"""One run, in three stages: inspect what exists, resolve the options, execute the training."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from mnistctl.artifacts import files
from mnistctl.artifacts.files import Saved, Warned
from mnistctl.artifacts.locks import run_lock
from mnistctl.errors import CheckpointError, DivergedError, UsageError
from mnistctl.models.recipe import GanRecipe
from mnistctl.models.sources import Model, to_model
from mnistctl.nn.device import autocast_for, check_threads, get_device, restored_threads
from mnistctl.schema import to_type
from mnistctl.training import outputs
from mnistctl.training.checkpoints import CheckpointHeader, RunCheckpoints, RunProgress
from mnistctl.training.config import RunConfig, resolve
from mnistctl.training.events import AveragedWeights, Epoch, Finished, GanEpoch, Started
from mnistctl.training.options import RunOptions
from mnistctl.training.record import Resumption, RunRecord
from mnistctl.training.resume import (
    Existing,
    check_same_run,
    drop_finished_checkpoints,
    inspect,
    resume_finished,
    unfinished_error,
)
from mnistctl.training.tasks import Task, TaskEvent
from mnistctl.training.warnings import check_loss

Event = Started | TaskEvent | Warned | Finished


def train(
    model: str | os.PathLike[str] | Model,
    options: RunOptions,
    *,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
    allow_inexact: bool = False,
) -> Iterator[Event]:
    """Train a model and write the files of the run to `options.out_dir`.

    The run advances as its events are consumed. If it is stopped, or its events are no longer consumed, it
    can be resumed after its last finished epoch.

    Args:
        model: the model, its name, or the path of its recipe file.
        options: the options of the run.
        command: the command that repeats the run, for its record.
        overwrite: replace a run of the same name.
        resume: continue an unfinished run with its original options. The result has the bits of an
            uninterrupted run.
        allow_inexact: resume even on another machine, with another number of threads or another version,
            where the last bits may differ, or with a recipe file that was edited. The record says so.

    Raises:
        UsageError: a number is out of range, a model or a device is unknown, a recipe file is wrong, or the
            name is in use.
        DataError: the data set is missing or damaged.
        DivergedError: a loss, a weight or a buffer is no longer finite. The last checkpoint stays.
        CheckpointError: there is nothing to resume, it is damaged, or it is of another run.
        OutputError: a file cannot be written.
    """
    stopwatch = Stopwatch()
    model = to_model(model)
    options = to_type(options, RunOptions, "options")
    check_arguments(model, options, overwrite=overwrite, resume=resume, allow_inexact=allow_inexact)
    run_path = options.run_path(model.name)
    files.prepare_folder(options.out_dir)
    with run_lock(run_path) as warnings, restored_threads():
        yield from warnings
        existing = drop_finished_checkpoints(inspect(run_path, overwrite=overwrite))
        if resume and existing.checkpoint is None:
            yield resume_finished(model, options, existing, allow_inexact=allow_inexact)
            return
        if existing.checkpoint is not None and not resume:
            raise unfinished_error(existing.checkpoint, run_path)
        new = existing.checkpoint is None and existing.record is None
        if new or resume:
            _check_files(model, options, existing, replace=overwrite or resume)
        config = resolve(model, options, existing, command=command, allow_inexact=allow_inexact)
        if not new and not resume:
            yield check_same_run(existing, config.settings)
            return
        with model.reporting_errors():
            yield from execute(config, stopwatch)


def check_arguments(
    model: Model, options: RunOptions, *, overwrite: bool, resume: bool, allow_inexact: bool
) -> None:
    """Check the arguments of `train` as far as no file and no data set is needed for it.

    Raises:
        UsageError: a number is out of range, a device is unknown, a recipe file is wrong, or arguments
            exclude each other.
    """
    if resume and overwrite:
        raise UsageError("cannot be combined with resuming a run", field="overwrite")
    if allow_inexact and not resume:
        raise UsageError("applies only to a resumed run", field="allow_inexact", remedies=("with_resume",))
    options.recipe(model)
    options.run_path(model.name)
    device = get_device(options.get("device"))
    check_threads(options.threads)
    autocast_for(options.get("precision"), device)


def _check_files(model: Model, options: RunOptions, existing: Existing, *, replace: bool) -> None:
    """Check that all files of the run can be written; see `check_run_outputs`.

    Raises:
        UsageError, OutputError: a file cannot be written, or must not be.
    """
    if existing.checkpoint is not None:
        settings = existing.checkpoint.header.settings
        generator, epochs = settings.generator, settings.recipe.epochs
    else:
        recipe = options.recipe(model)
        generator, epochs = isinstance(recipe, GanRecipe), recipe.epochs
    outputs.check_run_outputs(existing.run_path, generator, epochs, replace=replace)


class Stopwatch:
    """The time of a run: that of this session, from the stopwatch's creation on, and of earlier ones."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()
        self._earlier = 0.0, 0.0

    def continue_from(self, progress: RunProgress) -> None:
        """Add this session to the time in `progress`."""
        self._earlier = progress.seconds, progress.processor_seconds

    def update(self, progress: RunProgress) -> None:
        """Write the time until now into `progress`."""
        progress.seconds = self._earlier[0] + time.perf_counter() - self._started[0]
        progress.processor_seconds = self._earlier[1] + time.process_time() - self._started[1]


def execute(config: RunConfig, stopwatch: Stopwatch) -> Iterator[Event]:
    """Train, save a checkpoint after every epoch, and write the run's files at the end.

    The caller must hold the lock of the run's path.

    Args:
        config: the run.
        stopwatch: measures the time of this session.

    Raises:
        DivergedError, CheckpointError, OutputError: as `train`.
    """
    existing = config.existing
    checkpoints = RunCheckpoints(existing.run_path)
    try:
        task = config.context.make_task()
    except CheckpointError as error:
        raise CheckpointError(error.message, field=error.field, value=config.options.init) from None

    # Start with an empty folder of checkpoints, or go back to the newest checkpoint.
    if existing.checkpoint is None:
        progress = RunProgress(started=datetime.now(UTC).isoformat())
        for path in existing.stale_files:
            path.unlink(missing_ok=True)
        checkpoints.create_folder()
        stopwatch.update(progress)
        checkpoints.save(_header(config, progress), task.state())
    else:
        progress = _restore(config, task)
        stopwatch.continue_from(progress)
    outputs.write_log(checkpoints.log, progress.all_epochs)
    yield from task.check_data()
    yield _started(config, task)
    yield from progress.all_epochs

    # Train. An epoch counts once its checkpoint is on disk, so it is saved before it is reported.
    loss_is_large = False
    try:
        for event in task.fit():
            if isinstance(event, Epoch | GanEpoch):
                progress.add(event)
                stopwatch.update(progress)
                checkpoints.save(_header(config, progress), task.state())
            if isinstance(event, Epoch | GanEpoch | AveragedWeights):
                outputs.append_log(checkpoints.log, event)
            yield event
            if not loss_is_large and isinstance(event, Epoch | GanEpoch) and (warning := check_loss(event)):
                loss_is_large = True  # said once
                yield warning
    except DivergedError as error:
        message = f"{error.message}; the checkpoint after epoch {task.epoch} is kept"
        raise DivergedError(message, remedies=("overwrite_lower_lr",)) from None
    yield from task.evaluate()
    stopwatch.update(progress)

    # Write the files. The record comes last: with it the run is finished, and its checkpoints can go.
    settings = config.settings
    task.save_outputs(progress)
    written = outputs.output_files(existing.run_path, settings.generator, settings.recipe.epochs)
    for path in existing.files_to_replace.difference(written):
        path.unlink(missing_ok=True)
    record = _build_record(config, task, progress)
    record.write(written[-1])
    checkpoints.clear()
    for path in written:
        yield Saved(str(path))
    yield Finished(record)


def _restore(config: RunConfig, task: Task) -> RunProgress:
    """Bring the task to the state of the checkpoint; return its progress."""
    checkpoint = config.existing.checkpoint
    assert checkpoint is not None
    try:
        task.restore(checkpoint.tensors)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}", remedies=("overwrite",)) from None
    progress = checkpoint.header.progress
    changes = config.environment_changes or None
    progress.resumed.append(Resumption(after=task.epoch, environment_changes=changes))
    return progress


def _header(config: RunConfig, progress: RunProgress) -> CheckpointHeader:
    return CheckpointHeader(
        command=config.command,
        options=config.options,
        settings=config.settings,
        machine=config.machine,
        progress=progress,
    )


def _started(config: RunConfig, task: Task) -> Started:
    settings = config.settings
    return Started(
        model=settings.model,
        generator=settings.generator,
        parameters=task.parameters,
        epochs=settings.recipe.epochs,
        batch_size=settings.recipe.batch_size,
        iterations=task.iterations,
        device=settings.device,
        threads=settings.threads,
        precision=settings.precision,
        seed=settings.seed,
        dataset=settings.dataset.name,
        images=len(config.context.train.labels),
        scored=0 if settings.generator else len(config.context.scored.labels),
        holdout=settings.holdout,
        origin=settings.origin,
        initial_weights=settings.initial_weights,
        resumed_after=None if config.existing.checkpoint is None else task.epoch,
    )


def _build_record(config: RunConfig, task: Task, progress: RunProgress) -> RunRecord:
    metrics = task.metrics(progress)
    swa_seconds = sum(score.seconds for score in metrics.swa or ())
    return RunRecord(
        **vars(config.settings),
        **vars(metrics),
        command=config.command,
        parameters=task.parameters,
        started=progress.started,
        seconds=progress.seconds,
        processor_seconds=progress.processor_seconds,
        training_seconds=sum(epoch.seconds for epoch in progress.all_epochs) + swa_seconds,
        resumed=tuple(progress.resumed),
        machine=config.machine,
    )
