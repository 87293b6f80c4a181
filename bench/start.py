"""Time how a short run starts, beside `import torch`: python bench/start.py [FILE].

Processes take turns: `python -c "import torch"`; `mnistctl train --list`, which does not load torch; and
`mnistctl train logit` for one epoch of the sample, as it is and with torch's compiler loaded first, as torch
does when an optimizer is made in the ordinary way. Of a run, the time is taken when it prints the heading of
its epochs, the row of the first epoch, and at its end.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mnistctl.nn.device import hardware_info

ROUNDS = 10
RUN = "import sys; from mnistctl.__main__ import main; sys.argv = ['mnistctl', *sys.argv[1:]]; main()"
TRAIN = ("train", "logit", "--dataset", "sample", "--epochs", "1")
PROCESSES: dict[str, tuple[str, ...]] = {
    "import torch": ("import torch",),
    "train --list": (RUN, "train", "--list"),
    "train": (RUN, *TRAIN),
    "train with the compiler": (f"import torch._dynamo; {RUN}", *TRAIN),
}
LINES = {"epoch  ": "first epoch begins", "    1  ": "first epoch ends"}  # by how a line of a run begins


def time_process(code: str, *arguments: str) -> dict[str, float]:
    """Seconds from the start of a process to each of LINES and to its end."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"MNISTCTL_OUT_DIR": folder, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        for line in process.stdout:
            for beginning, name in LINES.items():
                if line.startswith(beginning) and name not in seconds:
                    seconds[name] = time.perf_counter() - started
        if process.wait():
            raise SystemExit(process.communicate()[1])
    return seconds | {"end": time.perf_counter() - started}


def main() -> None:
    """Time all in turn; print and write the medians and the median ratios to `import torch`."""
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, process in PROCESSES.items():
            for what, seconds in time_process(*process).items():
                times.setdefault(name if what == "end" else f"{name}: {what}", []).append(seconds)
    body = {
        "command": "python bench/start.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": ROUNDS,
        "seconds": {name: round(statistics.median(seconds), 2) for name, seconds in times.items()},
        "times_as_long_as_import_torch": {
            name: round(
                statistics.median(
                    one / base for one, base in zip(seconds, times["import torch"], strict=True)
                ),
                2,
            )
            for name, seconds in times.items()
        },
        "times_as_long_with_the_compiler": round(
            statistics.median(
                slow / fast
                for slow, fast in zip(times["train with the compiler"], times["train"], strict=True)
            ),
            2,
        ),
    }
    print(json.dumps(body, indent=1))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
