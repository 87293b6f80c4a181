"""The journal of trials, NAME.jsonl: a header, then a line for every trial that ended. It is append-only."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, OutputError
from mnistctl.trials.entries import VERSION, JournalHeader, ResumeNote, TrialRecord, WinnerScores
from mnistctl.trials.scheduler import TrialKey
from mnistctl.trials.sequential import PairSequence

_MAX_BYTES = 1 << 30  # of a journal; one line of the worst model has 200 kB
_REMEDIES = ("overwrite", "name", "out_dir")


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
