"""The settings of trials of a user's own digits, as the program makes them."""

from mnistctl.data import datasets
from mnistctl.training.environment import versions
from mnistctl.trials.task import TrialSettings


def make_settings(own, **changes):
    """Settings of six epochs on the digits in the folder `own`."""
    checksums = {}
    for split in ("train", "test"):
        checksums |= datasets.load("own", own, split)[1]
    defaults = {
        "epochs": 6,
        "batch_size": 100,
        "lr": None,
        "precision": "float32",
        "dataset": "own",
        "data_dir": str(own),
        "device": "cpu",
        "sha256": checksums,
        "versions": versions(),
    }
    return TrialSettings(**defaults | changes)
