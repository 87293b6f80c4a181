"""Trials without training, for tests of what runs them: the result is a function of the seed."""

import os
import signal
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path

from mnistctl.artifacts import files
from mnistctl.errors import DivergedError, MnistctlError
from mnistctl.trials.executors import Backend
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.task import TrialResult


def stub_result(seed, model="logit", gap=0.0):
    """The result of the stub trial of this seed: an accuracy, and one image with a wrong prediction.

    The accuracies of another model than logit are above by `gap` points, and 0 to 0.2 more or less.
    """
    above = 0.0 if model == "logit" else gap + (seed * 53 % 41 - 20) / 100
    return TrialResult(
        accuracies={model: round(90 + (seed * 37 % 100) / 100 + above, 2)},
        digests={model: f"{seed:064x}"},
        mismatches={model: ((seed % 7, 3, 5),)},
        seconds=0.1,
        processor_seconds=0.1,
    )


def merge_results(results):
    """The result of a trial with these arms; each of `results` has one arm, whatever it is called."""
    fields = ("accuracies", "digests", "mismatches")
    by_arm = {f: {arm: next(iter(getattr(r, f).values())) for arm, r in results.items()} for f in fields}
    return TrialResult(**by_arm, seconds=0.1, processor_seconds=0.1)


def run_stub_trial(model, seed, settings):
    """Log the start in the data folder, obey the files there, and return the result.

    die-SEED has the number of times that the worker still dies, diverge-SEED and raise-SEED cause that
    error, `slow` has the seconds that a trial takes, and `gap` the points by which linear is above logit.
    """
    folder = Path(settings.data_dir)
    with (folder / "starts").open("a") as file:
        file.write(f"{seed} {os.getpid()}\n")
    if _dies(folder, seed):
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"diverge-{seed}").exists():
        raise DivergedError("the loss is nan")
    if (folder / f"raise-{seed}").exists():
        raise RuntimeError("out of luck")
    if (folder / "slow").exists():
        time.sleep(float((folder / "slow").read_text()))
    gap = float((folder / "gap").read_text()) if (folder / "gap").exists() else 0.0
    return stub_result(seed, model, gap)


def set_seconds(folder, seconds):
    """Let every trial that starts from now on take so many seconds; written whole, since workers read it."""
    files.write(folder / "slow", str(seconds))


def _dies(folder, seed):
    path = folder / f"die-{seed}"
    if not path.exists() or not (times := int(path.read_text())):
        return False
    path.write_text(str(times - 1))
    return True


def read_starts(folder):
    """How often the trial of each seed started, and the processes that it started in."""
    pairs = [line.split() for line in (folder / "starts").read_text().splitlines()]
    return Counter(int(seed) for seed, _ in pairs), {int(pid) for _, pid in pairs}


class InProcessExecutor(Executor):
    """Runs each task at once in this process. It breaks as often as a file die-SEED says."""

    broken = False

    def submit(self, fn, /, model, seed, settings):
        if self.broken:
            raise BrokenExecutor
        future = Future()
        if _dies(Path(settings.data_dir), seed):
            self.broken = True
            future.set_exception(BrokenExecutor("a worker died"))
            return future
        try:
            future.set_result(fn(model, seed, settings))
        except (RuntimeError, MnistctlError) as error:
            future.set_exception(error)
        return future


# The words of the command line that run trials in a thread of this process, which has loaded torch already.
IN_THREAD = ("--executor", "concurrent.futures:ThreadPoolExecutor", "--workers", "1")
IN_PROCESS = Backend(lambda device, count: [WorkerSlot(InProcessExecutor, 1, device)])


if __name__ == "__main__":  # python stubs.py WORDS...: mnistctl with stub trials
    import stubs  # under this name the workers import it

    from mnistctl.__main__ import main
    from mnistctl.trials import run

    run.run_trials.__kwdefaults__["run_trial"] = stubs.run_stub_trial
    main()
