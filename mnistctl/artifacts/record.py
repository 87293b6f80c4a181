"""A finished run's record, NAME.json: what was run, on what, with which versions, and the results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError
from mnistctl.training.outputs import describe_run, grid_paths

VERSION = 2  # of the layout
_MAX_BYTES = 1 << 26  # bytes; that of the worst net takes 1 MB


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the record, with its version and a checksum of the whole file, to `path`.

    Raises:
        OutputError: it cannot be written.
    """
    told = {"version": VERSION, "checksum": files.CHECKSUM_PLACEHOLDER} | dict(body)
    files.write(path, files.add_checksum((json.dumps(told, indent=1) + "\n").encode()))


def read(path: Path) -> dict[str, Any] | None:
    """The record at `path`, each byte as it was written; None where there is none.

    Raises:
        CheckpointError: damaged, not one of ours, or of another version.
    """
    mend = "give --overwrite to replace it, or another --name or --out-dir"
    try:
        content = files.read(path, _MAX_BYTES)
        told = json.loads(content.decode())
        version = told["version"]
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(fault)}); {mend}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path}: not a record of a run, or a damaged one; {mend}") from None
    if version != VERSION:
        here = f"this version of mnistctl reads {VERSION}"
        raise CheckpointError(f"{path}: record version {version!r:.20}; {here}; {mend}")
    if not files.verify_checksum(content):
        raise CheckpointError(f"{path}: damaged: the contents do not match their checksum; {mend}")
    try:
        describe_run(told)
        grid_paths(path, told["recipe"]["epochs"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: not a record of a run; {mend}") from None
    return dict(told)


def find_by_digest(path: Path, digest: str) -> dict[str, Any] | None:
    """The record at `path`, of this or an earlier version, if its run ended with the weights of `digest`.

    None where there is no such record, or it is damaged.
    """
    try:
        content = files.read(path, _MAX_BYTES)
        told = json.loads(content.decode())
        sound = told["digest"] == digest and ("checksum" not in told or files.verify_checksum(content))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(told) if sound else None
