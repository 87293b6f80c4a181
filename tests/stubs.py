"""Trials that train nothing, for tests of what runs them: a function of the seed, faults as asked for."""

import os
import signal
import time
from pathlib import Path


def outcome(seed):
    """What the stub of a trial gives: an accuracy, and one digit misread."""
    wrong = [[seed % 7, 3, 5]]
    return {"results": {"logit": 90 + (seed * 37 % 100) / 100}, "digests": {"logit": f"{seed:064x}"}} | {
        "wrong": {"logit": wrong},
        "seconds": 0.1,
        "processor_seconds": 0.1,
    }


def perform(model, seed, settings):
    """Note in the data folder that the trial began; die as often as die-SEED there says; give the outcome."""
    folder = Path(settings["data_dir"])
    with (folder / "begun").open("a") as file:
        file.write(f"{seed} {os.getpid()}\n")
    deaths = folder / f"die-{seed}"
    if deaths.exists() and (left := int(deaths.read_text())):
        deaths.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"diverge-{seed}").exists():
        return {"diverged": "the loss is nan"}
    if (folder / f"raise-{seed}").exists():
        raise RuntimeError("out of luck")
    if (folder / "slow").exists():
        time.sleep(float((folder / "slow").read_text()))
    return outcome(seed)


if __name__ == "__main__":  # python stubs.py WORDS...: mnistctl with these trials in place of real ones
    import stubs  # by the name that a worker finds it under

    from mnistctl.__main__ import main
    from mnistctl.trials import run

    run.run_trials.__kwdefaults__["perform"] = stubs.perform
    main()
