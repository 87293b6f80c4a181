"""A recipe over many seeds: which trials there are, run wherever they may, and recorded as each one ends."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mnistctl.artifacts import charts, files, grids
from mnistctl.artifacts.files import Saved
from mnistctl.data import datasets
from mnistctl.errors import CheckpointError, FailedTrialsError, UnmetError, UsageError
from mnistctl.models.published import load_published
from mnistctl.models.summary import recipe_to_json
from mnistctl.nn.device import autocast_for, get_device, hardware_info
from mnistctl.training.environment import versions
from mnistctl.trials.events import TrialEnded, TrialsFinished, TrialsStarted, WorkerDied
from mnistctl.trials.executors import Backend
from mnistctl.trials.journal import TrialsJournal, append, begin, read, setting_changes
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.scheduler import RunTrial, TrialKey, run_tasks
from mnistctl.trials.summary import summarize_trials, write
from mnistctl.trials.worker import arms_of, run_trial

Event = TrialsStarted | TrialEnded | WorkerDied | Saved | TrialsFinished


def run_trials(
    asked: TrialsOptions,
    place: Backend,
    *,
    overwrite: bool = False,
    resume: bool = False,
    allow_mixed: bool = False,
    reference: str | None = None,
    require: str | None = None,
    perform: RunTrial = run_trial,
) -> Generator[Event, None, None]:
    """Run the trials that are not in the record yet, tell each as it ends, and at last what they come to.

    Every trial that has ended is in the record, flushed to disk, before it is told; so nothing is lost or
    done twice when this stops, however it does, and `resume` goes on with the rest. `reference` names
    published accuracies to compare with, and `require`, same or better, what they are to show.

    Raises:
        UsageError: a bad number, an unknown model or device, or a name that other trials have taken.
        DataError: the digits are missing or damaged, here or where a trial is to run.
        CheckpointError: what is to be resumed is not there, damaged, or not what is asked for.
        OutputError: the record cannot be written.
        FailedTrialsError: at the end, some trials diverged or failed.
        UnmetError: at the end, what is required is not shown.
    """
    began = time.perf_counter()
    if resume and overwrite:
        raise UsageError("--resume goes on with trials and --overwrite begins them anew: give one of them")
    if allow_mixed and not resume:
        raise UsageError("--allow-mixed is of use with --resume only")
    if require is not None and reference is None:
        raise UsageError("--require needs --reference, which says what to compare with")
    if reference is not None:
        load_published(reference)
    if asked.count is None and not resume:
        raise UsageError("-n is missing: how many trials of each model?")
    asked.check()
    stem = asked.stem
    path = files.with_ending(stem, "jsonl")
    files.prepare_folder(stem.parent)
    with files.run_lock(stem):
        standing = None if overwrite else read(path)
        stood = standing is not None
        if resume:
            if standing is None:
                anew = asked.resume(place).removesuffix("--resume")
                raise CheckpointError(f"{path}: no trials to go on with are there; `{anew}-n N` begins them")
            asked = asked.with_saved(standing, path)
            asked.check()
        header = _journal_header(asked, place)
        if standing is None:
            for made in ("json", "png"):  # of other trials, which are gone from here on
                files.with_ending(stem, made).unlink(missing_ok=True)
            standing = begin(path, header)
        else:
            mixed = setting_changes(standing.header["setting"], header["setting"])
            if resume:
                _resume_journal(asked, standing, path, mixed, allow_mixed)
            else:
                _require_complete(asked, place, standing, path, mixed)
        todo = _remaining_keys(asked, standing)
        already = stood and (not todo or not resume)
        if not already:
            yield from _run_remaining(asked, place, standing, path, todo, perform)
        body = summarize_trials(standing, reference, require) | {
            "command": asked.command(),
            "sitting_seconds": time.perf_counter() - began,
        }
        yield from _write_summary(stem, body, already)
    if body["failed"] or body["diverged"]:
        count = len(body["failed"]) + len(body["diverged"])
        again = f"; `{asked.resume(place)}` tries those again that failed" if body["failed"] else ""
        raise FailedTrialsError(f"{count} of {len(_all_keys(asked))} trials gave no result{again}")
    if body["unmet"]:
        raise UnmetError(f"--require {require}: {'; '.join(body['unmet'])}")


def _all_keys(asked: TrialsOptions) -> list[TrialKey]:
    assert asked.count is not None
    seeds = range(asked.first, asked.first + asked.count)
    return [(model, seed) for seed in seeds for model in asked.models]


def _remaining_keys(asked: TrialsOptions, standing: TrialsJournal) -> list[TrialKey]:
    """What is wanted and has not ended, or failed."""
    return [task for task in _all_keys(asked) if "failed" in standing.trials.get(task, {"failed": True})]


def _journal_header(asked: TrialsOptions, place: Backend) -> dict[str, Any]:
    """The first line of the record; `setting` is what must not change."""
    options = asked.options
    name, folder = options.get("dataset"), options.get("data_dir")
    device = options.get("device")
    if place.here:
        autocast_for(options.get("precision"), get_device(device))
    if place.here or device == "auto":
        device = str(get_device(device).type)
    train, checksums = datasets.load(name, folder, "train")
    test, more = datasets.load(name, folder, "test")
    columns = {model: arms_of(model) for model in asked.models}
    names = sorted({name for column in columns.values() for name in column.values()})
    recipes = {name: options.classifier_recipe(name) for name in names}
    for recipe in recipes.values():
        if recipe.batch_size > len(train.labels):
            raise UsageError(
                f"--batch-size {recipe.batch_size}: {name} has {len(train.labels)} training digits"
            )
    return {
        "command": asked.command(),
        "started": datetime.now(UTC).isoformat(),
        "models": list(asked.models),
        "seed": asked.first,
        "count": asked.count,
        "asked": asked.to_dict(),
        "setting": {
            "columns": columns,
            "recipes": {name: recipe_to_json(recipe) for name, recipe in recipes.items()},
            "precision": options.get("precision"),
            "device": device.partition(":")[0],
            "threads": 1,
            "dataset": {"name": name, "sha256": checksums | more},
            "versions": versions(),
        },
        "support": np.bincount(test.labels, minlength=10).tolist(),  # of each digit, in the test set
        "machine": hardware_info(),
    }


def _resume_journal(
    asked: TrialsOptions, standing: TrialsJournal, path: Path, mixed: dict[str, list[Any]], allow_mixed: bool
) -> None:
    """See that the record is of what is asked for, and note in it where it is not, or is to have more."""
    if mixed and not allow_mixed:
        what = "; ".join(f"{name} {_shorten(was)}, now {_shorten(now)}" for name, (was, now) in mixed.items())
        raise CheckpointError(
            f"{path}: its trials are of something else ({what}); --allow-mixed goes on and marks it, "
            "--overwrite begins anew"
        )
    before = standing.resumed[-1].get("mixed", {}) if standing.resumed else {}
    if _remaining_keys(asked, standing) and (mixed != before or asked.count != standing.count):
        note = {"after": len(standing.trials), "count": asked.count} | ({"mixed": mixed} if mixed else {})
        append(path, standing, {"resumed": note})


def _require_complete(
    asked: TrialsOptions, place: Backend, standing: TrialsJournal, path: Path, mixed: dict[str, list[Any]]
) -> None:
    """Where a record stands that is not to be gone on with, it must have what is asked for, and no more."""
    same = tuple(standing.header["models"]) == asked.models and standing.header["seed"] == asked.first
    ended, wanted = len(standing.trials), standing.count * len(standing.header["models"])
    if same and not mixed and standing.count == asked.count and ended == wanted:
        return
    ways = f"`{asked.resume(place)}` goes on with them, --overwrite begins anew"
    if same and not mixed and ended < wanted:
        raise UsageError(f"{path}: unfinished trials stand there ({ended} of {wanted}); {ways}")
    what = f"{' '.join(standing.header['models'])}, -n {standing.count}, seed {standing.header['seed']}"
    if same and not mixed:
        raise UsageError(f"{path}: {ended} trials stand there ({what}); with -n {asked.count}, {ways}")
    raise UsageError(
        f"{path}: taken by other trials ({what}); give --overwrite, or another --name or --out-dir"
    )


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."


def _run_remaining(
    asked: TrialsOptions,
    place: Backend,
    standing: TrialsJournal,
    path: Path,
    todo: list[TrialKey],
    perform: RunTrial,
) -> Iterator[Event]:
    setting = standing.header["setting"]
    now = _trial_settings(asked, setting)
    slots = place.slots(now["device"], len(todo))
    yield TrialsStarted(
        models=asked.models,
        columns={model: tuple(columns) for model, columns in setting["columns"].items()},
        trials=len(_all_keys(asked)),
        done=len(_all_keys(asked)) - len(todo),
        workers=sum(slot.width for slot in slots) if place.here else None,
        device=now["device"],
        precision=now["precision"],
        dataset=now["dataset"],
        seed=asked.first,
        count=asked.count or 0,
        resume=asked.resume(place),
    )
    for line in standing.trials.values():
        if (line["model"], line["seed"]) not in todo:
            yield _trial_event(line, earlier=True)
    with closing(run_tasks(todo, slots, perform, now)) as outcomes:  # workers end with this, however it ends
        for task, outcome in outcomes:
            if isinstance(outcome, WorkerDied):
                yield outcome
                continue
            if outcome.get("machine") == standing.header["machine"]:
                del outcome["machine"]
            line = {"model": task[0], "seed": task[1], **outcome}
            append(path, standing, line)
            yield _trial_event(line)


def _trial_settings(asked: TrialsOptions, setting: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial is told, in plain values that any process can take."""
    options = asked.options
    device = options.get("device")
    return {
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "precision": options.get("precision"),
        "dataset": options.get("dataset"),
        "data_dir": str(options.get("data_dir").absolute()),
        "device": setting["device"] if device == "auto" else device,
        "sha256": setting["dataset"]["sha256"],
        "versions": versions(),
    }


def _trial_event(line: Mapping[str, Any], earlier: bool = False) -> TrialEnded:
    return TrialEnded(
        line["model"],
        line["seed"],
        line.get("results", {}),
        line.get("seconds"),
        "diverged" if "diverged" in line else "failed" if "failed" in line else "done",
        line.get("diverged", line.get("failed", "")),
        earlier,
    )


def _write_summary(stem: Path, body: dict[str, Any], already: bool) -> Iterator[Saved | TrialsFinished]:
    """Write what can be made again from the record: the summary, and the histogram."""
    yield Saved(str(files.with_ending(stem, "jsonl")))
    drawn = [(column["label"], column["accuracies"]) for column in body["columns"] if column["accuracies"]]
    if drawn:
        grids.write_png(files.with_ending(stem, "png"), charts.histogram_chart(drawn))
        yield Saved(str(files.with_ending(stem, "png")))
    write(files.with_ending(stem, "json"), body)
    yield Saved(str(files.with_ending(stem, "json")))
    yield TrialsFinished(body, already)
