"""Compare the time of trials in one-thread workers with that of single runs on all threads.

    python bench/trials.py DATA_DIR [FILE] [--dataset NAME] [--epochs N] [--batch-size N] [--rounds N]
        [--precision bf16]

Each round runs these commands one after the other: `trials conv`, and `train conv` with the same seeds;
`trials swa`, and `train swa` with the same seeds. A trial of swa has two arms that share epochs. As single
runs they are `train swa` and `train conv`. The ratios are of whole commands ("wall") and of training alone
("training"), medians over the rounds. `work` is the share of the epochs of both arms that a trial of swa
trains; it is 69 of 100 with the full recipe.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mnistctl import models
from mnistctl.nn.device import hardware_info
from mnistctl.training.environment import versions
from mnistctl.training.options import RunOptions
from mnistctl.trials.worker import shared_epochs

MIN_CONV_RATIO, MIN_SWA_RATIO = 1.1, 1.55  # of training; the benchmark fails below


def main() -> None:
    """Run the rounds, print the ratios, and write them to FILE, if there is one."""
    options = parse_options()
    seeds_per_round = os.cpu_count() or 1
    rounds = []
    for number in range(options.rounds):
        seeds = range(number * seeds_per_round, (number + 1) * seeds_per_round)
        rounds.append(run_round(options, seeds))
        print(json.dumps({"round": number, **compute_ratios(rounds[-1])}), flush=True)
    ratios = [compute_ratios(seconds) for seconds in rounds]
    conv, swa = (RunOptions(epochs=options.epochs).recipe(name) for name in ("conv", "swa"))
    body = {
        "command": f"python bench/trials.py --epochs {options.epochs} --rounds {options.rounds}"
        f" --precision {options.precision}",
        "machine": hardware_info() | versions(),
        "trials_per_round": seeds_per_round,
        "work": 1 - shared_epochs(conv, swa) / (2 * options.epochs),
        "work_in_full": 1 - shared_epochs(models.load("conv"), models.load("swa")) / 100,
        "ratios": {name: round(statistics.median(r[name] for r in ratios), 3) for name in ratios[0]},
        "rounds": rounds,
    }
    print(json.dumps(body["ratios"], indent=1))
    if options.file is not None:
        options.file.write_text(json.dumps(body, indent=1) + "\n")
    if body["ratios"]["conv_training"] < MIN_CONV_RATIO or body["ratios"]["swa_training"] < MIN_SWA_RATIO:
        sys.exit(f"the ratios of training are below {MIN_CONV_RATIO} (conv) or {MIN_SWA_RATIO} (swa)")


def parse_options() -> argparse.Namespace:
    """The options of this program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    return parser.parse_args()


def run_round(options: argparse.Namespace, seeds: range) -> dict[str, dict[str, float]]:
    """Seconds of the four commands, by command: of the whole command, and of training alone."""
    n = str(len(seeds))
    shared = ["--dataset", options.dataset, "--data-dir", str(options.data_dir.absolute())]
    shared += ["--epochs", str(options.epochs), "--precision", options.precision]
    shared += [] if options.batch_size is None else ["--batch-size", str(options.batch_size)]
    seconds = {}
    with tempfile.TemporaryDirectory() as out_dir:
        shared += ["--out-dir", out_dir, "--overwrite", "--name", "bench", "--json"]
        for model in ("conv", "swa"):
            trials = ["trials", model, "-n", n, "--seed", str(seeds[0]), "--workers", n, *shared]
            wall, (summary,) = run_commands([trials])
            training = summary["trial_seconds"] / len(seeds)
            seconds[f"trials {model}"] = {"wall": wall, "training": training}
            runs = [["train", model, "--seed", str(seed), "--threads", n, *shared] for seed in seeds]
            wall, records = run_commands(runs)
            training = sum(record["training_seconds"] for record in records)
            seconds[f"train {model}"] = {"wall": wall, "training": training}
    return seconds


def run_commands(commands: list[list[str]]) -> tuple[float, list[dict]]:
    """Run mnistctl commands one after the other: seconds of all, and the JSON that each printed."""
    start = time.perf_counter()
    outputs = [
        subprocess.run([sys.executable, "-m", "mnistctl", *words], check=True, capture_output=True).stdout
        for words in commands
    ]
    return time.perf_counter() - start, [json.loads(output) for output in outputs]


def compute_ratios(seconds: dict[str, dict[str, float]]) -> dict[str, float]:
    """Time of single runs divided by that of trials. For swa the single runs are those of conv and swa."""
    ratios = {}
    for kind in ("training", "wall"):
        conv, swa = seconds["train conv"][kind], seconds["train swa"][kind]
        ratios[f"conv_{kind}"] = conv / seconds["trials conv"][kind]
        ratios[f"swa_{kind}"] = (conv + swa) / seconds["trials swa"][kind]
    return {name: round(value, 3) for name, value in ratios.items()}


if __name__ == "__main__":
    main()
