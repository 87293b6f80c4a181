"""The files that a run leaves, and what of its environment may change the last bits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.models import GENERATORS
from mnistctl.training.options import MAX_EPOCHS

_ENVIRONMENT_KEYS = ("device", "threads", "processor", "vectors", "system")  # and the versions


def describe_run(run: Mapping[str, Any]) -> str:
    """A finished run in a few words."""
    what = f"{run['model']}, {run['recipe']['epochs']} epochs, seed {run['seed']}"
    score = "" if run["model"] in GENERATORS else f", {run['accuracy']:.2f} %"
    return f"{what}{score} in {run['seconds']:.1f} s"


def output_files(stem: Path, run: Mapping[str, Any]) -> list[Path]:
    """The files of the run whose files begin with the path `stem`, the record last."""
    if run["model"] in GENERATORS:
        pictures = [*grid_paths(stem, run["recipe"]["epochs"]), files.with_ending(stem, "gif")]
    else:
        pictures = [files.with_ending(stem, "png")]
    weights, lines, told = (files.with_ending(stem, ending) for ending in ("safetensors", "jsonl", "json"))
    return [weights, lines, *pictures, told]


def grid_paths(stem: Path, epochs: int) -> list[Path]:
    """The pictures that a generator's run of so many epochs leaves, one an epoch: NAME01.png, NAME02.png.

    Raises:
        TypeError, ValueError: that is no number of epochs.
    """
    if not 0 < epochs <= MAX_EPOCHS:
        raise ValueError(f"{epochs} epochs")
    digits = max(2, len(str(epochs)))
    return [stem.with_name(f"{stem.name}{epoch:0{digits}d}.png") for epoch in range(1, epochs + 1)]


def environment_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Where two runs, joined with their machines, differ in what may change the last bits: [before, now]."""
    was, here = _environment(before), _environment(now)
    pairs = {name: [was.get(name), here.get(name)] for name in sorted(was.keys() | here.keys())}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _environment(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in _ENVIRONMENT_KEYS} | dict(run["versions"])
