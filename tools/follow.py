"""Run the commands of README.md and docs/ in a fresh clone and compare what they print with the pages.

    python tools/follow.py [FILE] [--data FOLDER] [--update] [--wheel] [--page PAGE]

Three kinds of fenced blocks count:

- `sh`: run as one script, which must succeed. A `text` block right after it shows what it prints.
  The block that runs the tests is left to `.ci/run`.
- `console`: each line that starts with `$` is a command, and the lines below it are what it prints.
- `python`, if the line before it ends with the name of a file, as in "`net.py`:": it is written to that file.
- All other blocks are not run.

Numbers and digests may differ, since they depend on the processor and the clock; `...` stands for any lines.
Then the hints are followed: commands that fail, and what their errors say to type.

FILE receives what each command printed and how long it took. `--data` serves the gzipped files of a folder as
a mirror on 127.0.0.1, for machines without internet access. `--update` writes the numbers that were printed
into the pages of this checkout. `--wheel` installs the package's wheel in an empty folder instead, and runs
those commands of the README and of docs/own-recipes.md that need no file of the repository. `--page` follows
this page only, `--page hints` the hints; it can be repeated.
"""

import argparse
import http.server
import json
import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = "python -m pytest"
WHEEL_PAGES = "README.md", "docs/own-recipes.md"  # whose commands are for those without the repository, too
HINTS = "hints"  # in place of a page

_NUMBER = r"\b[0-9a-f]{12}\b|[+-]?\d[\d.,]*"  # or the beginning of a digest
_ANY_LINES = "(?:[^\n]*\n)*?"


@dataclass(frozen=True)
class Command:
    """A command or a script of a page, and the numbers of the page's lines that show its output."""

    script: str
    output_lines: tuple[int, ...]  # indices into the page's lines, without blank ones
    is_block: bool = False  # a whole `sh` block

    @property
    def needs_repository(self) -> bool:
        """Whether it is a block, which installs from a clone, or names a file of the repository."""
        words = shlex.split(self.script, comments=True)
        return self.is_block or any("/" in word and (ROOT / word).exists() for word in words)


@dataclass(frozen=True)
class Hint:
    """A command that fails, and values for the words in capitals in what its error says to type."""

    script: str
    values: dict[str, str] = field(default_factory=dict)


_PICTURES = "; ".join(
    f"mnistctl show --dataset sample --digit {digit} --index {index} --png pictures/{digit}/{index}.png"
    for digit in (3, 4)
    for index in (0, 100)
)
FAILING = (
    Hint("mnistctl models"),
    Hint("mnistctl version"),
    Hint("mnistctl show conv"),
    Hint("mnistctl train"),
    Hint("mnistctl predict", {"NAME": "pretrained", "FILE": "pictures/3/0.png"}),
    Hint("mnistctl train logit --dataset own --data-dir digits", {"FOLDER": "pictures", "DIR": "digits"}),
    Hint("mnistctl eval nothing", {"MODEL": "logit --dataset sample --epochs 2"}),
    Hint("mnistctl train linear --dataset sample --epochs 2 | head -1"),
    Hint("mnistctl train logit --dataset sample --epochs 1 --name logs --tensorboard"),
    Hint("mnistctl trials logit -n 2 --epochs 1 --dataset sample --workers 1 --executor dask"),
    Hint("mnistctl eval pretrained --dataset sample --onnx net.onnx"),
)


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
                commands.append(Command(script, (), is_block=True))
                previous_end = end
        elif kind == "console":
            commands += _console_commands(lines, start, end)
        elif kind == "text" and previous_end is not None and not "".join(lines[previous_end + 1 : start - 1]):
            commands[-1] = replace(commands[-1], output_lines=_without_blank(lines, start, end))
        if kind != "sh":
            previous_end = None
    return commands


def find_files(page: str) -> dict[str, str]:
    """The files that a page says to write: the `python` blocks below a line that ends with a file's name."""
    lines = page.splitlines()
    named = {}
    for kind, start, end in _fenced_blocks(lines):
        before = next((line for line in reversed(lines[: start - 1]) if line.strip()), "")
        match = re.search(r"`([\w-]+\.py)`:$", before)
        if kind == "python" and match:
            named[match[1]] = "\n".join(lines[start:end]) + "\n"
    return named


def find_hints(error: str, values: dict[str, str]) -> list[str]:
    """The commands that an error says to type, with `values` for their words in capitals."""
    commands = [*re.findall(r"`(mnistctl [^`]*)`", error), *re.findall(r"run (pip install [\w ]+)", error)]
    for word, value in values.items():
        commands = [re.sub(rf"\b{word}\b", value, command) for command in commands]
    return [command for command in commands if not re.search(r"\b[A-Z]{3,}\b", command)]


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
        "".join(f"(?:{_NUMBER})" if re.fullmatch(_NUMBER, part) else re.escape(part) for part in word)
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


