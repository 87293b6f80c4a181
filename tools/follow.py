"""Run the commands of README.md and docs/ in a fresh clone and compare what they print with the pages.

    python tools/follow.py [FILE] [--data FOLDER] [--update]

Three kinds of fenced blocks count:

- `sh`: run as one script, which must succeed. A `text` block right after it shows what it prints.
  The block that runs the tests is left to `.ci/run`.
- `console`: each line that starts with `$` is a command, and the lines below it are what it prints.
- All other blocks are not run.

Numbers may differ, since they depend on the processor and the clock; `...` stands for any lines. FILE
receives what each command printed and how long it took. `--data` serves the gzipped files of a folder as a
mirror on 127.0.0.1, for machines without internet access. `--update` writes the numbers that were printed
into the pages of this checkout.
"""

import argparse
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = "python -m pytest"

_NUMBER = r"[+-]?\d[\d.,]*"
_ANY_LINES = "(?:[^\n]*\n)*?"


@dataclass(frozen=True)
class Command:
    """A command or a script of a page, and the numbers of the page's lines that show its output."""

    script: str
    output_lines: tuple[int, ...]  # indices into the page's lines, without blank ones


def find_pages(root: Path) -> list[Path]:
    """README.md and the pages in docs/."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def find_commands(page: str) -> list[Command]:
    """The commands of a page, in order."""
    commands: list[Command] = []
    lines = page.splitlines()
    previous_end = None  # index of the line that closed the last `sh` block
    for kind, start, end in _fenced_blocks(lines):
        if kind == "sh":
            script = "\n".join(lines[start:end])
            if TESTS not in script:
                commands.append(Command(script, ()))
                previous_end = end
        elif kind == "console":
            commands += _console_commands(lines, start, end)
        elif kind == "text" and previous_end is not None and not "".join(lines[previous_end + 1 : start - 1]):
            commands[-1] = Command(commands[-1].script, _without_blank(lines, start, end))
        if kind != "sh":
            previous_end = None
    return commands


def _fenced_blocks(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Language, first line and closing fence of each fenced block."""
    start, kind = None, ""
    for index, line in enumerate(lines):
        if line.startswith("```"):
            if start is None:
                start, kind = index + 1, line[3:].strip()
            else:
                yield kind, start, index
                start = None


def _console_commands(lines: list[str], start: int, end: int) -> Iterator[Command]:
    starts = [index for index in range(start, end) if lines[index].startswith("$ ")]
    for first, following in zip(starts, [*starts[1:], end], strict=True):
        script = lines[first][2:].partition("  #")[0].rstrip()
        yield Command(script, _without_blank(lines, first + 1, following))


def _without_blank(lines: list[str], start: int, end: int) -> tuple[int, ...]:
    return tuple(index for index in range(start, end) if lines[index].strip())


def match_output(expected: list[str], printed: str) -> list[str] | None:
    """The expected lines with the numbers that were printed, or None if something else was printed.

    All must be equal except numbers and white space; `...` stands for any lines.
    """
    if not expected:
        return []
    pattern = "".join(
        _ANY_LINES if line.strip() == "..." else f"({_line_pattern(line)}" + r"\s*?)\n" for line in expected
    )
    match = re.fullmatch(pattern, printed.rstrip() + "\n")
    if match is None:
        return None
    printed_lines = iter(match.groups())
    return [line if line.strip() == "..." else next(printed_lines).rstrip() for line in expected]


def _line_pattern(line: str) -> str:
    words = [re.split(f"({_NUMBER})", word) for word in line.split()]
    texts = (
        "".join(_NUMBER if re.fullmatch(_NUMBER, part) else re.escape(part) for part in word)
        for word in words
    )
    return r"[^\S\n]*" + r"[^\S\n]+".join(texts)


@contextmanager
def serve(folder: Path | None) -> Iterator[dict[str, str]]:
    """Serve the files of `folder` as a mirror; yields the environment variables that name it."""
    if folder is None:
        yield {}
        return

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"MNISTCTL_MIRROR": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def run(script: str, expected: list[str], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run one command in `folder`, print how it went, and return its entry of the record."""
    start = time.perf_counter()
    activated = f"[ ! -e .venv ] || . .venv/bin/activate\n{script}"
    process = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", activated],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    output = [line.rstrip() for line in process.stdout.splitlines() if line.strip()]
    as_shown = match_output(expected, "\n".join(output)) is not None
    state = "as shown" if as_shown else "NOT AS SHOWN"
    print(f"{seconds:7.1f} s  exit {process.returncode}  {state}  $ {script}", flush=True)
    if process.returncode or not as_shown:
        print(process.stdout + process.stderr)
    entry = {"command": script, "exit": process.returncode, "as_shown": as_shown}
    return entry | {"seconds": round(seconds, 1), "output": output}


def follow_page(page: Path, clone: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Run the commands of one page of the clone."""
    text = page.read_text()
    lines = text.splitlines()
    return [
        {"page": page.relative_to(clone).as_posix()}
        | run(command.script, [lines[i] for i in command.output_lines], clone, environment)
        for command in find_commands(text)
    ]


def update_page(text: str, entries: list[dict[str, Any]]) -> str:
    """The page with the numbers that its commands printed."""
    lines = text.splitlines()
    for command, entry in zip(find_commands(text), entries, strict=True):
        printed = match_output([lines[i] for i in command.output_lines], "\n".join(entry["output"]))
        for index, line in zip(command.output_lines, printed or [], strict=False):
            lines[index] = line
    return "\n".join(lines) + "\n"


def describe_duration(record: dict[str, Any]) -> str:
    """How long all commands took, as the README says it."""
    return f"{record['seconds'] / 60:.1f} minutes on {record['cores']} cores"


def main() -> None:
    """Follow all pages; exit with 1 if a command fails or prints something else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    ours = "MNISTCTL_", "VIRTUAL_ENV", "PYTHONPATH"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    entries = []
    with tempfile.TemporaryDirectory() as folder, serve(options.data) as served:
        clone = Path(folder) / "mnistctl"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for page in find_pages(clone):
            entries += follow_page(page, clone, clean | served)
    record = {
        "command": "python tools/follow.py records/readme.json" + (" --data FOLDER" if options.data else ""),
        "cores": os.cpu_count(),
        "seconds": round(sum(entry["seconds"] for entry in entries), 1),
        "commands": entries,
    }
    print(f"in all {describe_duration(record)}")
    if options.file:
        options.file.write_text(json.dumps(record, indent=1) + "\n")
    if options.update:
        for page in find_pages(ROOT):
            name = page.relative_to(ROOT).as_posix()
            own = [entry for entry in entries if entry["page"] == name]
            if own:
                text = update_page(page.read_text(), own)
                page.write_text(re.sub(r"[\d.]+ minutes on \d+ cores", describe_duration(record), text))
    raise SystemExit(0 if all(entry["as_shown"] and entry["exit"] == 0 for entry in entries) else 1)


if __name__ == "__main__":
    main()
