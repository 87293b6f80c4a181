"""The record of trials while they go on: NAME.jsonl, a header and a line for each one that has ended."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, OutputError

VERSION = 2  # of the layout
_MAX_BYTES = 1 << 30  # bytes; a line of the worst net takes 200 kB
Line = dict[str, Any]


@dataclass
class TrialsJournal:
    """What stands in a record: the header, the last line of each trial, and how often it was gone on with."""

    header: Line
    trials: dict[tuple[str, int], Line] = field(default_factory=dict)  # by model and seed
    resumed: list[Line] = field(default_factory=list)
    size: int = 0  # bytes that are whole; what lies behind them was torn

    @property
    def count(self) -> int:
        """The number of seeds that were asked for, at last."""
        return int(max(line.get("count", 0) for line in [self.header, *self.resumed]))


def begin(path: Path, header: Mapping[str, Any]) -> TrialsJournal:
    """Write a record that holds only its header.

    Raises:
        OutputError: it cannot be written.
    """
    content = _line({"version": VERSION, **header})
    files.write(path, content)
    return TrialsJournal(json.loads(content), size=len(content))


def read(path: Path) -> TrialsJournal | None:
    """The record at `path`, None where there is none. A damaged last line was torn, and is left out.

    Raises:
        CheckpointError: it cannot be read, is not one of ours, or an earlier line is damaged.
    """
    mend = "give --overwrite to begin anew, or another --name or --out-dir"
    try:
        content = files.read(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(fault)}); {mend}") from None
    lines = content.splitlines(keepends=True)
    found: TrialsJournal | None = None
    for number, line in enumerate(lines, start=1):
        if not (line.endswith(b"\n") and files.verify_checksum(line)):
            if number == len(lines) and found is not None:
                break
            what = "not a record of trials, or a damaged one" if number == 1 else f"line {number} is damaged"
            raise CheckpointError(f"{path}: {what}; {mend}")
        told = json.loads(line)
        if found is None:
            if told.get("version") not in (1, VERSION) or "setting" not in told:
                raise CheckpointError(f"{path}: not a record of trials of version {VERSION}; {mend}")
            found = TrialsJournal(_upgrade(told))
        elif "resumed" in told:
            found.resumed.append(told["resumed"])
        else:
            found.trials[told["model"], told["seed"]] = told
        found.size += len(line)
    if found is None:
        raise CheckpointError(f"{path}: empty; {mend}")
    return found


def append(path: Path, ledger: TrialsJournal, body: Mapping[str, Any]) -> None:
    """Add a line to the record, flushed to disk; what was torn behind the last whole one goes first.

    Raises:
        OutputError: it cannot be written; a part of the line may stand, which `read` leaves out.
    """
    content = _line(body)
    try:
        with path.open("r+b") as file:  # never made anew: whoever took it away may be using its place
            file.truncate(ledger.size)
            file.seek(ledger.size)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise OutputError(f"{path}: cannot be written ({files.reason(fault)})") from None
    ledger.size += len(content)
    if "resumed" in body:
        ledger.resumed.append(body["resumed"])
    else:
        ledger.trials[body["model"], body["seed"]] = dict(body)


def setting_changes(was: Any, now: Any, name: str = "") -> dict[str, list[Any]]:
    """Where two settings differ, by dotted name: [was, now]."""
    if isinstance(was, dict) and isinstance(now, dict):
        found: dict[str, list[Any]] = {}
        for key in sorted(was.keys() | now.keys()):
            found |= setting_changes(was.get(key), now.get(key), f"{name}.{key}" if name else key)
        return found
    return {} if was == now else {name: [was, now]}


def _line(body: Mapping[str, Any]) -> bytes:
    return files.add_checksum((json.dumps({**body, "checksum": files.CHECKSUM_PLACEHOLDER}) + "\n").encode())


_OPTION_KEYS_OF_VERSION_1 = {"batch": "batch_size", "rate": "lr"}


def _upgrade(header: Line) -> Line:
    """A header under the keys of this version; version 1 had others."""
    asked = {_OPTION_KEYS_OF_VERSION_1.get(key, key): value for key, value in header["asked"].items()}
    return {**header, "asked": asked}
