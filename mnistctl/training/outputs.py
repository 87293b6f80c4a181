"""The files that a run leaves, and their paths."""

import json
from collections.abc import Iterable
from pathlib import Path

from mnistctl.artifacts import files


def output_files(run_path: Path, generator: bool, epochs: int) -> list[Path]:
    """The files of a finished run over so many epochs, of a generator or not; the record is the last one."""
    if generator:
        images = [*grid_paths(run_path, epochs), files.with_ending(run_path, "gif")]
    else:
        images = [files.with_ending(run_path, "png")]
    weights, log, record = (
        files.with_ending(run_path, ending) for ending in ("safetensors", "jsonl", "json")
    )
    return [weights, log, *images, record]


def grid_paths(run_path: Path, epochs: int) -> list[Path]:
    """The images that a GAN's run leaves, one for each epoch: NAME01.png, NAME02.png."""
    digits = max(2, len(str(epochs)))
    return [run_path.with_name(f"{run_path.name}{epoch:0{digits}d}.png") for epoch in range(1, epochs + 1)]


def write_log(run_path: Path, rows: Iterable[object]) -> None:
    """Write the log of a run, NAME.jsonl: a JSON object per line.

    Raises:
        OutputError: the file cannot be written.
    """
    files.write(files.with_ending(run_path, "jsonl"), "".join(json.dumps(row) + "\n" for row in rows))
