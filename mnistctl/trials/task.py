"""What a worker receives and what it sends back. This module does not load torch."""

from collections.abc import Callable
from dataclasses import dataclass

from mnistctl.schema import Schema


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What a worker needs to know besides the model and the seed.

    Args:
        epochs, batch_size, lr: None means: as the recipe has it.
        precision: "float32" or "bf16".
        dataset: name of the data set.
        data_dir: folder of data sets, an absolute path.
        device: device to train on.
        sha256: checksums of the data set's files, which must be the same for the worker.
        versions: versions of mnistctl, torch, numpy and Python, which must be the same for the worker.
    """

    epochs: int | None
    batch_size: int | None
    lr: float | None
    precision: str
    dataset: str
    data_dir: str
    device: str
    sha256: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrialResult(Schema):
    """What a worker sends back. The first three fields have one entry for each arm.

    Args:
        accuracies: test accuracy in percent.
        digests: digest of the final weights.
        mismatches: (index, true digit, predicted digit) of each test image with a wrong prediction.
        seconds: wall-clock time of training and evaluation.
        processor_seconds: processor time of training and evaluation.
        machine: hardware and system of the worker; None if it is the one in the journal's header.
    """

    accuracies: dict[str, float]
    digests: dict[str, str]
    mismatches: dict[str, tuple[tuple[int, int, int], ...]]
    seconds: float
    processor_seconds: float | None = None
    machine: dict[str, str | int] | None = None

    def __post_init__(self) -> None:
        if not self.accuracies.keys() == self.digests.keys() == self.mismatches.keys():
            raise ValueError("accuracies, digests and mismatches are of different arms")
        for arm, accuracy in self.accuracies.items():
            if isinstance(accuracy, float) and not 0 <= accuracy <= 100:  # nan is not, either
                raise ValueError(f"accuracies.{arm}: {accuracy} is not from 0 to 100")


RunTrial = Callable[[str, int, TrialSettings], TrialResult]  # model, seed, settings
