"""Time the Fréchet distance of 10,000 images by NumPy and by torch, alone and beside other processes.

    python bench/frechet.py [--rounds N] [--out FILE]

Each turn is a new process. It computes the covariance of a resample of 10,000 random features of 500 values,
and its distance from another one, as `mnistctl eval` does, five times:

    numpy    with NumPy's linear algebra, which has threads of its own
    ours     `mean_and_covariance` and `frechet_distance` of mnistctl/evaluation/fidelity.py

In every second pair of turns, as many processes as this machine has cores run an endless loop, in a session
of their own, as those of another terminal are. They are stopped in between. The result has the times of one
distance, and the median ratios of turns of the same round.
"""

import argparse
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from busy import STATES, WAIT_SETTINGS
from rounds import ratio

import mnistctl.__main__
from mnistctl.evaluation.fidelity import frechet_distance, mean_and_covariance
from mnistctl.nn.cores import available_cores
from mnistctl.nn.device import hardware_info, set_threads

VARIANTS = ("numpy", "ours")
IMAGES, FEATURES = 10_000, 500
TIMES = 5  # per turn


def numpy_gaussian(features: torch.Tensor, weights: Any) -> tuple[Any, Any]:
    """The mean and the covariance of features [N, F], each row counted as often as its weight, [N]."""
    values = features.numpy().astype(np.float64)
    mean = weights @ values / weights.sum()
    centred = values - mean
    return mean, (centred.T * weights) @ centred / (weights.sum() - 1)


def numpy_distance(a: tuple[Any, Any], b: tuple[Any, Any]) -> float:
    """The squared Fréchet distance, as `frechet_distance` has it."""
    (mean_a, covariance_a), (mean_b, covariance_b) = a, b
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    traces = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(eigenvalues.clip(0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + traces)


def compute(variant: str) -> None:
    """Compute distances, and print the seconds of one and its value."""
    set_threads(None)
    features = torch.randn(IMAGES, FEATURES, generator=torch.Generator().manual_seed(0)).relu()
    ours = variant == "ours"
    describe: Any = mean_and_covariance if ours else numpy_gaussian
    compare: Any = frechet_distance if ours else numpy_distance
    other = describe(features[: IMAGES // 2], np.ones(IMAGES // 2))
    weights = np.random.default_rng(0).multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES)).astype(np.float64)
    start = time.perf_counter()
    for _ in range(TIMES):
        distance = compare(describe(features, weights), other)
    print(json.dumps([(time.perf_counter() - start) / TIMES, distance]))


def measure(rounds: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """(seconds, distance) of each round, by state of the machine and variant."""
    results: dict[str, dict[str, list[tuple[float, float]]]] = {
        state: {variant: [] for variant in VARIANTS} for state in STATES
    }
    environment = {k: v for k, v in os.environ.items() if k not in WAIT_SETTINGS}
    environment["GOMP_SPINCOUNT"] = mnistctl.__main__.SPINS
    loop = f"{shlex.quote(sys.executable)} -c 'while True: pass' & "
    others = subprocess.Popen(["sh", "-c", f"{loop * available_cores()}wait"], start_new_session=True)
    try:
        time.sleep(1)
        for turn, state in itertools.product(range(rounds), STATES):
            os.killpg(others.pid, signal.SIGCONT if state == "busy" else signal.SIGSTOP)
            for variant in VARIANTS[:: 1 if turn % 2 else -1]:
                words = [sys.executable, __file__, "--compute", variant]
                printed = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True).stdout
                results[state][variant].append(tuple(json.loads(printed)))
    finally:
        os.killpg(others.pid, signal.SIGKILL)
    return results


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--compute", choices=VARIANTS)
    options = parser.parse_args()
    if options.compute:
        compute(options.compute)
        return
    results = measure(options.rounds)
    seconds = {
        state: {variant: [time for time, _ in rows] for variant, rows in by_variant.items()}
        for state, by_variant in results.items()
    }
    body = {
        "command": f"python bench/frechet.py --rounds {options.rounds}",
        "machine": hardware_info() | {"torch": torch.__version__, "numpy": np.__version__},
        "images": IMAGES,
        "features": FEATURES,
        "rounds": options.rounds,
        "distances": {variant: results["quiet"][variant][0][1] for variant in VARIANTS},
        "seconds": {
            state: {variant: [round(time, 3) for time in times] for variant, times in by_variant.items()}
            for state, by_variant in seconds.items()
        },
        "numpy_over_ours": {
            state: ratio(seconds[state]["numpy"], seconds[state]["ours"]) for state in STATES
        },
        "busy_over_quiet": {v: ratio(seconds["busy"][v], seconds["quiet"][v]) for v in VARIANTS},
    }
    print(json.dumps(body, indent=1))
    if options.out:
        options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
