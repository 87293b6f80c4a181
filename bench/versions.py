"""Time the training steps and the scoring of every model with this version and with an earlier one.

    python bench/versions.py FOLDER [--precision bf16] [--threads N] [--rounds N] [--out FILE] [MODEL ...]

FOLDER is a checkout of the earlier version (after the folders `training/` and `nn/` came to be). Each version
has a process of its own, with the threads and the wait policy that its `mnistctl train` uses. They take
turns, so that other work slows both equally. The result has, for each model, the median times, the median
ratio of the rounds with its interval, and the largest memory of a process that trains and scores it. The time
of an epoch of MNIST is that of its steps and of scoring 10,000 digits.
"""

import argparse
import inspect
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

from rounds import ratio

ROOT = Path(__file__).parents[1]
STEPS = {"logit": 600, "linear": 100, "conv": 2, "simple": 1, "lstm": 10, "gan": 2, "cgan": 2}  # per turn
SCORED = {"logit": 5000, "linear": 5000, "conv": 1000, "simple": 500, "lstm": 1000}  # images per turn
VERSIONS = ("before", "now")
Work = Callable[[], object]


def endless_steps(name: str, precision: str) -> tuple[Iterator[object], Work | None, int | None]:
    """Training steps of a model on the sample, a scoring of some images, and the model's own threads."""
    import torch

    from mnistctl import models
    from mnistctl.data import datasets
    from mnistctl.data.batches import Digits
    from mnistctl.evaluation.metrics import compute_score
    from mnistctl.models.recipe import GanRecipe
    from mnistctl.training import classifier, config, gan

    cpu = torch.device("cpu")
    recipe, digits = models.load(name), Digits.of(datasets.load("sample", None, "train")[0], cpu)
    default = getattr(config, "default_threads", None)  # the earlier version had one thread per core
    threads = default(recipe) if default else None
    # The earlier version took the recipe in each call, although the training was made of it.
    passed = (recipe,) if "recipe" in inspect.signature(gan.train_step).parameters else ()
    if isinstance(recipe, GanRecipe):
        adversarial = gan.GanTraining(recipe, 0, cpu, precision=precision)
        order = torch.arange(len(digits))
        pairs = itertools.chain.from_iterable(
            digits.batches(order, recipe.batch_size) for _ in itertools.count()
        )
        return (gan.train_step(adversarial, *passed, x, y) for x, y in pairs), None, threads
    training = classifier.ClassifierTraining(recipe, 0, cpu, precision=precision)
    some = Digits(digits.images[: SCORED[name]], digits.labels[: SCORED[name]])
    batches = itertools.chain.from_iterable(
        classifier.iterate_batches(training, *passed, digits, epoch) for epoch in itertools.count(1)
    )

    def steps() -> Iterator[object]:
        for x, y in batches:
            training.net.train()
            yield classifier.train_step(training, *passed, x, y)

    def score() -> object:
        # As `fit` does after an epoch. The earlier version scored in float32 whatever the precision was.
        with training.autocast() if hasattr(training, "in_float32") else nullcontext():
            return compute_score(training.net, some)

    return steps(), score, threads


def serve(name: str, precision: str, threads: int | None) -> None:
    """For each line of stdin, take steps and score; print the seconds of a step and of an image as JSON."""
    from mnistctl.nn.device import tune_malloc

    tune_malloc()
    steps, score, default = endless_steps(name, precision)
    threads = threads or default
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    for _ in itertools.chain([None], sys.stdin):  # once to warm up
        times = []
        for work, count in (
            (lambda: list(itertools.islice(steps, STEPS[name])), STEPS[name]),
            (score, SCORED.get(name)),
        ):
            started = time.perf_counter()
            times.append(
                None
                if work is None or count is None
                else (work(), (time.perf_counter() - started) / count)[1]
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([*times, peak]), flush=True)


def start(
    version: str, folder: Path, name: str, settings: list[str], stack: ExitStack
) -> "subprocess.Popen[str]":
    """The process of one version, warmed up."""
    from mnistctl.__main__ import SPINS  # which the earlier version lacks

    environment = dict(os.environ, PYTHONPATH=str(folder.resolve()))
    for variable in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        environment.pop(variable, None)
    if version == "now":
        environment["GOMP_SPINCOUNT"] = SPINS
    command = [sys.executable, __file__, str(folder), "--serve", name, *settings]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, cwd=folder)
    stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def measure(name: str, settings: list[str], folders: dict[str, Path], rounds: int) -> dict[str, object]:
    """The result of one model."""
    times: dict[str, list[list[float]]] = {version: [] for version in VERSIONS}
    with ExitStack() as stack:
        processes = {v: start(v, folder, name, settings, stack) for v, folder in folders.items()}
        for turn in range(rounds):
            for version in VERSIONS[:: 1 if turn % 2 else -1]:
                process = processes[version]
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write("\n")
                process.stdin.flush()
                times[version].append(json.loads(process.stdout.readline()))
    body: dict[str, object] = {"peak_mib": {v: round(max(each[2] for each in times[v])) for v in VERSIONS}}
    for place, (what, unit) in enumerate((("step", 1e3), ("scoring", 1e6))):
        seconds = {v: [each[place] for each in times[v]] for v in VERSIONS}
        if None not in seconds["now"]:
            key = "milliseconds_of_a_step" if what == "step" else "microseconds_of_a_scored_image"
            body[key] = {v: round(unit * statistics.median(seconds[v]), 3) for v in VERSIONS}
            body[f"{what}_before_over_now"] = ratio(seconds["before"], seconds["now"], digits=3)
    if name in SCORED:
        from mnistctl import models

        steps = math.ceil(60_000 / models.load(name).batch_size)
        epochs = {v: [steps * step + 10_000 * score for step, score, _ in times[v]] for v in VERSIONS}
        body["seconds_of_an_epoch"] = {v: round(statistics.median(epochs[v]), 3) for v in VERSIONS}
        body["epoch_before_over_now"] = ratio(epochs["before"], epochs["now"], digits=3)
    return body


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, help="for both versions, instead of their own number")
    parser.add_argument("--serve")
    options = parser.parse_intermixed_args()
    if options.serve:
        serve(options.serve, options.precision, options.threads)
        return
    settings = ["--precision", options.precision]
    if options.threads:
        settings += ["--threads", str(options.threads)]
    from mnistctl.nn.device import hardware_info

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=options.folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    body = {
        "command": f"python bench/versions.py FOLDER {' '.join(settings)} "
        f"--rounds {options.rounds} {' '.join(options.models)}",
        "before": commit,
        "machine": hardware_info(),
    }
    results: dict[str, object] = {}
    folders = {"before": options.folder.resolve(), "now": ROOT}
    for name in options.models:
        results[name] = measure(name, settings, folders, options.rounds)
        print(name, json.dumps(results[name]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(body | {"models": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
