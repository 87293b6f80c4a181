"""A recipe over many seeds: which trials there are, run wherever they may, and recorded as each one ends."""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mnistctl import charts, compute, datasets, describe, figures, files, ledger, tally, trial
from mnistctl.errors import CheckpointError, FailedTrialsError, MnistctlError, UnmetError, UsageError
from mnistctl.events import Lost, Saved, Trial, TrialsFinished, TrialsStarted
from mnistctl.executors import Place, Slot
from mnistctl.ledger import Ledger
from mnistctl.options import Options

REPEATS = 3  # of a trial whose worker died

_KEPT = ("epochs", "batch", "rate", "seed", "dataset", "data_dir", "device", "precision")
_WHERE = ("name", "out_dir", "data_dir")
_MOST = 1_000_000  # trials of a model
_LONGEST = 500  # characters of a reason

Event = TrialsStarted | Trial | Lost | Saved | TrialsFinished
Task = tuple[str, int]  # model and seed
Perform = Callable[[str, int, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which trials are asked for: models, the number of seeds of each, and train's options for all."""

    models: tuple[str, ...]
    count: int | None
    options: Options  # whose model does not matter

    @property
    def stem(self) -> Path:
        """The path of the trials' files, less their endings.

        Raises:
            UsageError: the name is not that of a file.
        """
        folder = self.options.out_dir / "trials"
        return replace(self.options, model="-".join(self.models), out_dir=folder).stem

    @property
    def first(self) -> int:
        """The first seed."""
        return int(self.options.settled("seed"))

    def check(self) -> None:
        """See that there are such models, and that the numbers are in range.

        Raises:
            UsageError: not so.
        """
        for model in self.models:
            replace(self.options, model=model).classifier()
        if len(set(self.models)) < len(self.models):
            raise UsageError("a model is named twice; -n gives the number of its trials")
        if self.count is not None and not 1 <= self.count <= _MOST:
            raise UsageError(f"-n {self.count}: give 1 to {_MOST:,}")
        if self.first + (self.count or 1) >= 2**63:
            raise UsageError(f"--seed {self.first}: give less")

    def command(self, *more: str) -> str:
        """What repeats the trials, wherever their folders are."""
        told = self.options.flags(lambda field: field not in ("out_dir", "data_dir"))
        return " ".join([*self._words(), f"-n {self.count}", *told, *more])

    def resume(self, place: Place) -> str:
        """What goes on with them, in the same place."""
        found = _WHERE if self.options.name is not None else ("dataset", *_WHERE)
        told = self.options.flags(lambda field: field in found)
        return " ".join([*self._words(), *told, *place.words, "--resume"])

    def _words(self) -> list[str]:
        return ["mnistctl trials", *self.models]

    def kept(self) -> dict[str, Any]:
        """The options as the record keeps them, for `joined`."""
        kept = {field: getattr(self.options, field) for field in _KEPT}
        return kept | {"data_dir": str(self.options.settled("data_dir"))}

    def joined(self, standing: Ledger, path: Path) -> "Asked":
        """What a record was asked for, where nothing else is asked for now.

        Raises:
            CheckpointError: it is of other models or seeds, or of more of them.
        """
        header, kept = standing.header, standing.header["asked"]
        if tuple(header["models"]) != self.models:
            raise CheckpointError(f"{path}: has trials of {' '.join(header['models'])}; give another --name")
        theirs = {field: kept[field] for field in _KEPT}
        ours = {field: getattr(self.options, field) for field in _KEPT}
        joined = theirs | {field: value for field, value in ours.items() if value is not None}
        joined["data_dir"] = Path(joined["data_dir"])
        asked = Asked(
            models=self.models,
            count=self.count or standing.count,
            options=replace(self.options, **joined),
        )
        if asked.first != header["seed"]:
            raise CheckpointError(
                f"{path}: --seed {asked.first} is asked for, the trials begin at {header['seed']}"
            )
        if asked.count is not None and asked.count < standing.count:
            raise CheckpointError(
                f"{path}: -n {self.count} is asked for, it has {standing.count}; leave it out"
            )
        return asked


def run(
    asked: Asked,
    place: Place,
    *,
    overwrite: bool = False,
    resume: bool = False,
    allow_mixed: bool = False,
    against: str | None = None,
    require: str | None = None,
    perform: Perform = trial.run,
) -> Generator[Event, None, None]:
    """Run the trials that are not in the record yet, tell each as it ends, and at last what they come to.

    Every trial that has ended is in the record, flushed to disk, before it is told; so nothing is lost or
    done twice when this stops, however it does, and `resume` goes on with the rest. `against` names published
    accuracies to compare with, and `require`, same or better, what they are to show.

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
    if require is not None and against is None:
        raise UsageError("--require needs --against, which says what to compare with")
    if against is not None:
        tally.published(against)
    if asked.count is None and not resume:
        raise UsageError("-n is missing: how many trials of each model?")
    asked.check()
    stem = asked.stem
    path = files.beside(stem, "jsonl")
    files.ready(stem.parent)
    with files.locked(stem):
        standing = None if overwrite else ledger.read(path)
        stood = standing is not None
        if resume:
            if standing is None:
                anew = asked.resume(place).removesuffix("--resume")
                raise CheckpointError(f"{path}: no trials to go on with are there; `{anew}-n N` begins them")
            asked = asked.joined(standing, path)
            asked.check()
        header = _header(asked, place)
        if standing is None:
            for made in ("json", "png"):  # of other trials, which are gone from here on
                files.beside(stem, made).unlink(missing_ok=True)
            standing = ledger.begin(path, header)
        else:
            mixed = ledger.differing(standing.header["setting"], header["setting"])
            if resume:
                _go_on(asked, standing, path, mixed, allow_mixed)
            else:
                _see_that_it_is_done(asked, place, standing, path, mixed)
        todo = _todo(asked, standing)
        already = stood and (not todo or not resume)
        if not already:
            yield from _run(asked, place, standing, path, todo, perform)
        body = tally.tally(standing, against, require) | {
            "command": asked.command(),
            "sitting_seconds": time.perf_counter() - began,
        }
        yield from _leave(stem, body, already)
    if body["failed"] or body["diverged"]:
        count = len(body["failed"]) + len(body["diverged"])
        again = f"; `{asked.resume(place)}` tries those again that failed" if body["failed"] else ""
        raise FailedTrialsError(f"{count} of {len(_wanted(asked))} trials gave no result{again}")
    if body["unmet"]:
        raise UnmetError(f"--require {require}: {'; '.join(body['unmet'])}")


def _wanted(asked: Asked) -> list[Task]:
    assert asked.count is not None
    seeds = range(asked.first, asked.first + asked.count)
    return [(model, seed) for seed in seeds for model in asked.models]


def _todo(asked: Asked, standing: Ledger) -> list[Task]:
    """What is wanted and has not ended, or failed."""
    return [task for task in _wanted(asked) if "failed" in standing.trials.get(task, {"failed": True})]


def _header(asked: Asked, place: Place) -> dict[str, Any]:
    """The first line of the record; `setting` is what must not change."""
    options = asked.options
    name, folder = options.settled("dataset"), options.settled("data_dir")
    device = options.settled("device")
    if place.here:
        compute.precision(options.settled("precision"), compute.device(device))
    if place.here or device == "auto":
        device = str(compute.device(device).type)
    train, checksums = datasets.load(name, folder, "train")
    test, more = datasets.load(name, folder, "test")
    columns = {model: trial.columns(model) for model in asked.models}
    names = sorted({name for column in columns.values() for name in column.values()})
    recipes = {name: replace(options, model=name).classifier() for name in names}
    for recipe in recipes.values():
        if recipe.batch > len(train.labels):
            raise UsageError(f"--batch {recipe.batch}: {name} has {len(train.labels)} training digits")
    return {
        "command": asked.command(),
        "started": datetime.now(UTC).isoformat(),
        "models": list(asked.models),
        "seed": asked.first,
        "count": asked.count,
        "asked": asked.kept(),
        "setting": {
            "columns": columns,
            "recipes": {name: describe.recipe(recipe) for name, recipe in recipes.items()},
            "precision": options.settled("precision"),
            "device": device.partition(":")[0],
            "threads": 1,
            "dataset": {"name": name, "sha256": checksums | more},
            "versions": trial.versions(),
        },
        "support": np.bincount(test.labels, minlength=10).tolist(),  # of each digit, in the test set
        "machine": compute.machine(),
    }


def _go_on(
    asked: Asked, standing: Ledger, path: Path, mixed: dict[str, list[Any]], allow_mixed: bool
) -> None:
    """See that the record is of what is asked for, and note in it where it is not, or is to have more."""
    if mixed and not allow_mixed:
        what = "; ".join(f"{name} {_short(was)}, now {_short(now)}" for name, (was, now) in mixed.items())
        raise CheckpointError(
            f"{path}: its trials are of something else ({what}); --allow-mixed goes on and marks it, "
            "--overwrite begins anew"
        )
    before = standing.resumed[-1].get("mixed", {}) if standing.resumed else {}
    if _todo(asked, standing) and (mixed != before or asked.count != standing.count):
        note = {"after": len(standing.trials), "count": asked.count} | ({"mixed": mixed} if mixed else {})
        ledger.append(path, standing, {"resumed": note})


def _see_that_it_is_done(
    asked: Asked, place: Place, standing: Ledger, path: Path, mixed: dict[str, list[Any]]
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


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."


def _run(
    asked: Asked, place: Place, standing: Ledger, path: Path, todo: list[Task], perform: Perform
) -> Iterator[Event]:
    setting = standing.header["setting"]
    now = _settings(asked, setting)
    slots = place.slots(now["device"], len(todo))
    yield TrialsStarted(
        models=asked.models,
        columns={model: tuple(columns) for model, columns in setting["columns"].items()},
        trials=len(_wanted(asked)),
        done=len(_wanted(asked)) - len(todo),
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
            yield _told(line, earlier=True)
    with closing(scatter(todo, slots, perform, now)) as outcomes:  # workers end with this, however it ends
        for task, outcome in outcomes:
            if isinstance(outcome, Lost):
                yield outcome
                continue
            if outcome.get("machine") == standing.header["machine"]:
                del outcome["machine"]
            line = {"model": task[0], "seed": task[1], **outcome}
            ledger.append(path, standing, line)
            yield _told(line)


def _settings(asked: Asked, setting: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial is told, in plain values that any process can take."""
    options = asked.options
    device = options.settled("device")
    return {
        "epochs": options.epochs,
        "batch": options.batch,
        "rate": options.rate,
        "precision": options.settled("precision"),
        "dataset": options.settled("dataset"),
        "data_dir": str(options.settled("data_dir").absolute()),
        "device": setting["device"] if device == "auto" else device,
        "sha256": setting["dataset"]["sha256"],
        "versions": trial.versions(),
    }


def scatter(
    tasks: list[Task], slots: list[Slot], perform: Perform, settings: Mapping[str, Any]
) -> Generator[tuple[Task, dict[str, Any] | Lost], None, None]:
    """Have every task performed in one of the slots, and give each one's outcome as it ends, in any order.

    A task whose executor breaks under it, since a worker died say, is begun again in a new one, REPEATS
    times, of which `Lost` tells; then its outcome is `failed`. So is that of any other fault, but for the
    expected failures, which would meet every other task as well, and are raised.
    """
    waiting, tries = deque(tasks), Counter[Task]()
    standing: dict[int, Executor] = {}
    going: dict[Future[dict[str, Any]], tuple[int, Executor, Task]] = {}
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
                    if tries[task] > REPEATS:
                        yield task, {"failed": f"its worker died {tries[task]} times"}
                    else:
                        waiting.appendleft(task)
                        yield task, Lost(*task, tries[task], REPEATS, str(fault) or type(fault).__name__)
                except MnistctlError:
                    raise
                except Exception as fault:  # noqa: BLE001 - whatever it is, it is this task's, and recorded
                    yield task, {"failed": f"{type(fault).__name__}: {fault}"[:_LONGEST]}
    finally:
        for future in going:
            future.cancel()
        for executor in standing.values():
            executor.shutdown(wait=False)


def _submit(
    slot: Slot,
    number: int,
    standing: dict[int, Executor],
    perform: Perform,
    task: Task,
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


def _told(line: Mapping[str, Any], earlier: bool = False) -> Trial:
    return Trial(
        line["model"],
        line["seed"],
        line.get("results", {}),
        line.get("seconds"),
        "diverged" if "diverged" in line else "failed" if "failed" in line else "done",
        line.get("diverged", line.get("failed", "")),
        earlier,
    )


def _leave(stem: Path, body: dict[str, Any], already: bool) -> Iterator[Saved | TrialsFinished]:
    """Write what can be made again from the record: the summary, and the histogram."""
    yield Saved(str(files.beside(stem, "jsonl")))
    drawn = [(column["label"], column["accuracies"]) for column in body["columns"] if column["accuracies"]]
    if drawn:
        figures.write_png(files.beside(stem, "png"), charts.histogram(drawn))
        yield Saved(str(files.beside(stem, "png")))
    tally.write(files.beside(stem, "json"), body)
    yield Saved(str(files.beside(stem, "json")))
    yield TrialsFinished(body, already)
