"""Trials by workers of one thread beside single runs of all threads: python bench/trials.py DATA_DIR [FILE].

In each round, one after the other, as a user runs them: `trials conv` and the same seeds by `train conv`;
`trials swa`, whose two columns share a stretch, and the same seeds by `train swa`, beside which conv's runs
are the regular column. The ratios are of the seconds of whole commands, and of those in training alone;
medians over the rounds. `work` is the share of its epochs that swa's trials train; in full it is 69 of 100.
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

CONV, SWA = 1.1, 1.55  # the least that the ratios of training should be


def main() -> None:
    """Run the rounds; print the ratios and, where FILE is given, write them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    asked = parser.parse_args()
    workers = os.cpu_count() or 1
    told = ["--dataset", asked.dataset, "--data-dir", str(asked.data_dir.absolute())]
    told += ["--epochs", str(asked.epochs), "--precision", asked.precision]
    told += [] if asked.batch_size is None else ["--batch-size", str(asked.batch_size)]
    rounds = []
    with tempfile.TemporaryDirectory() as place:
        told += ["--out-dir", place, "--overwrite", "--name", "bench", "--json"]
        for number in range(asked.rounds):
            first = number * workers
            rounds.append({})
            for model in ("conv", "swa"):
                many = ["trials", model, "-n", str(workers), "--seed", str(first), "--workers", str(workers)]
                wall, (body,) = timed([[*many, *told]])
                rounds[-1][f"trials {model}"] = {"wall": wall, "training": body["trial_seconds"] / workers}
                single = [
                    ["train", model, "--seed", str(seed), "--threads", str(workers), *told]
                    for seed in range(first, first + workers)
                ]
                wall, bodies = timed(single)
                seconds = sum(body["training_seconds"] for body in bodies)
                rounds[-1][f"train {model}"] = {"wall": wall, "training": seconds}
            print(json.dumps({"round": number, **ratios(rounds[-1])}), flush=True)
    every = [ratios(seconds) for seconds in rounds]
    conv, swa = (RunOptions(epochs=asked.epochs).recipe(name) for name in ("conv", "swa"))
    body = {
        "command": f"python bench/trials.py --epochs {asked.epochs} --rounds {asked.rounds}"
        f" --precision {asked.precision}",
        "machine": hardware_info() | versions(),
        "trials_a_round": workers,
        "work": 1 - shared_epochs(conv, swa) / (2 * asked.epochs),
        "work_in_full": 1 - shared_epochs(models.load("conv"), models.load("swa")) / 100,
        "ratios": {name: round(statistics.median(r[name] for r in every), 3) for name in every[0]},
        "rounds": rounds,
    }
    print(json.dumps(body["ratios"], indent=1))
    if asked.file is not None:
        asked.file.write_text(json.dumps(body, indent=1) + "\n")
    if body["ratios"]["conv_training"] < CONV or body["ratios"]["swa_training"] < SWA:
        sys.exit(f"less than {CONV} and {SWA}")


def timed(commands: list[list[str]]) -> tuple[float, list[dict]]:
    """The seconds that the commands take one after the other, and what they print."""
    began = time.perf_counter()
    printed = [
        subprocess.run([sys.executable, "-m", "mnistctl", *words], check=True, capture_output=True).stdout
        for words in commands
    ]
    return time.perf_counter() - began, [json.loads(text) for text in printed]


def ratios(seconds: dict[str, dict[str, float]]) -> dict[str, float]:
    """How many times as long single runs take: for conv, and for conv and swa apart beside swa's trials."""
    found = {}
    for kind in ("training", "wall"):
        conv, swa = seconds["train conv"][kind], seconds["train swa"][kind]
        found[f"conv_{kind}"] = conv / seconds["trials conv"][kind]
        found[f"swa_{kind}"] = (conv + swa) / seconds["trials swa"][kind]
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
