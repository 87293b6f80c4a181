"""Trials that were recorded before: reading them, and comparing those of several records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.artifacts.outputs import kind_of
from mnistctl.errors import CheckpointError, UsageError, suggest
from mnistctl.evaluation import statistics
from mnistctl.evaluation.statistics import Difference
from mnistctl.schema import Schema, to_type
from mnistctl.trials import journal, summary
from mnistctl.trials.comparisons import Comparison, make_comparisons
from mnistctl.trials.listing import TRIALS_FOLDER
from mnistctl.trials.summarize import summarize_trials
from mnistctl.trials.summary import ArmSummary, TrialsSummary

VERSION = 1  # of the printed object
_ENDINGS = ("jsonl", "json")  # the journal is complete, the summary may be older
_MAX_BYTES = 1 << 28  # of a summary
# What must be equal besides the seed, so that a seed means the same random numbers.
_SETTINGS_OF_RANDOM_NUMBERS = ("precision", "device", "threads")
_VERSIONS_OF_RANDOM_NUMBERS = ("torch",)


@dataclass(frozen=True)
class RecordedTrials:
    """Trials that were read from a file.

    Args:
        name: what they are called in a comparison: the file's name without its ending, or its path.
        path: the file.
        summary: their results.
    """

    name: str
    path: Path
    summary: TrialsSummary

    @property
    def scored(self) -> str:
        """What the accuracies are of, in words."""
        split = "test digits" if self.summary.holdout is None else "held-out digits"
        return f"{split} of {self.summary.dataset.name}"

    def scored_digests(self) -> object:
        """What identifies the digits that the accuracies are of."""
        if self.summary.holdout is not None:
            return self.summary.holdout.sha256
        return {name: sha for name, sha in self.summary.dataset.sha256.items() if name.startswith("t10k")}

    def label(self, arm: ArmSummary) -> str:
        """The name of an arm among those of several records."""
        return self.name if len(self.summary.arms) == 1 else f"{self.name} {arm.label}"


@dataclass(frozen=True, kw_only=True)
class RecordEntry(Schema):
    """One of the records that are compared.

    Args:
        name: what its arms are called by.
        path: the file.
        command: the command that repeats the trials.
        started: when they started, UTC, ISO 8601.
        notes: what must be known about its results.
    """

    name: str
    path: str
    command: str
    started: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RecordedComparison(Comparison):
    """The difference of two arms of different records. `reason` says why they were tested in this way."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class RecordsComparison(Schema):
    """Recorded trials beside each other.

    Args:
        version: version of the object.
        records: the records.
        scored: the digits that all accuracies are of, in words.
        arms: the arms of all records; their labels have the records' names.
        comparisons: every two arms of different records. P-values are adjusted for all of them.
    """

    version: int = VERSION
    records: tuple[RecordEntry, ...]
    scored: str
    arms: tuple[ArmSummary, ...]
    comparisons: tuple[RecordedComparison, ...]


def find_recorded(reference: str, out_dir: Path) -> Path:
    """The file of the recorded trials that the user means.

    Args:
        reference: the path of a journal or of a summary, or the name of trials in `out_dir`/trials, with
            this folder before it or without.
        out_dir: folder for results.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(reference)
    if path.suffix.removeprefix(".") in _ENDINGS and path.exists():
        return path
    folder = out_dir / TRIALS_FOLDER
    if path.parent == Path(TRIALS_FOLDER):  # as `show --runs` lists it
        reference = path.name
    if path.name == reference:
        for ending in _ENDINGS:
            if files.with_ending(folder / reference, ending).exists():
                return files.with_ending(folder / reference, ending)
        known = files.list_runs(folder, "jsonl")
        available = f" (available: {', '.join(known)})" if known else ""
        hint = suggest(reference, known)
        what = f"no recorded trials {reference!r:.80} in {folder}{available}{hint.removesuffix(';')}"
        raise CheckpointError(what)
    raise CheckpointError(f"{path}: no such file of trials")


def read_recorded(paths: Sequence[Path]) -> list[RecordedTrials]:
    """The trials in these files. Each is called as its file; if two would be, the whole paths are the names.

    Raises:
        UsageError: two files are the same, or have the same trials, as a journal and its summary have.
        CheckpointError: a file is missing, damaged, or not of trials.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a file of trials is named twice")
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    records = [
        RecordedTrials(name, path, read_summary(path)) for name, path in zip(names, paths, strict=True)
    ]
    first = dict[tuple[str, str], Path]()
    for record in records:
        trials = record.summary.command, record.summary.started
        if (other := first.setdefault(trials, record.path)) is not record.path:
            raise UsageError(f"{other} and {record.path} have the same trials; name different ones")
    return records


