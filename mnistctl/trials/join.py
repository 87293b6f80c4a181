"""One journal of trials that ran apart, for example as the jobs of a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.artifacts.files import Saved, Warned
from mnistctl.artifacts.locks import run_lock
from mnistctl.artifacts.outputs import kind_of
from mnistctl.artifacts.tables import NO_TABLES, TableFiles
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.trials import journal
from mnistctl.trials.entries import VERSION, TrialRecord, find_differences, without_texts
from mnistctl.trials.events import TrialsFinished, TrialsJoined, TrialsStarted
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.nets import KeptNets
from mnistctl.trials.outputs import check_tables, check_trials_outputs, write_results
from mnistctl.trials.scheduler import TrialKey
from mnistctl.trials.summarize import raise_failures, summarize_trials

# What may differ between the headers of parts: which seeds they have, and when and where they ran.
# Options determine settings, and these are compared.
_OWN_FIELDS = ("command", "started", "seed", "count", "machine", "parts", "options")


@dataclass(frozen=True)
class Part:
    """The journal of a part."""

    path: Path
    entries: TrialsJournal

    @property
    def seeds(self) -> range:
        """The seeds of its trials."""
        return range(self.entries.header.seed, self.entries.header.seed + self.entries.count)


def join_trials(
    paths: Sequence[Path],
    run_path: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    tables: TableFiles = NO_TABLES,
) -> Iterator[Saved | Warned | TrialsJoined | TrialsFinished]:
    """Write one journal of several, with its summary and histogram; yield what is joined and the files.

    Args:
        paths: the journals of the parts. Their trials differ in nothing but the seeds.
        run_path: path of the new files without their endings.
        command: the command that joins them.
        overwrite: replace existing trials of this name.
        tables: the tables to write.

    Raises:
        UsageError: there are fewer than two parts, one is named twice, or the name is in use.
        CheckpointError: a part is missing, damaged, or unfinished, or differs from the first one.
        OutputError: a file cannot be written.
        FailedTrialsError: at the end: some trials diverged or failed.
    """
    parts = read_parts(paths)
    joined = join_parts(parts, command)
    files.prepare_folder(run_path.parent)
    with run_lock(run_path) as warnings:
        yield from warnings
        path = files.with_ending(run_path, "jsonl")
        if any(path.resolve() == part.path.resolve() for part in parts):
            raise UsageError(f"{path}: is one of the parts", remedies=("name",))
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists already", remedies=("overwrite", "name", "out_dir"))
        check_trials_outputs(run_path, replace=overwrite)
        check_tables(tables, overwrite=overwrite)
        KeptNets(run_path).delete()  # of trials that are overwritten
        journal.write(path, joined)
        seeds = tuple((part.path, part.seeds) for part in parts)
        yield TrialsJoined(TrialsStarted.of(joined.header), seeds)
        result = summarize_trials(joined)
        yield from write_results(run_path, result, tables, already=False)
    raise_failures(result, len(joined.trials), remedy="join_again")


def read_parts(paths: Sequence[Path]) -> list[Part]:
    """The journals at `paths`, in the order of their first seeds.

    Raises:
        UsageError, CheckpointError: as `join_trials`.
    """
    if len(paths) < 2:
        raise UsageError("name two or more recorded trials to join")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a journal of trials is named twice")
    parts = []
    for path in paths:
        if path.suffix != ".jsonl" or kind_of(path) != "file of trials":
            what = "not a journal of trials (NAME.jsonl)" if path.exists() else "no such journal of trials"
            raise CheckpointError(f"{path}: {what}")
        try:
            entries = journal.read(path)
        except CheckpointError as error:
            raise CheckpointError(error.message) from None  # its remedies are those of trials of this name
        assert entries is not None
        _check_part(path, entries)
        parts.append(Part(path, entries))
    return sorted(parts, key=lambda part: part.seeds.start)


def _check_part(path: Path, entries: TrialsJournal) -> None:
    header = entries.header
    if header.version != VERSION:
        raise CheckpointError(f"{path}: trials of an earlier version cannot be joined")
    if header.stopping is not None:
        raise CheckpointError(f"{path}: ends when its comparison is settled; such trials cannot be joined")
    if header.has_winner:
        message = f"{path}: a sweep, which scores the nets of its winner; such trials cannot be joined"
        raise CheckpointError(message)
    mixed = sorted({name for note in entries.resumed for name in note.mismatched_settings})
    if mixed:
        raise CheckpointError(f"{path}: its own trials differ in {', '.join(mixed)}")
    expected = len(header.models) * entries.count
    if len(entries.trials) < expected:
        raise CheckpointError(f"{path}: unfinished trials ({len(entries.trials)} of {expected})")


def join_parts(parts: Sequence[Part], command: str = "") -> TrialsJournal:
    """The journal of all trials of the parts, which are in the order of their first seeds.

    Raises:
        CheckpointError: a part differs from the first one, a trial has two results, or seeds are missing.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_equal(first, part)
    seeds = sorted({seed for part in parts for seed in part.seeds})
    gaps = [(one + 1, other - 1) for one, other in pairwise(seeds) if other - one > 1]
    if gaps:
        texts = [str(low) if low == high else f"{low} to {high}" for low, high in gaps]
        what = f"{'seed' if texts == [str(gaps[0][0])] else 'seeds'} {', '.join(texts):.200}"
        raise CheckpointError(f"no part has {what}; the seeds of joined trials have no gaps")
    header = replace(
        first.entries.header,
        command=command,
        started=min(part.entries.header.started for part in parts),
        count=len(seeds),
        parts=tuple(part.entries.header.command for part in parts),
    )
    return TrialsJournal(header, trials=_join_results(parts))


def _check_equal(first: Part, part: Part) -> None:
    differences = find_differences(_comparable(first), _comparable(part))
    for name, (one, other) in differences.items():
        values = f"{first.path} has {one!s:.60}, {part.path} has {other!s:.60}"
        raise CheckpointError(f"the parts differ in {name}: {values}")


def _comparable(part: Part) -> object:
    """The header of a part as JSON, without what may differ."""
    header = part.entries.header
    same = {key: value for key, value in header.to_json().items() if key not in _OWN_FIELDS}
    return same | {"settings": without_texts(header.settings)}


def _join_results(parts: Sequence[Part]) -> dict[TrialKey, TrialRecord]:
    """The trials of all parts. Results from another machine than that of the header have it with them.

    A trial that failed in one part may have ended in another.
    """
    machine = parts[0].entries.header.machine
    joined: dict[TrialKey, TrialRecord] = {}
    owners: dict[TrialKey, Path] = {}
    for part in parts:
        own = part.entries.header.machine
        for key, record in sorted(part.entries.trials.items(), key=lambda item: item[0][1]):
            if record.result is not None and record.result.machine is None and own != machine:
                record = replace(record, result=replace(record.result, machine=own))
            if key not in joined or joined[key].state == "failed":
                joined[key], owners[key] = record, part.path
            elif record.state != "failed" and _outcome(joined[key]) != _outcome(record):
                model, seed = key
                message = f"{model}, seed {seed}: {owners[key]} and {part.path} have different results"
                raise CheckpointError(message)
    return joined


def _outcome(record: TrialRecord) -> tuple[Any, ...]:
    """What two runs of one trial have in common: all but the times and the machine."""
    result = record.result
    return (record.state,) if result is None else (record.state, result.accuracies, result.digests)
