"""One run: recipe and digits in, events out, files under out/; it goes on where it was stopped."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from mnistctl import __version__, compute, datasets, describe, files, models, record
from mnistctl.errors import CheckpointError, DivergedError, UsageError, near
from mnistctl.events import Duel, Epoch, Finished, Saved, Started
from mnistctl.options import Options
from mnistctl.tasks import Setting, Task, Told
from mnistctl.unfinished import Held, Journal, Unfinished

Event = Started | Told | Finished
T = TypeVar("T")


@dataclass(frozen=True)
class _Run:
    """A run about to begin or to go on."""

    options: Options
    setting: Setting
    run: dict[str, Any]  # what makes it this run and no other
    machine: dict[str, Any]
    inexact: dict[str, list[Any]]  # where an unfinished run goes on elsewhere than it was: [was, is]


def train(
    options: Options, *, overwrite: bool = False, resume: bool = False, allow_inexact: bool = False
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
    options.recipe()  # a bad number is told before anything is touched
    stem = options.stem
    files.ready(options.out_dir)
    with files.locked(stem):
        unfinished = Unfinished(stem)
        held = _read(unfinished.load, overwrite)
        standing = _read(lambda: record.read(files.beside(stem, "json")), overwrite)
        replaced = set() if standing is None else set(record.files_of(stem, standing))
        given_up = _grids(stem, held) - replaced if overwrite else set()
        if overwrite:
            held = standing = None
        elif held and standing and standing.get("started") == held.journal.started:
            unfinished.clear()  # it was stopped between its record and this
            held = None
        if held is None and resume:
            yield _finished(options, standing)
            return
        if held is not None and not resume:
            raise UsageError(_waiting(options, held))
        with _believing(held):
            asked = _set(options, held, allow_inexact)
        if held is None and standing is not None:
            yield _same(options, standing, asked.run)
            return
        yield from _train(asked, unfinished, held, given_up, replaced, began)


def _read(read: Callable[[], T | None], overwrite: bool) -> T | None:
    """What stands there already; it need not be readable to be overwritten."""
    try:
        return read()
    except CheckpointError:
        if overwrite:
            return None
        raise


def _grids(stem: Path, held: Held | None) -> set[Path]:
    """The pictures that an unfinished run may have left so far."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):  # of what need not be one of ours
        if held is not None and held.run["model"] in models.GENERATORS:
            return set(record.grids(stem, held.run["recipe"]["epochs"]))
    return set()


