"""The journal of trials, NAME.jsonl: a header, then a line for every trial that ended. It is append-only."""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from mnistctl.artifacts import files
from mnistctl.artifacts.bounds import Count, Percent
from mnistctl.data.holdout import HeldOut
from mnistctl.errors import CheckpointError, OutputError, plural
from mnistctl.evaluation.sequential import StoppingRule
from mnistctl.models.sources import Origin
from mnistctl.models.summary import RecipeSummary
from mnistctl.schema import Schema
from mnistctl.training.environment import MachineInfo
from mnistctl.training.options import RunOptions
from mnistctl.training.record import DatasetFiles
from mnistctl.trials import version1
from mnistctl.trials.scheduler import TrialKey
from mnistctl.trials.sequential import PairSequence
from mnistctl.trials.sweep import Sweep
from mnistctl.trials.task import ResultChecker, TrialResult

VERSION = 2  # of the format; version 1 is read as well
MAX_TRIALS = 1_000_000  # per model
_MAX_BYTES = 1 << 30  # of a journal; one line of the worst model has 200 kB
_REMEDIES = ("overwrite", "name", "out_dir")


@dataclass(frozen=True, kw_only=True)
class SharedSettings(Schema):
    """The settings that are the same for all trials of a journal.

    Args:
        arms: by model, the name of each arm and the model whose recipe it trains.
        recipes: the recipes that the arms train, by model.
        precision: "float32" or "bf16".
        device: kind of the device: "cpu", "cuda" or "mps".
        threads: number of processor threads of a trial.
        dataset: the data set.
        versions: versions of mnistctl, torch, numpy and Python.
        origins: by model, where a recipe came from that is not shipped, and what was changed in it.
        holdout: the training digits that were scored in the place of the test digits; None for none.
    """

    arms: dict[str, dict[str, str]]
    recipes: dict[str, RecipeSummary]
    precision: str
    device: str
    threads: int
    dataset: DatasetFiles
    versions: dict[str, str]
    origins: dict[str, Origin] = field(default_factory=dict)
    holdout: HeldOut | None = None


@dataclass(frozen=True)
class Arm:
    """A column of the result.

    Args:
        label: name of the arm, unique among the arms of a journal.
        model, name: the model of the trials, and the arm's name in them.
        recipe: the model whose recipe it trains.
    """

    label: str
    model: str
    name: str
    recipe: str


