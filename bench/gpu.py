"""Check and time mnistctl on an NVIDIA GPU, in parts that end within some minutes and can be continued.

    python bench/gpu.py PART [--data-dir DIR] [--out DIR] [--minutes N] [--device DEVICE]

    tests             tests/training/test_devices.py
    epochs            an epoch of each recipe: ours, a plain loop, and ours with TF32 and with bf16
    simple, wsimple   the recipe in full
    trials            40 pairs of swa, four at a time

A part that does not end in time is stopped. The same command continues it: `epochs` with the next recipe, a
run after its last whole epoch, trials after those that have ended. Results are written to the folder OUT.
DIR has MNIST's four files. TF32 rounds the inputs of matrix products and convolutions to 10 bits.
"""

import argparse
import itertools
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rounds import ratio
from speed import make_loops

from mnistctl import models
from mnistctl.artifacts import files
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.errors import UsageError
from mnistctl.nn.device import get_device, hardware_info, set_arithmetic
from mnistctl.training.environment import versions

ROOT = Path(__file__).parents[1]
RECIPES = ("logit", "linear", "conv", "simple", "lstm", "gan", "cgan")
ROUNDS, SECONDS = 9, 0.5  # of a loop's turn in a round
RUNS = {
    "simple": ("train", "simple"),
    "wsimple": ("train", "wsimple"),
    "trials": ("trials", "swa", "-n", "40", "--workers", "4", "--name", "trials-swa-40"),
}
PATHS = {"simple": "simple", "wsimple": "wsimple", "trials": "trials/trials-swa-40"}


def with_tf32(run: Callable[[int], None]) -> Callable[[int], None]:
    """The loop with TF32 in matrix products and convolutions."""
    places = torch.backends.cudnn, torch.backends.cuda.matmul

    def rounded(steps: int) -> None:
        for place in places:
            place.allow_tf32 = True
        try:
            run(steps)
        finally:
            for place in places:
                place.allow_tf32 = False

    return rounded


def time_epochs(name: str, digits: Digits) -> dict[str, object]:
    """Seconds of a training pass over `digits` with each loop, and ratios to ours."""
    recipe = models.load(name)
    loops = {
        loop: run for loop, run in make_loops(recipe, digits).items() if loop in ("ours", "plain", "bf16")
    }
    if digits.device.type == "cuda":
        loops["tf32"] = with_tf32(make_loops(recipe, digits)["ours"])
    most = math.ceil(len(digits) / recipe.batch_size)
    for run in loops.values():
        run(min(3, most))  # kernels are loaded with their first use
    steps = 1
    while steps < most and (seconds := _time(loops["ours"], steps)) < SECONDS:
        steps = min(most, max(2 * steps, int(steps * SECONDS / max(seconds, 1e-3))))
    times: dict[str, list[float]] = {loop: [] for loop in loops}
    for turn in range(ROUNDS):
        for loop in [*loops][:: 1 if turn % 2 else -1]:
            times[loop].append(_time(loops[loop], steps))
    return {
        "steps": steps,
        "seconds_of_an_epoch": {
            loop: round(statistics.median(each) * most / steps, 3) for loop, each in times.items()
        },
        "plain_over_ours": ratio(times["plain"], times["ours"]),
        **{
            f"ours_over_{loop}": ratio(times["ours"], times[loop])
            for loop in ("tf32", "bf16")
            if loop in times
        },
    }


def _time(run: Callable[[int], None], steps: int) -> float:
    """Seconds of so many steps. Each loop ends by reading its loss, and so waits for the device."""
    started = time.perf_counter()
    run(steps)
    return time.perf_counter() - started


def measure_epochs(options: argparse.Namespace, device: torch.device) -> bool:
    """Time the recipes that OUT/gpu-epochs.json does not have yet; return whether it has all of them."""
    path, started = options.out / "gpu-epochs.json", time.monotonic()
    body = json.loads(path.read_text()) if path.exists() else {"recipes": {}}
    body["command"] = "python bench/gpu.py epochs"
    body["machine"] = hardware_info(device) | {"torch": torch.__version__}
    digits = Digits.of(datasets.load("mnist", options.data_dir, "train")[0], device)
    longest = 0.0
    for name in itertools.filterfalse(body["recipes"].__contains__, RECIPES):
        if time.monotonic() - started + longest > 60 * options.minutes:
            return False
        begun = time.monotonic()
        body["recipes"][name] = time_epochs(name, digits)
        longest = max(longest, time.monotonic() - begun)
        print(name, json.dumps(body["recipes"][name]), flush=True)
        path.write_text(json.dumps(body, indent=1) + "\n")
    return True


def run_program(part: str, options: argparse.Namespace) -> bool:
    """Start or continue a run or trials; return whether they are finished."""
    link = options.out / "data"  # so that the command in the record has no path of this machine
    if not link.exists():
        link.symlink_to(options.data_dir)
    words = [*RUNS[part], "--device", options.device]
    path = options.out / "out" / PATHS[part]
    if any(files.with_ending(path, ending).exists() for ending in ("unfinished", "jsonl")):
        words.append("--resume")
    return _run([sys.executable, "-m", "mnistctl", *words], options.minutes, cwd=options.out) == 0


def run_tests(options: argparse.Namespace, device: torch.device) -> bool:
    """Run the tests of devices, print their report and write how each ended; return whether they passed."""
    report = options.out / "gpu-tests.txt"
    words = ["-m", "pytest", "-n", "0", "-vv", "tests/training/test_devices.py"]
    with report.open("w") as file:
        code = _run([sys.executable, *words], options.minutes, cwd=ROOT, stdout=file.fileno())
    text = report.read_text()
    print(text)
    body = {"command": "python bench/gpu.py tests", "machine": hardware_info(device) | versions()}
    path = options.out / "gpu-tests.json"
    path.write_text(json.dumps(body | {"tests": outcomes(text)}, indent=1) + "\n")
    return code == 0


def outcomes(report: str) -> dict[str, str]:
    """passed, failed or skipped, by the name of the test, in the report of `pytest -vv`."""
    found = re.findall(r"^\S+\.py::(\S+) (PASSED|FAILED|SKIPPED)", report, re.M)
    return {name: outcome.lower() for name, outcome in found}


def _run(command: list[str], minutes: float, cwd: Path, stdout: int | None = None) -> int:
    """Run the command in a folder, and stop it when the time is over; return its exit code."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "MNISTCTL_OFFLINE": "1"}
    process = subprocess.Popen(command, cwd=cwd, stdout=stdout, env=environment)
    try:
        return int(process.wait(60 * minutes))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return int(process.wait())


def main() -> None:
    """Run one part; the exit code is 1 if it is not finished or failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["tests", "epochs", *RUNS])
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gpu")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    options.data_dir, options.out = options.data_dir.resolve(), options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        device = get_device(options.device)
    except UsageError as error:
        sys.exit(str(error))
    set_arithmetic()
    if options.part == "tests":
        finished = run_tests(options, device)
    elif options.part == "epochs":
        finished = measure_epochs(options, device)
    else:
        finished = run_program(options.part, options)
    print(f"{options.part}: {'finished' if finished else 'not finished, or failed'}")
    sys.exit(0 if finished else 1)


if __name__ == "__main__":
    main()