def read_summary(path: Path | str) -> TrialsSummary:
    """The summary at `path`, or that of the journal there.

    Raises:
        CheckpointError: the file is missing, damaged, or not of trials.
    """
    path = to_type(path, Path, "path")
    if kind_of(path) != "file of trials":
        what = "not a file of trials" if path.exists() else "no such file of trials"
        raise CheckpointError(f"{path}: {what}")
    if path.suffix == ".jsonl":
        try:
            entries = journal.read(path)
        except CheckpointError as error:
            raise CheckpointError(error.message) from None  # its remedies are those of trials of this name
        assert entries is not None
        return summarize_trials(entries)
    try:
        content = files.read(path, _MAX_BYTES)
        if not files.verify_checksum(content):
            raise CheckpointError(f"{path}: damaged: the contents do not match the checksum")
        body = files.parse_json(content)
        if body["version"] not in (1, summary.VERSION):
            raise ValueError(f"version {body['version']!r:.20}; this program reads 1 to {summary.VERSION}")
        return TrialsSummary.from_json(body)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(error)})") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not a summary of trials ({error})") from None


def compare_recorded(records: Sequence[RecordedTrials]) -> RecordsComparison:
    """Compare every two arms of different records: paired where a seed means the same, else by Welch's test.

    Raises:
        UsageError: there are fewer than two records.
        CheckpointError: their accuracies are of different digits.
    """
    if len(records) < 2:
        raise UsageError("name two or more recorded trials to compare")
    first = records[0]
    for other in records[1:]:
        if other.scored_digests() != first.scored_digests():
            digits = f"{first.scored}, {other.path}: {other.scored}"
            message = f"accuracies of different digits cannot be compared ({first.path}: {digits})"
            raise CheckpointError(message)
    arms = [
        (record, replace(arm, label=record.label(arm))) for record in records for arm in record.summary.arms
    ]
    return RecordsComparison(
        records=tuple(_describe(record) for record in records),
        scored=first.scored,
        arms=tuple(arm for _, arm in arms),
        comparisons=_compare(arms),
    )


def _describe(record: RecordedTrials) -> RecordEntry:
    found, notes = record.summary, []
    expected = found.count * len(found.arms)
    done = sum(arm.n for arm in found.arms)
    if found.sequential is not None:
        notes.append("ended when settled, so its accuracies are not those of a fixed number of trials")
    elif done < expected:
        notes.append(f"{done} of {expected} accuracies: unfinished, or some trials gave none")
    if found.mismatched_settings:
        notes.append(f"its own trials differ in {', '.join(found.mismatched_settings)}")
    return RecordEntry(
        name=record.name,
        path=str(record.path),
        command=found.command,
        started=found.started,
        notes=tuple(notes),
    )


def _compare(arms: Sequence[tuple[RecordedTrials, ArmSummary]]) -> tuple[RecordedComparison, ...]:
    pairs: list[tuple[str, str]] = []
    differences: list[Difference] = []
    reasons: list[str] = []
    for (one, first), (other, second) in combinations(arms, 2):
        if one is other or not first.n or not second.n:
            continue
        difference, reason = _test(one, first, other, second)
        pairs.append((first.label, second.label))
        differences.append(difference)
        reasons.append(reason)
    return tuple(
        RecordedComparison(**vars(comparison), reason=reason)
        for comparison, reason in zip(make_comparisons(pairs, differences), reasons, strict=True)
    )


def _test(
    one: RecordedTrials, first: ArmSummary, other: RecordedTrials, second: ArmSummary
) -> tuple[Difference, str]:
    """The difference of two arms, and why it is tested in this way."""
    a, b = (dict(zip(arm.seeds, arm.accuracies, strict=True)) for arm in (first, second))
    shared = [seed for seed in a if seed in b]
    obstacle = _find_obstacle(one.summary, other.summary)
    if obstacle is None and len(shared) < 2:
        obstacle = "they share no seed" if not shared else "they share only one seed"
    if obstacle is not None:
        return statistics.welch(first.accuracies, second.accuracies), f"independent samples: {obstacle}"
    left = len(a) + len(b) - 2 * len(shared)
    others = "the other accuracy is" if left == 1 else f"the other {left} accuracies are"
    rest = f"; {others} left out" if left else ""
    reason = f"paired: {len(shared)} shared seeds, the same digits and the same settings{rest}"
    return statistics.paired([a[seed] for seed in shared], [b[seed] for seed in shared]), reason


def _find_obstacle(one: TrialsSummary, other: TrialsSummary) -> str | None:
    """Why a seed does not mean the same random numbers in both; None if it does."""
    for each in (one, other):
        if each.mismatched_settings:
            return f"trials of one record differ in {', '.join(each.mismatched_settings)}"
    pairs: list[tuple[str, Any, Any]] = [
        (name, getattr(one, name), getattr(other, name)) for name in _SETTINGS_OF_RANDOM_NUMBERS
    ]
    pairs += [
        (name, one.versions.get(name), other.versions.get(name)) for name in _VERSIONS_OF_RANDOM_NUMBERS
    ]
    for name, left, right in pairs:
        if left != right:
            return f"{name} {left} and {right}, so that a seed does not mean the same random numbers"
    if one.dataset.sha256 != other.dataset.sha256 or one.holdout != other.holdout:
        return "they were trained on different digits"
    return None