@dataclass(frozen=True, kw_only=True)
class JournalHeader(Schema):
    """The first line of a journal.

    Args:
        version: version of the format.
        command: command line that started the trials.
        started: when, UTC, ISO 8601.
        models: the models.
        seed: the first seed.
        count: number of seeds, which may grow when the trials are resumed.
        options: the options that started the trials.
        settings: what the options, the recipes and the machine determined.
        support: number of scored images of each digit.
        machine: hardware and system.
        stopping: when the comparison of the two arms is settled, so that no more trials are needed; None to
            run all of them.
        sweep: the settings that are varied, if the models are the arms of a sweep.
        parts: the commands of the parts, if these trials were joined.
    """

    version: int = VERSION
    command: str = ""
    started: str
    models: tuple[str, ...]
    seed: Count
    count: Annotated[int, Meta(ge=1, le=MAX_TRIALS)]
    options: RunOptions
    settings: SharedSettings
    support: tuple[Count, ...]
    machine: MachineInfo
    stopping: StoppingRule | None = None
    sweep: Sweep | None = None
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.support) != 10:
            raise ValueError(f"support: {len(self.support)} counts instead of 10")
        if sorted(self.models) != sorted(self.settings.arms):
            raise ValueError("models: not those of settings.arms")
        if self.sweep is not None and tuple(self.sweep.arms) != self.models:
            raise ValueError("models: not the arms of the sweep")
        if self.stopping is not None and (count := len(self.arms())) != 2:
            raise ValueError(f"stopping: {plural(count, 'arm')} instead of 2")
        if self.stopping is not None and not sum(self.support):
            raise ValueError("support: no test images")

    def arms(self) -> tuple[Arm, ...]:
        """All arms. One of several models has the model in its label, unless it is called as the model."""
        if self.sweep is not None:
            return tuple(Arm(self.sweep.label(model), model, model, model) for model in self.models)
        return tuple(
            Arm(name if len(self.models) == 1 or name == model else f"{model} {name}", model, name, recipe)
            for model in self.models
            for name, recipe in self.settings.arms[model].items()
        )

    @property
    def has_winner(self) -> bool:
        """Whether the nets of the best arm are scored on the test set at the end, which chose nothing."""
        return self.sweep is not None and self.stopping is None and self.settings.holdout is not None

    def result_checker(self, *, nets: bool = False) -> ResultChecker:
        """The checker of the trials' results, which must have their `nets` if that is set."""
        arms = {model: tuple(names) for model, names in self.settings.arms.items()}
        return ResultChecker(arms, sum(self.support), nets)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        if value.get("version") == 1:
            value = version1.upgrade_header(value)
        settings = value["settings"]
        recipes = {name: RecipeSummary.upgrade(recipe) for name, recipe in settings["recipes"].items()}
        return value | {"settings": settings | {"recipes": recipes}}

    def to_json(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes; the options without the folder of the journal."""
        return super().to_json() | {"options": self.options.to_dict()}


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Schema):
    """The line of a trial that ended.

    Args:
        model, seed: which trial it is.
        state: "done", "diverged" or "failed".
        reason: why it diverged or failed.
        result: what the worker sent; None unless the state is "done".
    """

    model: str
    seed: int
    state: Literal["done", "diverged", "failed"] = "done"
    reason: str = ""
    result: TrialResult | None = None

    def __post_init__(self) -> None:
        if (self.state == "done") != (self.result is not None):
            raise ValueError(f"a trial that is {self.state} {'has a' if self.result else 'without a'} result")

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        return value if "state" in value else version1.upgrade_trial(value)


@dataclass(frozen=True, kw_only=True)
class ResumeNote(Schema):
    """The line of a session that adds trials or changes settings.

    Args:
        after: number of trials that had ended before.
        count: number of seeds from this session on.
        mismatched_settings: the settings that differ from the header, as [saved value, new value].
    """

    after: Count
    count: Annotated[int, Meta(ge=0, le=MAX_TRIALS)]
    mismatched_settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version."""
        return version1.upgrade_note(value)


@dataclass(frozen=True, kw_only=True)
class WinnerScores(Schema):
    """The line at the end of a sweep: how the nets of the winner score on the test set.

    Args:
        model: the winner.
        images: number of test images.
        seeds, accuracies: seed and test accuracy in percent of each net.
    """

    model: str
    images: Annotated[int, Meta(ge=1)]
    seeds: tuple[int, ...]
    accuracies: tuple[Percent, ...]

    def __post_init__(self) -> None:
        if not self.seeds or len(self.seeds) != len(self.accuracies):
            raise ValueError(f"{len(self.seeds)} seeds and {len(self.accuracies)} accuracies")


@dataclass
class TrialsJournal:
    """The contents of a journal: header, last line of each trial, later sessions, winner of a sweep."""

    header: JournalHeader
    trials: dict[TrialKey, TrialRecord] = field(default_factory=dict)
    resumed: list[ResumeNote] = field(default_factory=list)
    winner: WinnerScores | None = None
    size: int = 0  # bytes of complete lines

    @property
    def count(self) -> int:
        """The number of seeds, including those that later sessions added."""
        return max([self.header.count, *(note.count for note in self.resumed)])

    def pairs(self) -> PairSequence | None:
        """The pairs of the two arms that have ended; None without a stopping rule."""
        if self.header.stopping is None:
            return None
        pairs = PairSequence(self.header, self.trials)
        pairs.advance()
        return pairs

    @property
    def settled(self) -> bool:
        """Whether the comparison of the two arms is settled, so that no more trials are needed."""
        pairs = self.pairs()
        return pairs is not None and pairs.settled

    def last_seed(self) -> int:
        """The last seed of which trials are needed: where the comparison is settled, else the last of all."""
        pairs = self.pairs()
        if pairs is not None and pairs.settled and pairs.last_seed is not None:
            return pairs.last_seed
        return self.header.seed + self.count - 1

    def remaining(self, keys: list[TrialKey]) -> list[TrialKey]:
        """Those of the trials `keys` that have not ended, or failed. A diverged trial would diverge again.

        There are none if the comparison of the two arms is settled.
        """
        if self.settled:
            return []
        return [key for key in keys if key not in self.trials or self.trials[key].state == "failed"]


def create(path: Path, header: JournalHeader) -> TrialsJournal:
    """Write a journal with nothing but its header.

    Raises:
        OutputError: the file cannot be written.
    """
    content = _encode(header.to_json())
    files.write(path, content)
    return TrialsJournal(header, size=len(content))


def read(path: Path) -> TrialsJournal | None:
    """The journal at `path`; None if there is none. A damaged last line was cut off, and is ignored.

    Raises:
        CheckpointError: the file cannot be read, is not a journal, or a line before the last is damaged.
    """
    try:
        content = files.read(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(error)})", remedies=_REMEDIES) from None
    lines = content.splitlines(keepends=True)
    if not lines:
        raise CheckpointError(f"{path}: the file is empty", remedies=_REMEDIES)
    journal: TrialsJournal | None = None
    for number, line in enumerate(lines, start=1):
        if line.endswith(b"\n") and files.verify_checksum(line):
            try:
                journal = _add_line(journal, files.parse_json(line))
            except ValueError as error:
                message = f"{path}: line {number} does not belong in a journal of trials ({error})"
                raise CheckpointError(message, remedies=_REMEDIES) from None
            journal.size += len(line)
        elif number < len(lines) or journal is None:
            what = "not a journal of trials, or damaged" if number == 1 else f"line {number} is damaged"
            raise CheckpointError(f"{path}: {what}", remedies=_REMEDIES)
    assert journal is not None
    return journal


