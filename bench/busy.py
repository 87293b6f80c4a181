"""Time a training step of each recipe on a quiet machine and beside other processes.

    python bench/busy.py [--rounds N] [--out FILE] [RECIPE ...]

Three processes take turns, so that other work slows them equally. Each takes steps of every recipe with

    spinning    torch's own settings: a thread per core, and threads that wait keep their core for long
    sleeping    a thread per core, and threads that wait sleep at once (OMP_WAIT_POLICY=PASSIVE)
    ours        what `mnistctl train` uses: threads that soon sleep, and the recipe's own number of them

In every second turn, as many processes as this machine has cores run an endless loop. They are stopped in
between. The result has the median time of a step, and the median ratios of turns of the same round.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from rounds import ratio

import mnistctl.__main__
from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.models.recipe import GanRecipe
from mnistctl.nn.cores import available_cores
from mnistctl.nn.device import hardware_info, set_threads, tune_malloc
from mnistctl.training import gan
from mnistctl.training.classifier import ClassifierTraining, iterate_batches, train_step
from mnistctl.training.config import default_threads

CPU = torch.device("cpu")
STEPS = {"logit": 50, "linear": 10, "conv": 1, "simple": 1, "lstm": 1, "gan": 1, "cgan": 1}  # per turn
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "spinning": {},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
    "ours": {"GOMP_SPINCOUNT": mnistctl.__main__.SPINS},
}
VARIANTS = tuple(ENVIRONMENTS)
EVERY = 10  # rounds, in one of which `spinning` takes its turn on a busy machine
Times = dict[int, float]  # seconds by round
STATES = ("quiet", "busy")
WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_NUM_THREADS")


def batches_of(name: str, digits: Digits) -> tuple[Callable[[], Iterator[object]], int]:
    """A function that trains a recipe for one epoch, yielding after each step; its default of threads."""
    recipe = models.load(name)
    threads = default_threads(recipe) or available_cores()
    if isinstance(recipe, GanRecipe):
        adversarial = gan.GanTraining(recipe, 0, CPU)
        order = torch.randperm(len(digits))
        pairs = lambda: digits.batches(order, recipe.batch_size)  # noqa: E731
        return lambda: (gan.train_step(adversarial, x, y) for x, y in pairs()), threads
    training = ClassifierTraining(recipe, 0, CPU)
    training.net.train()
    return lambda: (train_step(training, x, y) for x, y in iterate_batches(training, digits, 1)), threads


def serve(variant: str, names: list[str]) -> None:
    """Take the steps of the recipes that the lines of stdin name, and print the seconds of each."""
    tune_malloc()
    arrays, _ = datasets.load("sample", None, "train")
    digits = Digits.of(arrays, CPU)
    loops = {name: batches_of(name, digits) for name in names}
    for line in itertools.chain(names, sys.stdin):  # each once to warm up
        epoch, threads = loops[line.strip()]
        set_threads(threads if variant == "ours" else available_cores())
        steps = itertools.chain.from_iterable(iter(epoch, None))
        start = time.perf_counter()
        for _ in itertools.islice(steps, STEPS[line.strip()]):
            pass
        print(time.perf_counter() - start, flush=True)


def start(variant: str, names: list[str], stack: ExitStack) -> "subprocess.Popen[str]":
    """A process that serves a variant, warmed up."""
    environment = {k: v for k, v in os.environ.items() if k not in WAIT_SETTINGS}
    environment |= ENVIRONMENTS[variant]
    process = subprocess.Popen(
        [sys.executable, __file__, *names, "--serve", variant],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    for _ in names:
        process.stdout.readline()
    return process


def measure(names: list[str], rounds: int) -> dict[str, dict[str, dict[str, Times]]]:
    """Seconds of a step by recipe, state of the machine, variant and round."""
    seconds: dict[str, dict[str, dict[str, Times]]] = {
        name: {state: {variant: {} for variant in VARIANTS} for state in STATES} for name in names
    }
    with ExitStack() as stack:
        processes = {variant: start(variant, names, stack) for variant in VARIANTS}
        loop = [sys.executable, "-c", "while True: pass"]
        others = [subprocess.Popen(loop) for _ in range(available_cores())]
        for other in others:
            stack.callback(other.kill)
        for turn, state in itertools.product(range(rounds), STATES):
            for other in others:
                other.send_signal(signal.SIGCONT if state == "busy" else signal.SIGSTOP)
            time.sleep(0.05)
            for name in names:
                for variant in VARIANTS[turn % 3 :] + VARIANTS[: turn % 3]:
                    if (state, variant) == ("busy", "spinning") and turn % EVERY:
                        continue  # a step takes seconds
                    process = processes[variant]
                    assert process.stdin is not None and process.stdout is not None
                    process.stdin.write(name + "\n")
                    process.stdin.flush()
                    took = float(process.stdout.readline())
                    seconds[name][state][variant][turn] = took / STEPS[name]
    return seconds


def compare(slow: Times, fast: Times) -> dict[str, float]:
    """The ratio of the times of the rounds that both have."""
    rounds = sorted(slow.keys() & fast.keys())
    return ratio([slow[turn] for turn in rounds], [fast[turn] for turn in rounds])


def summarize(times: dict[str, dict[str, Times]]) -> dict[str, object]:
    """The result of one recipe: `times` by state and variant."""
    return {
        "milliseconds_of_a_step": {
            state: {v: round(1e3 * statistics.median(s.values()), 3) for v, s in by_variant.items()}
            for state, by_variant in times.items()
        },
        "busy_over_quiet": {v: compare(times["busy"][v], times["quiet"][v]) for v in VARIANTS},
        "quiet_ours_over_spinning": compare(times["quiet"]["ours"], times["quiet"]["spinning"]),
        "busy_spinning_over_ours": compare(times["busy"]["spinning"], times["busy"]["ours"]),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", choices=VARIANTS)
    options = parser.parse_intermixed_args()
    if options.serve:
        serve(options.serve, options.recipes)
        return
    times = measure(options.recipes, options.rounds)
    body = {
        "command": f"python bench/busy.py --rounds {options.rounds} {' '.join(options.recipes)}",
        "machine": hardware_info() | {"torch": torch.__version__},
        "rounds": options.rounds,
        "environments": ENVIRONMENTS,
        "threads": {name: default_threads(models.load(name)) or available_cores() for name in times},
        "recipes": {name: summarize(by_state) for name, by_state in times.items()},
    }
    print(json.dumps(body, indent=1))
    if options.out:
        options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
