"""What already exists at a run's path, and whether a run may continue or replace it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mnistctl.artifacts import checkpoint as checkpoints
from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import owner_of
from mnistctl.artifacts.rounding import format_percent
from mnistctl.errors import CheckpointError, UsageError, plural, suggest
from mnistctl.models.sources import Model
from mnistctl.models.values import format_value
from mnistctl.schema import Schema
from mnistctl.training import outputs
from mnistctl.training.checkpoints import RunCheckpoint, RunCheckpoints
from mnistctl.training.events import Finished
from mnistctl.training.machine import MachineInfo
from mnistctl.training.options import RunOptions
from mnistctl.training.record import Change, RunRecord, RunSettings, read_record

T = TypeVar("T")
_NAMES = {"name": "dataset", "sha256": "contents of the recipe file"}  # of settings, in errors
_MAX_SHOWN = 3  # settings in a message


@dataclass(frozen=True, kw_only=True)
class Existing:
    """What exists at a run's path.

    Args:
        run_path: path of the run's files without their endings.
        checkpoint: the newest checkpoint of an unfinished run, which a new run could resume.
        record: the record of a finished run.
        stale_files: images of an unfinished run that is to be replaced. They go when the new run starts.
        files_to_replace: files of a finished run. Those that the new run does not write go when it ends.
    """

    run_path: Path
    checkpoint: RunCheckpoint | None = None
    record: RunRecord | None = None
    stale_files: frozenset[Path] = frozenset()
    files_to_replace: frozenset[Path] = frozenset()


def inspect(run_path: Path, *, overwrite: bool = False) -> Existing:
    """Read what exists at `run_path`.

    Args:
        run_path: path of the run's files without their endings.
        overwrite: return only the files that a new run replaces; damaged ones are ignored.

    Raises:
        CheckpointError: a checkpoint or the record is damaged, without `overwrite`.
    """
    checkpoint = _read(RunCheckpoints(run_path).load, overwrite)
    record = _read(lambda: read_record(files.with_ending(run_path, "json")), overwrite)
    finished = frozenset[Path]()
    if record is not None:
        paths = outputs.output_files(run_path, record.generator, record.recipe.epochs)
        finished = _own_files(run_path, paths)
    if overwrite:
        stale = _own_files(run_path, _grids_so_far(run_path, checkpoint))
        return Existing(run_path=run_path, stale_files=stale - finished, files_to_replace=finished)
    return Existing(run_path=run_path, checkpoint=checkpoint, record=record, files_to_replace=finished)


def _own_files(run_path: Path, paths: list[Path]) -> frozenset[Path]:
    """Those of `paths` that exist and are not the files of another run: gan01 has a picture as gan has."""
    return frozenset(path for path in paths if path.exists() and owner_of(path) in (None, run_path.name))


def _read(read: Callable[[], T | None], ignore_damaged: bool) -> T | None:
    try:
        return read()
    except CheckpointError:
        if ignore_damaged:
            return None
        raise


def _grids_so_far(run_path: Path, checkpoint: RunCheckpoint | None) -> list[Path]:
    """The images that an unfinished run may have left."""
    if checkpoint is None or not checkpoint.header.settings.generator:
        return []
    return outputs.grid_paths(run_path, checkpoint.header.settings.recipe.epochs)


def drop_finished_checkpoints(existing: Existing) -> Existing:
    """Delete the checkpoints if their run is finished: it was stopped after it had written its record."""
    checkpoint, record = existing.checkpoint, existing.record
    if checkpoint is None or record is None or record.started != checkpoint.header.progress.started:
        return existing
    RunCheckpoints(existing.run_path).clear()
    return replace(existing, checkpoint=None)


def check_environment(
    checkpoint: RunCheckpoint | None, settings: RunSettings, machine: MachineInfo, allow_inexact: bool
) -> dict[str, Change]:
    """Compare an unfinished run with the session that is to resume it; return what may change its last bits.

    Without a checkpoint there is nothing to compare, and nothing has changed.

    Raises:
        CheckpointError: the recipe, the data or the held-out digits differ; or, without `allow_inexact`,
            something else does.
    """
    if checkpoint is None:
        return {}
    saved = checkpoint.header.settings
    changes = environment_changes((saved, checkpoint.header.machine), (settings, machine))
    if saved.recipe != settings.recipe and "recipe file" not in changes:
        message = f"{checkpoint.path}: this version of mnistctl has another recipe than the run started with"
        raise CheckpointError(message, remedies=("overwrite",))
    if saved.dataset != settings.dataset:
        message = f"{checkpoint.path}: the data differ from those that the run started with"
        raise CheckpointError(message, remedies=("overwrite",))
    if saved.holdout != settings.holdout:
        message = f"{checkpoint.path}: these versions hold out other digits than the run started with"
        raise CheckpointError(message, remedies=("overwrite",))
    if changes and not allow_inexact:
        listed = ", ".join(f"{name} {before}, now {now}" for name, (before, now) in changes.items())
        message = f"{checkpoint.path}: the environment has changed ({listed}), so the last bits may differ"
        raise CheckpointError(message, remedies=("allow_inexact",))
    return changes


def environment_changes(
    before: tuple[RunSettings, MachineInfo], now: tuple[RunSettings, MachineInfo]
) -> dict[str, Change]:
    """Where two sessions differ in what may change the last bits of a result: (before, now) by name."""
    old, new = _environment(*before), _environment(*now)
    if not before[1].features:  # a run of an earlier version: they are not known
        del old["instructions"], new["instructions"]
    pairs = {name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _environment(settings: RunSettings, machine: MachineInfo) -> dict[str, str | int | None]:
    return {
        "device": settings.device,
        "threads": settings.threads,
        "processor": machine.processor,
        "vectors": machine.vectors,
        "instructions": " ".join(machine.features),
        "system": machine.system,
        "gpu": machine.gpu,
        **settings.versions,
        **_recipe_source(settings),
    }


def _recipe_source(settings: RunSettings) -> dict[str, str]:
    """What a recipe that is not shipped was read from: SHA-256 of its file, or version of its package."""
    origin = settings.origin
    if origin is None or origin.kind == "shipped":
        return {}
    if origin.kind == "file":
        return {"recipe file": str(origin.sha256)}
    return {"package": str(origin.package)}


def resumed_model(
    model: Model, settings: RunSettings, run_path: Path, *, allow_inexact: bool = False
) -> Model:
    """The model of the earlier run at `run_path`, whose settings apply unless `model` has its own.

    Raises:
        CheckpointError: it is the run of another model, has other settings, or its recipe file has changed,
            without `allow_inexact`.
    """
    origin = settings.origin
    saved = {} if origin is None else origin.settings
    same = model if model.settings else model.with_settings(saved)
    kind = "shipped" if origin is None else origin.kind
    if same.with_settings(saved).name != settings.model or same.kind != kind:
        message = f"{run_path}: is a run of {settings.model}, not of {model.name}"
        raise CheckpointError(message, remedies=("overwrite", "name"))
    if same.settings != saved:
        listed = ", ".join(f"{key}={format_value(value)}" for key, value in saved.items()) or "none"
        message = f"{run_path}: the run has other settings ({listed}); leave them out to continue that run"
        raise CheckpointError(message, remedies=("overwrite", "name"))
    if origin is not None and same.sha256 != origin.sha256 and not allow_inexact:
        message = f"{same.path}: has changed since the run {run_path} was started (another SHA-256)"
        raise CheckpointError(message, remedies=("allow_inexact", "overwrite", "name"))
    return same


def check_initial_weights(
    init: Path | None, settings: RunSettings, run_path: Path, *, saved: Path | None = None
) -> None:
    """Check that the weights to start from, if they are given, are those of the earlier run at `run_path`.

    Args:
        init: the checkpoint with these weights; None if none is given.
        settings: the settings of the earlier run.
        run_path: path of its files without their endings.
        saved: the checkpoint that it was started with, if it is known. It may have been deleted since.

    Raises:
        CheckpointError: they are others, or their checkpoint is missing or damaged.
    """
    if init is None or init == saved:
        return
    _, weights = checkpoints.load(init, checkpoints.NET)
    if checkpoints.digest(weights) != settings.initial_weights:
        message = f"the run {run_path} started from other weights"
        raise CheckpointError(message, field="init", value=init, remedies=("overwrite", "name"))


def unfinished_error(checkpoint: RunCheckpoint, run_path: Path) -> UsageError:
    """The error for a run whose name belongs to an unfinished one."""
    progress, settings = checkpoint.header.progress, checkpoint.header.settings
    done = f"after epoch {len(progress.all_epochs)} of {settings.recipe.epochs}"
    return UsageError(f"{run_path}: unfinished run ({done})", remedies=("resume", "overwrite", "name"))


def resume_finished(
    model: Model, options: RunOptions, existing: Existing, *, allow_inexact: bool = False
) -> Finished:
    """The result of `resume` where nothing is unfinished: that of the finished run.

    Raises:
        CheckpointError: there is no run, or its options differ from `options`.
    """
    run_path, record = existing.run_path, existing.record
    if record is None:
        hint = suggest(run_path.name, files.list_runs(run_path.parent, "unfinished")).removesuffix(";")
        raise CheckpointError(f"{run_path}: nothing to resume{hint}", remedies=("start",))
    resumed_model(model, record, run_path, allow_inexact=allow_inexact)
    options.check_matches(run_path, record)
    check_initial_weights(options.init, record, run_path)
    return Finished(record, already=True)


def check_same_run(existing: Existing, settings: RunSettings) -> Finished:
    """The result of a run that is finished already.

    Raises:
        UsageError: the finished run has other settings.
    """
    record = existing.record
    assert record is not None
    if different := _differences(record, settings):
        path = files.with_ending(existing.run_path, "json")
        message = f"{path}: belongs to a different run ({_describe(record)}; {different})"
        if _only_longer(record, settings):
            message = (
                f"{path}: finished after {plural(record.recipe.epochs, 'epoch')}; it cannot be continued"
            )
            raise UsageError(message, remedies=("train_more", "overwrite", "name"))
        raise UsageError(message, remedies=("overwrite", "name", "out_dir"))
    return Finished(record, already=True)


def _differences(record: RunRecord, settings: RunSettings) -> str:
    """The settings that differ from those of the record, as `seed 0, now 1`; empty if none does."""
    before, now = (dict(_flatten(Schema.to_json(each))) for each in (record, settings))
    names = [name for name in now if before.get(name) != now[name]]
    names = [name for name in names if name not in ("lr_schedule", "swa_epochs")] or names  # they follow
    return ", ".join(
        f"{name.replace('_', ' ')} {before.get(name)!s:.20}, now {now[name]!s:.20}"
        for name in names[:_MAX_SHOWN]
    )


def _flatten(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of the JSON object by name, those of objects in it included."""
    for name, value in body.items():
        if name == "holdout":
            yield name, 0 if value is None else value["count"]
        elif isinstance(value, dict):
            yield from ((_NAMES.get(key, key), inner) for key, inner in _flatten(value) if key != "text")
        else:
            yield name, value


def _only_longer(record: RunRecord, settings: RunSettings) -> bool:
    """Whether the settings are those of the finished run with more epochs."""
    longer = record.recipe.epochs < settings.recipe.epochs
    same = ("model", "seed", "precision", "dataset", "origin", "initial_weights", "holdout")
    return longer and all(getattr(record, name) == getattr(settings, name) for name in same)


def _describe(record: RunRecord) -> str:
    accuracy = "" if record.accuracy is None else f", {format_percent(record.accuracy)} %"
    settings = f"{record.model}, {plural(record.recipe.epochs, 'epoch')}, seed {record.seed}"
    return f"{settings}{accuracy} in {record.seconds:.1f} s"
