"""Follow the README's quick start, line by line, in a fresh clone and a fresh environment.

    python tools/follow.py [FILE]

Runs every command that stands behind a `$` there, in order, and sees that each succeeds and prints what the
README shows, figures aside: they depend on processor and clock. FILE has how long each took.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


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
    words = [re.split(r"(\d[\d.,]*)", word) for word in line.split()]
    number = r"\d[\d.,]*"
    texts = (
        "".join(number if re.fullmatch(number, part) else re.escape(part) for part in word) for word in words
    )
    return r"\s*" + r"\s+".join(texts)


def _trimmed(lines: list[str]) -> list[str]:
    text = "\n".join(lines).strip("\n")
    return [line for line in text.split("\n") if line.strip()] if text else []


def _printed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip())


def main() -> None:
    """Follow the README; exit 1 where a command fails or prints something else."""
    rows, bad = [], 0
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MNISTCTL_", "VIRTUAL_ENV"))
    }
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "mnistctl"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for command, expected in shown((clone / "README.md").read_text()):
            began = time.perf_counter()
            script = f"[ ! -e .venv ] || . .venv/bin/activate\n{command}"
            ran = subprocess.run(["bash", "-c", script], cwd=clone, env=clean, capture_output=True, text=True)
            seconds = time.perf_counter() - began
            same = like(expected, _printed(ran.stdout))
            rows.append(
                {"command": command, "exit": ran.returncode, "as_shown": same, "seconds": round(seconds, 1)}
            )
            verdict = "as shown" if same else "NOT AS SHOWN"
            print(f"{seconds:7.1f} s  exit {ran.returncode}  {verdict}  $ {command}")
            if ran.returncode or not same:
                bad += 1
                print(ran.stdout + ran.stderr)
    body = {
        "command": "python tools/follow.py",
        "cores": os.cpu_count(),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "commands": rows,
    }
    print(f"{body['seconds']:7.1f} s  in all")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(body, indent=1) + "\n")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
