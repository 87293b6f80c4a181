"""Follow the README's commands, line by line, in a fresh clone and a fresh environment.

    python tools/follow.py [FILE] [--data FOLDER]

Runs every command that stands behind a `$` there, in order, and sees that each succeeds and prints what the
README shows, figures aside: they depend on processor and clock. FILE has what each printed and how long it
took. With --data the gzipped files of that folder are served as a mirror on 127.0.0.1, for a machine that
reaches no other.
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

_NUMBER = r"[+-]?\d[\d.,]*"


def shown(readme: str) -> list[tuple[str, list[str]]]:
    """Each command behind a `$`, and the lines that the README shows of its output."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in readme.splitlines():
        if line.startswith("    $ "):
            found.append((line[6:].partition("  #")[0].rstrip(), []))
            inside = True
        elif inside and (line.startswith("    ") or not line):
            found[-1][1].append(line[4:])
        else:
            inside = False
    return [(command, _trimmed(lines)) for command, lines in found]


def like(expected: list[str], printed: str) -> bool:
    """Whether the output is what is expected: all the same but for numbers, `...` standing for any lines."""
    if not expected:
        return True
    lines = ["(?:[^\n]*\n)*?" if line.strip() == "..." else _pattern(line) + r"\s*?\n" for line in expected]
    return re.fullmatch("".join(lines), printed.rstrip() + "\n") is not None


def _pattern(line: str) -> str:
    words = [re.split(f"({_NUMBER})", word) for word in line.split()]
    texts = (
        "".join(_NUMBER if re.fullmatch(_NUMBER, part) else re.escape(part) for part in word)
        for word in words
    )
    return r"\s*" + r"\s+".join(texts)


def _trimmed(lines: list[str]) -> list[str]:
    text = "\n".join(lines).strip("\n")
    return [line for line in text.split("\n") if line.strip()] if text else []


def _printed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip())


@contextmanager
def mirror(folder: Path | None) -> Iterator[dict[str, str]]:
    """Serve the folder, if one is given, and say so to whoever runs under this environment."""
    if folder is None:
        yield {}
        return

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *told: Any) -> None:
            super().__init__(*told, directory=str(folder))

        def log_message(self, *told: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"MNISTCTL_MIRROR": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def follow(command: str, expected: list[str], place: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run one command, tell how it went, and give its row of the record."""
    began = time.perf_counter()
    script = f"[ ! -e .venv ] || . .venv/bin/activate\n{command}"
    ran = subprocess.run(["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    same = like(expected, _printed(ran.stdout))
    print(f"{seconds:7.1f} s  exit {ran.returncode}  {'as' if same else 'NOT AS'} shown  $ {command}")
    if ran.returncode or not same:
        print(ran.stdout + ran.stderr)
    output = [line.rstrip() for line in _printed(ran.stdout).splitlines()]
    about = {"command": command, "exit": ran.returncode, "as_shown": same, "seconds": round(seconds, 1)}
    return {**about, "output": output}


def main() -> None:
    """Follow the README; exit 1 where a command fails or prints something else."""
    asking = argparse.ArgumentParser()
    asking.add_argument("file", type=Path, nargs="?")
    asking.add_argument("--data", type=Path)
    asked = asking.parse_args()
    ours = "MNISTCTL_", "VIRTUAL_ENV", "PYTHONPATH"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with tempfile.TemporaryDirectory() as folder, mirror(asked.data) as served:
        clone = Path(folder) / "mnistctl"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        commands = shown((clone / "README.md").read_text())
        rows = [follow(command, expected, clone, clean | served) for command, expected in commands]
    body = {
        "command": "python tools/follow.py" + (" --data FOLDER" if asked.data else ""),
        "cores": os.cpu_count(),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "commands": rows,
    }
    print(f"{body['seconds']:7.1f} s  in all")
    if asked.file:
        asked.file.write_text(json.dumps(body, indent=1) + "\n")
    raise SystemExit(0 if all(row["as_shown"] and row["exit"] == 0 for row in rows) else 1)


if __name__ == "__main__":
    main()