def run(
    script: str, expected: list[str], folder: Path, environment: dict[str, str], *, fails: bool = False
) -> dict[str, Any]:
    """Run one command in `folder`, print how it went, and return its entry of the record.

    With `fails` it is meant to fail, and the entry has its error, too.
    """
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
    # What pip prints names the folders of the machine, and no page shows it.
    stdout = "" if script.startswith("pip ") else process.stdout
    output = [line.rstrip() for line in stdout.splitlines() if line.strip()]
    as_shown = match_output(expected, "\n".join(output)) is not None
    state = "as shown" if as_shown else "NOT AS SHOWN"
    print(f"{seconds:7.1f} s  exit {process.returncode}  {state}  $ {script}", flush=True)
    if (process.returncode and not fails) or not as_shown:
        print(process.stdout + process.stderr)
    entry = {"command": script, "exit": process.returncode, "as_shown": as_shown}
    entry |= {"seconds": round(seconds, 1), "output": output}
    return entry | {"error": process.stderr.strip()} if fails else entry


def follow_page(
    page: str, text: str, folder: Path, environment: dict[str, str], *, wheel: bool = False
) -> list[dict[str, Any]]:
    """Run the commands of one page in `folder`; with `wheel` those that need no file of the repository."""
    lines = text.splitlines()
    for name, content in find_files(text).items():
        (folder / name).write_text(content)
    return [
        {"page": page} | run(command.script, [lines[i] for i in command.output_lines], folder, environment)
        for command in find_commands(text)
        if not (wheel and command.needs_repository)
    ]


def follow_hints(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Run commands that fail, then what their errors say to type. It must succeed.

    After a `pip install`, the command that failed must succeed.
    """
    entries = [run(_PICTURES, [], folder, environment)]
    for hint in FAILING:
        failed = run(hint.script, [], folder, environment, fails=True)
        commands = find_hints(failed["error"], hint.values)
        if any(command.startswith("pip ") for command in commands):
            commands.append(hint.script)
        failed["as_shown"] = failed["exit"] != 0 and bool(commands)
        entries += [failed, *(run(command, [], folder, environment) for command in commands)]
    return [{"page": HINTS} | entry for entry in entries]


def install_wheel(clone: Path, folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Build the wheel of the clone and install it in a new virtual environment in `folder`."""
    constraints = shlex.quote(str(clone / "constraints.txt"))
    script = (
        "python3 -m venv .venv; . .venv/bin/activate; "
        f"pip wheel -q --no-deps -w {shlex.quote(str(clone / 'dist'))} {shlex.quote(str(clone))}; "
        f"pip install -q -c {constraints} torch==2.13.0; "
        f"pip install -q -c {constraints} {shlex.quote(str(clone / 'dist'))}/*.whl"
    )
    entry = run(script, [], folder, environment)
    return [{"page": "wheel"} | entry | {"command": script.replace(str(clone), "CLONE")}]


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


def follow(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Follow the pages and the hints in a temporary folder; the entries of the record."""
    ours = "MNISTCTL_", "VIRTUAL_ENV", "PYTHONPATH"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    entries = []
    with tempfile.TemporaryDirectory() as temporary, serve(options.data) as served:
        clone, empty = Path(temporary) / "mnistctl", Path(temporary) / "empty"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        empty.mkdir()
        folder, environment = (empty if options.wheel else clone), clean | served
        names = WHEEL_PAGES if options.wheel else [p.relative_to(clone).as_posix() for p in find_pages(clone)]
        if options.wheel:
            entries += install_wheel(clone, folder, environment)
        for name in names:
            text = (clone / name).read_text()
            if options.page and name not in options.page:
                if name != "README.md" or options.wheel:
                    continue
                end = text.index("\n```\n", text.index("```sh"))  # of the block that installs the package
                text = text[: end + 5]
            entries += follow_page(name, text, folder, environment, wheel=options.wheel)
        if not options.page or HINTS in options.page:
            entries += follow_hints(folder, environment)
    return entries


def succeeded(entry: dict[str, Any]) -> bool:
    """Whether a command did what the page says; a hint's first command fails, and its error says more."""
    return bool(entry["as_shown"] and (entry["exit"] == 0) != ("error" in entry))


def main() -> None:
    """Follow all pages; exit with 1 if a command fails or prints something else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--wheel", action="store_true")
    parser.add_argument("--page", metavar="PAGE", action="append")
    options = parser.parse_args()
    if options.page and (options.file or options.update):
        parser.error("--page follows a part, which is neither recorded nor written into pages")
    entries = follow(options)
    arguments = [f"records/{options.file.name}"] if options.file else []
    arguments += [
        word for word, given in (("--wheel", options.wheel), ("--data FOLDER", options.data)) if given
    ]
    record = {
        "command": " ".join(["python tools/follow.py", *arguments]),
        "cores": os.cpu_count(),
        "seconds": round(sum(entry["seconds"] for entry in entries), 1),
        "commands": entries,
    }
    print(f"in all {describe_duration(record)}")
    if options.file:
        options.file.write_text(json.dumps(record, indent=1) + "\n")
    if options.update and not options.wheel:
        for page in find_pages(ROOT):
            name = page.relative_to(ROOT).as_posix()
            own = [entry for entry in entries if entry["page"] == name]
            if own:
                text = update_page(page.read_text(), own)
                page.write_text(re.sub(r"[\d.]+ minutes on \d+ cores", describe_duration(record), text))
    raise SystemExit(0 if all(map(succeeded, entries)) else 1)


if __name__ == "__main__":
    main()