def _set(options: Options, held: Held | None, allow_inexact: bool) -> _Run:
    """Settle the options, load the digits, and see that an unfinished run is the one that is asked for."""
    place, threads = options.settled("device"), options.threads
    if held is not None:
        options.agree(held.run)
        options = options.joined(held.options)
        place = held.run["device"] if place == "auto" else place
        threads = held.run["threads"] if threads is None else threads
    recipe = options.recipe()
    device, threads = compute.device(place), compute.set_threads(threads)
    compute.precision(options.settled("precision"), device)
    compute.repeatable()
    compute.keep_memory()
    name, folder = options.settled("dataset"), options.settled("data_dir")
    train, checksums = datasets.load(name, folder, "train")
    test, more = datasets.load(name, folder, "test")
    if recipe.batch > len(train.labels):
        raise UsageError(f"--batch {recipe.batch}: {name} has {len(train.labels)} training digits")
    run = {
        "model": options.model,
        "recipe": describe.recipe(recipe),
        "seed": options.settled("seed"),
        "device": str(device),
        "threads": threads,
        "precision": options.settled("precision"),
        "dataset": {"name": name, "sha256": checksums | more},
        "versions": {"mnistctl": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    machine = compute.machine()
    inexact = {} if held is None else _differing(held, run, machine, allow_inexact)
    setting = Setting(options.stem, options.model, recipe, run["seed"], run["precision"], device, train, test)
    return _Run(options, setting, run, machine, inexact)


@contextmanager
def _believing(held: Held | None) -> Iterator[None]:
    """A checkpoint that is whole may still not hold what one of ours does."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        if held is None:
            raise
        raise CheckpointError(f"{held.path}: not the checkpoint of this run ({fault})") from None


def _differing(
    held: Held, run: dict[str, Any], machine: dict[str, Any], allow_inexact: bool
) -> dict[str, list[Any]]:
    """See that what is held is this run, and where it was on something else, if that is allowed."""
    for name, what in (("recipe", "this version has another recipe"), ("dataset", "the digits are others")):
        if held.run[name] != run[name]:
            raise CheckpointError(f"{held.path}: {what} than the run began with; --overwrite begins anew")
    inexact = record.inexact(held.run | held.machine, run | machine)
    if inexact and not allow_inexact:
        differing = ", ".join(f"{name} {was}, now {now}" for name, (was, now) in inexact.items())
        raise CheckpointError(
            f"{held.path}: the run was on something else ({differing}), where its last bits may differ; "
            "--allow-inexact goes on and records it"
        )
    return inexact


def _train(
    asked: _Run,
    unfinished: Unfinished,
    held: Held | None,
    given_up: set[Path],
    replaced: set[Path],
    began: tuple[float, float],  # by the clock, and of processor time
) -> Iterator[Event]:
    """Train, and leave the files; those `given_up` go as it begins, those `replaced` as it ends."""
    options, run, task = asked.options, asked.run, asked.setting.task()
    if held is None:
        journal = Journal(datetime.now(UTC).isoformat())
        for path in given_up:
            path.unlink(missing_ok=True)
        unfinished.begin()
    else:
        journal = held.journal
        with _believing(held):
            task.restore(held.tensors)
        sitting = {"after": task.epoch} | ({"inexact": asked.inexact} if asked.inexact else {})
        journal.resumed.append(sitting)
    before = journal.seconds, journal.processor_seconds

    def time_it() -> None:
        journal.seconds = before[0] + time.perf_counter() - began[0]
        journal.processor_seconds = before[1] + time.process_time() - began[1]

    def keep() -> None:
        time_it()
        about = {"options": options.kept(), "run": run, "machine": asked.machine}
        unfinished.save(journal, about, task.state())

    if held is None:
        keep()
    yield Started(
        model=options.model,
        parameters=task.parameters,
        epochs=run["recipe"]["epochs"],
        batch=run["recipe"]["batch"],
        iterations=task.iterations,
        device=run["device"],
        threads=run["threads"],
        precision=run["precision"],
        seed=run["seed"],
        dataset=run["dataset"]["name"],
        digits=len(asked.setting.train.labels),
        after=None if held is None else task.epoch,
        resume=options.resume(),
    )
    yield from journal.epochs
    try:
        for event in task.fit():
            if isinstance(event, Epoch | Duel):
                journal.epochs.append(event)
                keep()
            yield event
    except DivergedError as fault:
        kept = f"the checkpoint after epoch {task.epoch} is kept, --overwrite begins anew"
        raise DivergedError(f"{fault}; {kept}") from None
    yield from task.conclude()
    time_it()
    task.leave(journal.epochs)
    left = record.files_of(unfinished.stem, run)
    for path in replaced.difference(left):
        path.unlink(missing_ok=True)
    record.write(left[-1], _told(asked, task, journal))  # what makes the run a finished one, so at the end
    unfinished.clear()
    for path in left:
        yield Saved(str(path))
    yield Finished(task.accuracy, journal.seconds)


def _told(asked: _Run, task: Task, journal: Journal) -> dict[str, Any]:
    """The record of a finished run."""
    result = task.result(journal.epochs)
    judging = sum(average["seconds"] for average in result.get("averages", ()))
    return {
        "command": asked.options.command(),
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


def _waiting(options: Options, held: Held) -> str:
    done = f"epoch {len(held.journal.epochs)} of {held.run['recipe']['epochs']}"
    ways = f"`{options.resume()}` goes on with it, --overwrite begins anew"
    return f"{options.stem}: an unfinished run stands there ({done}); {ways}; or give another --name"


def _finished(options: Options, standing: dict[str, Any] | None) -> Finished:
    """What --resume has to tell of a run that is finished already."""
    if standing is None:
        anew = options.resume().removesuffix(" --resume")
        hint = near(options.stem.name, files.stems(options.out_dir, "unfinished"))
        raise CheckpointError(f"{options.stem}: no run to go on with is there{hint} `{anew}` begins one")
    options.agree(standing)
    return Finished(standing.get("accuracy"), standing["seconds"], already=True)


def _same(options: Options, standing: dict[str, Any], run: dict[str, Any]) -> Finished:
    """What there is to tell where this very run stands finished; a different one is refused."""
    if any(standing.get(key) != value for key, value in run.items()):
        path, free = files.beside(options.stem, "json"), "give --overwrite, or another --name or --out-dir"
        raise UsageError(f"{path}: taken by a different run ({record.summary(standing)}); {free}")
    return Finished(standing.get("accuracy"), standing["seconds"], already=True)