def write(path: Path, journal: TrialsJournal) -> None:
    """Write a whole journal, which has no later sessions and no winner.

    Raises:
        OutputError: the file cannot be written, or would be too large to be read.
    """
    lines = [_encode(record.to_json()) for record in journal.trials.values()]
    content = b"".join([_encode(journal.header.to_json()), *lines])
    if len(content) > _MAX_BYTES:
        raise OutputError(f"{path}: would have more than {_MAX_BYTES:,} bytes, and not be read again")
    files.write(path, content)
    journal.size = len(content)


def append(path: Path, journal: TrialsJournal, entry: TrialRecord | ResumeNote | WinnerScores) -> None:
    """Add a line to the journal and flush it to disk. It replaces an incomplete last line.

    Raises:
        OutputError: the file cannot be written. A part of the line may be in it, which `read` ignores.
    """
    body = entry.to_json()
    names = {ResumeNote: "resumed", WinnerScores: "winner"}
    content = _encode({names[type(entry)]: body} if type(entry) in names else body)
    if journal.size + len(content) > _MAX_BYTES:
        message = f"{path}: full; more than {_MAX_BYTES:,} bytes would not be read again"
        raise OutputError(message, remedies=("name",))
    try:
        # "r+b" does not create the file: if it was deleted, another program may use the name now.
        with path.open("r+b") as file:
            file.truncate(journal.size)
            file.seek(journal.size)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise files.unwritable(path, error) from None
    journal.size += len(content)
    _add_entry(journal, entry)


def compare_settings(saved: SharedSettings, current: SharedSettings) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by dotted name: (saved value, current value)."""
    return find_differences(without_texts(saved), without_texts(current))


def without_texts(settings: SharedSettings) -> Any:
    """The settings as JSON, with the SHA-256 of recipe files instead of their texts."""
    origins = {name: replace(origin, text=None) for name, origin in settings.origins.items()}
    return replace(settings, origins=origins).to_json()


def find_differences(saved: Any, current: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """What differs between two JSON values, by dotted name: (first value, second value)."""
    if isinstance(saved, dict) and isinstance(current, dict):
        differences: dict[str, tuple[Any, Any]] = {}
        for key in sorted(saved.keys() | current.keys()):
            inner = f"{name}.{key}" if name else key
            differences |= find_differences(saved.get(key), current.get(key), inner)
        return differences
    return {} if saved == current else {name: (saved, current)}


def _add_line(journal: TrialsJournal | None, line: Any) -> TrialsJournal:
    """The journal with one more line; the first line makes it.

    Raises:
        ValueError: the line is not of this format.
    """
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    if journal is None:
        if line.get("version") not in (1, VERSION):
            raise ValueError(f"version {line.get('version')!r:.20}; this program reads 1 to {VERSION}")
        return TrialsJournal(JournalHeader.from_json(line))
    if "resumed" in line:
        _add_entry(journal, ResumeNote.from_json(line["resumed"]))
    elif "winner" in line:
        _add_entry(journal, _check_winner(journal, WinnerScores.from_json(line["winner"])))
    else:
        _add_entry(journal, _check_trial(journal, TrialRecord.from_json(line)))
    return journal


def _check_trial(journal: TrialsJournal, record: TrialRecord) -> TrialRecord:
    """The record, if it is that of a trial of this journal.

    Raises:
        ValueError: it is not.
    """
    header = journal.header
    if record.model not in header.models:
        raise ValueError(f"model {record.model!r:.40}: the trials are of {', '.join(header.models)}")
    if not header.seed <= record.seed < header.seed + journal.count:
        raise ValueError(
            f"seed {record.seed}: the seeds are {header.seed} to {header.seed + journal.count - 1}"
        )
    if record.result is not None:
        header.result_checker().check(record.model, record.result)
    return record


def _check_winner(journal: TrialsJournal, winner: WinnerScores) -> WinnerScores:
    """The scores, if they can be those of the winner of this journal.

    Raises:
        ValueError: they cannot.
    """
    header = journal.header
    if not header.has_winner or winner.model not in header.models:
        raise ValueError(f"winner {winner.model!r:.40}: no arm of a sweep")
    if winner.seeds != tuple(range(header.seed, header.seed + journal.count)):
        raise ValueError("winner: other seeds than those of the sweep")
    return winner


def _add_entry(journal: TrialsJournal, entry: TrialRecord | ResumeNote | WinnerScores) -> None:
    if isinstance(entry, ResumeNote):
        journal.resumed.append(entry)
    elif isinstance(entry, WinnerScores):
        journal.winner = entry
    else:
        journal.trials[entry.model, entry.seed] = entry


def _encode(body: Any) -> bytes:
    line = json.dumps(body | {"checksum": files.CHECKSUM_PLACEHOLDER}) + "\n"
    return files.add_checksum(line.encode())
