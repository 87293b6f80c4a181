"""One run: recipe and digits in, events out, files under out/; it goes on where it was stopped."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnistctl import __version__, checkpoint, compute, datasets, describe, figures, files, record
from mnistctl.data import Digits
from mnistctl.errors import CheckpointError, DivergedError, UsageError
from mnistctl.evaluation import mistakes
from mnistctl.events import Averaged, Epoch, Finished, Mismatches, Progress, Saved, Started
from mnistctl.options import Options
from mnistctl.supervised import Recipe, Training, fit, judge, mismatches
from mnistctl.unfinished import Held, Journal, Unfinished

_ENDINGS = ("safetensors", "jsonl", "png", "json")  # of a finished run's files

Event = Started | Progress | Epoch | Averaged | Mismatches | Saved | Finished


@dataclass(frozen=True)
class _Setting:
    """All that a run is made of before it has taken a step."""

    options: Options
    recipe: Recipe
    device: torch.device
    train: datasets.Arrays
    test: datasets.Arrays
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
    began = time.perf_counter()
    if resume and overwrite:
        raise UsageError("--resume goes on with a run and --overwrite begins it anew: give one of them")
    if allow_inexact and not resume:
        raise UsageError("--allow-inexact is of use with --resume only")
    options.recipe()  # a bad number is told before anything is touched
    stem = options.stem
    files.ready(options.out_dir)
    with files.locked(stem):
        unfinished = Unfinished(stem)
        held = None if overwrite else unfinished.load()
        standing = None if overwrite else record.read(files.beside(stem, "json"))
        if held and standing and standing.get("started") == held.journal.started:
            unfinished.clear()  # it was stopped between its record and this
            held = None
        if held is None and resume:
            yield _finished(options, standing)
            return
        if held is not None and not resume:
            raise UsageError(_waiting(options, held))
        with _believing(held):
            setting = _set(options, held, allow_inexact)
        if held is None and standing is not None:
            yield _same(options, standing, setting.run)
            return
        yield from _train(setting, unfinished, held, began)


def _set(options: Options, held: Held | None, allow_inexact: bool) -> _Setting:
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
    return _Setting(options, recipe, device, train, test, run, machine, inexact)


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


def _train(setting: _Setting, unfinished: Unfinished, held: Held | None, began: float) -> Iterator[Event]:
    options, recipe, device = setting.options, setting.recipe, setting.device
    training = Training(recipe, options.settled("seed"), device, precision=options.settled("precision"))
    if held is None:
        journal = Journal(datetime.now(UTC).isoformat())
        unfinished.begin()
    else:
        journal = held.journal
        with _believing(held):
            training.restore(held.tensors)
        sitting = {"after": training.epoch} | ({"inexact": setting.inexact} if setting.inexact else {})
        journal.resumed.append(sitting)
    before = journal.seconds

    def keep() -> None:
        journal.seconds = before + time.perf_counter() - began
        about = {"options": options.kept(), "run": setting.run, "machine": setting.machine}
        unfinished.save(journal, about, training.state())

    if held is None:
        keep()
    trained, tested = Digits.of(setting.train, device), Digits.of(setting.test, device)
    yield Started(
        model=options.model,
        parameters=sum(p.numel() for p in training.net.parameters()),
        epochs=recipe.epochs,
        batch=recipe.batch,
        iterations=-(-len(trained) // recipe.batch),
        device=str(device),
        threads=setting.run["threads"],
        precision=setting.run["precision"],
        seed=setting.run["seed"],
        dataset=setting.run["dataset"]["name"],
        digits=len(trained),
        after=None if held is None else training.epoch,
        resume=options.resume(),
    )
    yield from journal.epochs
    averages: list[Averaged] = []
    try:
        for event in fit(training, recipe, trained, tested):
            if isinstance(event, Epoch):
                journal.epochs.append(event)
                keep()
            elif isinstance(event, Averaged):
                averages.append(event)
            yield event
    except DivergedError as fault:
        kept = f"the checkpoint after epoch {training.epoch} is kept, --overwrite begins anew"
        raise DivergedError(f"{fault}; {kept}") from None
    score, outputs = judge(training.result, tested)
    missed = mismatches(outputs, tested)
    yield missed
    journal.seconds = before + time.perf_counter() - began
    _leave(setting, unfinished.stem, training, journal, averages, score.accuracy, missed)
    unfinished.clear()
    for ending in _ENDINGS:
        yield Saved(str(files.beside(unfinished.stem, ending)))
    yield Finished(score.accuracy, journal.seconds)


def _leave(
    setting: _Setting,
    stem: Path,
    training: Training,
    journal: Journal,
    averages: list[Averaged],
    accuracy: float,
    missed: Mismatches,
) -> None:
    """Write the four files of a finished run."""
    weights, epochs = training.result.state_dict(), journal.epochs
    body = {
        "command": setting.options.command(),
        **setting.run,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "started": journal.started,
        "seconds": journal.seconds,
        "training_seconds": sum(e.seconds for e in epochs) + sum(a.seconds for a in averages),
        **({"resumed": journal.resumed} if journal.resumed else {}),
        "losses": [e.loss for e in epochs],
        "test_losses": [e.test_loss for e in epochs],
        "accuracies": [e.accuracy for e in epochs],
        **({"averages": [asdict(a) for a in averages]} if averages else {}),
        "accuracy": accuracy,
        "mismatches": _listed(missed),
        "digest": checkpoint.digest(weights),
        "state_digest": checkpoint.digest(training.state()),
        "machine": setting.machine,
    }
    lines = [asdict(e) for e in epochs] + [{"event": "averaged"} | asdict(a) for a in averages]
    # The record comes last: it is what makes the run a finished one.
    checkpoint.save(
        files.beside(stem, "safetensors"), checkpoint.NET, {"model": setting.run["model"]}, weights
    )
    files.write(files.beside(stem, "jsonl"), "".join(json.dumps(told) + "\n" for told in lines))
    figures.write_png(files.beside(stem, "png"), mistakes(setting.test, missed))
    record.write(files.beside(stem, "json"), body)


def _waiting(options: Options, held: Held) -> str:
    done = f"epoch {len(held.journal.epochs)} of {held.run['recipe']['epochs']}"
    ways = f"`{options.resume()}` goes on with it, --overwrite begins anew"
    return f"{options.stem}: an unfinished run stands there ({done}); {ways}; or give another --name"


def _finished(options: Options, standing: dict[str, Any] | None) -> Finished:
    """What --resume has to tell of a run that is finished already."""
    if standing is None:
        anew = options.resume().removesuffix(" --resume")
        raise CheckpointError(f"{options.stem}: no run to go on with is there; `{anew}` begins one")
    options.agree(standing)
    return Finished(standing["accuracy"], standing["seconds"], already=True)


def _same(options: Options, standing: dict[str, Any], run: dict[str, Any]) -> Finished:
    """What there is to tell where this very run stands finished; a different one is refused."""
    if any(standing.get(key) != value for key, value in run.items()):
        path, free = files.beside(options.stem, "json"), "give --overwrite, or another --name or --out-dir"
        raise UsageError(f"{path}: taken by a different run ({record.summary(standing)}); {free}")
    return Finished(standing["accuracy"], standing["seconds"], already=True)


def _listed(missed: Mismatches) -> list[dict[str, int]]:
    rows = zip(missed.indices, missed.true, missed.predicted, strict=True)
    return [{"index": i, "true": t, "predicted": p} for i, t, p in rows]
