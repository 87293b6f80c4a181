"""A run's record, NAME.json: what was asked, on what, with which versions, and what came of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnistctl import files
from mnistctl.errors import CheckpointError
from mnistctl.models import GENERATORS
from mnistctl.options import MOST_EPOCHS

VERSION = 2  # of the layout
_LARGEST = 1 << 26  # bytes; that of the worst net takes 1 MB

_PLACES = ("device", "threads", "processor", "vectors", "system")  # and the versions


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the record, with its version and a checksum of the whole file, to `path`.

    Raises:
        OutputError: it cannot be written.
    """
    told = {"version": VERSION, "checksum": files.UNSIGNED} | dict(body)
    files.write(path, files.signed((json.dumps(told, indent=1) + "\n").encode()))


def read(path: Path) -> dict[str, Any] | None:
    """The record at `path`, each byte as it was written; None where there is none.

    Raises:
        CheckpointError: damaged, not one of ours, or of another version.
    """
    mend = "give --overwrite to replace it, or another --name or --out-dir"
    try:
        content = files.read(path, _LARGEST)
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
    if not files.intact(content):
        raise CheckpointError(f"{path}: damaged: the contents do not match their checksum; {mend}")
    try:
        summary(told)
        grids(path, told["recipe"]["epochs"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: not a record of a run; {mend}") from None
    return dict(told)


def of_weights(path: Path, digest: str) -> dict[str, Any] | None:
    """The record at `path`, of this or an earlier version, if its run ended with the weights of `digest`.

    None where there is no such record, or it is damaged.
    """
    try:
        content = files.read(path, _LARGEST)
        told = json.loads(content.decode())
        sound = told["digest"] == digest and ("checksum" not in told or files.intact(content))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(told) if sound else None


def summary(run: Mapping[str, Any]) -> str:
    """A finished run in a few words."""
    what = f"{run['model']}, {run['recipe']['epochs']} epochs, seed {run['seed']}"
    score = "" if run["model"] in GENERATORS else f", {run['accuracy']:.2f} %"
    return f"{what}{score} in {run['seconds']:.1f} s"


def files_of(stem: Path, run: Mapping[str, Any]) -> list[Path]:
    """The files of the run whose files begin with the path `stem`, the record last."""
    if run["model"] in GENERATORS:
        pictures = [*grids(stem, run["recipe"]["epochs"]), files.beside(stem, "gif")]
    else:
        pictures = [files.beside(stem, "png")]
    weights, lines, told = (files.beside(stem, ending) for ending in ("safetensors", "jsonl", "json"))
    return [weights, lines, *pictures, told]


def grids(stem: Path, epochs: int) -> list[Path]:
    """The pictures that a generator's run of so many epochs leaves, one an epoch: NAME01.png, NAME02.png.

    Raises:
        TypeError, ValueError: that is no number of epochs.
    """
    if not 0 < epochs <= MOST_EPOCHS:
        raise ValueError(f"{epochs} epochs")
    digits = max(2, len(str(epochs)))
    return [stem.with_name(f"{stem.name}{epoch:0{digits}d}.png") for epoch in range(1, epochs + 1)]


def inexact(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Where two runs, joined with their machines, differ in what may change the last bits: [before, now]."""
    was, here = _places(before), _places(now)
    pairs = {name: [was.get(name), here.get(name)] for name in sorted(was.keys() | here.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _places(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in _PLACES} | dict(run["versions"])
