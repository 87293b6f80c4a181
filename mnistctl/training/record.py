"""The record of a finished run, NAME.json: the settings of the run, its results, and the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from mnistctl.artifacts import json_file
from mnistctl.artifacts.bounds import Count, Digest, Digit, Percent, Seconds
from mnistctl.data.holdout import HeldOut
from mnistctl.data.training_set import DigitStyle
from mnistctl.errors import CheckpointError
from mnistctl.models.sources import Origin
from mnistctl.models.summary import RecipeSummary
from mnistctl.nn.schedules import MAX_EPOCHS
from mnistctl.nn.seeding import MAX_SEED
from mnistctl.schema import Schema
from mnistctl.training.events import AveragedWeights
from mnistctl.training.machine import MachineInfo

Precision = Annotated[str, Meta(pattern="^(float32|bf16)$")]
Change = tuple[str | int | None, str | int | None]  # a value before and now; None where it is missing


@dataclass(frozen=True, kw_only=True)
class DatasetFiles(Schema):
    """A data set: its name, and the SHA-256 of each of its unpacked files."""

    name: str
    sha256: dict[str, Digest]


@dataclass(frozen=True, kw_only=True)
class RunSettings(Schema):
    """All that determines the bits of a run, except for the machine.

    Args:
        model: the model's name.
        recipe: the recipe that the options gave.
        seed: random seed.
        device: torch's name of the device.
        threads: number of processor threads.
        precision: "float32" or "bf16".
        dataset: the data set.
        versions: version of mnistctl and of each package that computes.
        origin: where the recipe came from, and what was changed in it; None for a shipped recipe.
        initial_weights: SHA-256 of the weights that the training started from; None for random ones.
        holdout: the training digits that were scored in the place of the test digits; None for none.
    """

    model: str
    recipe: RecipeSummary
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    device: Annotated[str, Meta(pattern="^(cpu|mps|cuda(:[0-9]+)?)$")]
    threads: Annotated[int, Meta(ge=1)]
    precision: Precision
    dataset: DatasetFiles
    versions: dict[str, str]
    origin: Origin | None = None
    initial_weights: str | None = None
    holdout: HeldOut | None = None

    @property
    def generator(self) -> bool:
        """Whether the run trains a generator."""
        return self.recipe.conditional is not None

    def __post_init__(self) -> None:
        if not 1 <= self.recipe.epochs <= MAX_EPOCHS:
            raise ValueError(f"recipe.epochs: {self.recipe.epochs} is not from 1 to {MAX_EPOCHS}")
        _check_length("recipe.lr_schedule", self.recipe.lr_schedule, self.recipe.epochs)


@dataclass(frozen=True, kw_only=True)
class Mismatch(Schema):
    """A scored image with a wrong prediction: its index, its true digit and the predicted one."""

    index: Count
    true: Digit
    predicted: Digit


@dataclass(frozen=True, kw_only=True)
class RunMetrics(Schema):
    """The results of a run. A field of the other kind of model is None.

    Args:
        losses: training loss of each epoch, the mean over its batches.
        test_losses: cross entropy on the test images after each epoch; None with held-out digits.
        validation_losses: likewise on the held-out digits; None without.
        accuracies: accuracy on the same images after each epoch, in percent.
        swa: scores of the averaged weights; None without weight averaging.
        accuracy: accuracy of the final weights on the same images, in percent.
        mismatches: those of them with a wrong prediction of the final weights, in file order.
        discriminator_losses: of a GAN, the median over the batches of each epoch.
        generator_losses: likewise.
        training_digits: how a classifier's training digits look; records of earlier versions lack it.
        digest: SHA-256 of the final weights.
        state_digest: SHA-256 of the whole training state; records of version 1 lack it.
    """

    losses: tuple[float, ...] | None = None
    test_losses: tuple[float, ...] | None = None
    validation_losses: tuple[float, ...] | None = None
    accuracies: tuple[Percent, ...] | None = None
    swa: tuple[AveragedWeights, ...] | None = None
    accuracy: Percent | None = None
    mismatches: tuple[Mismatch, ...] | None = None
    discriminator_losses: tuple[float, ...] | None = None
    generator_losses: tuple[float, ...] | None = None
    training_digits: DigitStyle | None = None
    digest: Digest
    state_digest: Digest | None = None


_CLASSIFIER_METRICS = "losses", "accuracies", "accuracy", "mismatches"
_GAN_METRICS = "discriminator_losses", "generator_losses"
_EACH_EPOCH = "losses", "test_losses", "validation_losses", "accuracies", *_GAN_METRICS


@dataclass(frozen=True, kw_only=True)
class Resumption(Schema):
    """A run was resumed: after how many epochs, and what differed where the last bits may depend on it."""

    after: Count
    environment_changes: dict[str, Change] | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord(RunMetrics, RunSettings):
    """The record of a finished run.

    Args:
        command: the command that repeats the run; empty if it was not started by a command.
        parameters: number of parameters of all nets.
        started: when it was started, ISO 8601 in UTC; records of version 1 lack it.
        seconds: wall-clock time of all sessions.
        processor_seconds: processor time of all threads; records of version 1 lack it.
        training_seconds: the part of `seconds` that the epochs took, with their tests.
        resumed: each time that the run was resumed.
        machine: the machine of the last session.
    """

    command: str
    parameters: Count
    started: str | None = None
    seconds: Seconds
    processor_seconds: Seconds | None = None
    training_seconds: Seconds
    resumed: tuple[Resumption, ...] = ()
    machine: MachineInfo

    def __post_init__(self) -> None:
        super().__post_init__()
        scored = "test_losses" if self.holdout is None else "validation_losses"
        required = _GAN_METRICS if self.generator else (*_CLASSIFIER_METRICS, scored)
        for name in required:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: missing in a record of {self.model}")
        for name in _EACH_EPOCH:
            if (values := getattr(self, name)) is not None:
                _check_length(name, values, self.recipe.epochs)

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of version 3; versions 1 and 2 had others."""
        if value.get("version") not in (1, 2):
            return value
        value = {"precision": "float32"} | value  # the first records were made before there was a choice
        value |= {"recipe": RecipeSummary.upgrade(value["recipe"]), "swa": value.get("averages")}
        resumed = [
            {"after": entry["after"], "environment_changes": entry.get("inexact")}
            for entry in value.get("resumed", ())
        ]
        return value | {"resumed": resumed}

    def to_json(self) -> dict[str, Any]:
        """The fields that have a value, the command first."""
        body = {"command": self.command} | super().to_json()
        for average in body["swa"] or ():
            if average.get("validation_loss") is None:
                average.pop("validation_loss", None)  # it is absent if the record was read from a file
        body["resumed"] = [_without_none(entry) for entry in body["resumed"]] or None
        return _without_none(body)

    def write(self, path: Path) -> None:
        """Write the record to `path`.

        Raises:
            OutputError: the file cannot be written.
        """
        json_file.write(path, self.to_json())


def _check_length(name: str, values: tuple[float, ...], epochs: int) -> None:
    if len(values) != epochs:
        raise ValueError(f"{name}: {len(values)} values for {epochs} epochs")


def read_record(path: Path) -> RunRecord | None:
    """The record at `path`; None if there is no file.

    Raises:
        CheckpointError: the file is damaged, no record of a run, or of a later version.
    """
    body = json_file.read(path)
    if body is None:
        return None
    try:
        return RunRecord.from_json(body)
    except ValueError as error:
        message = f"{path}: not a record of a run ({error})"
        raise CheckpointError(message, remedies=("overwrite", "name", "out_dir")) from None


def find_record(path: Path, digest: str) -> RunRecord | None:
    """The record next to the checkpoint at `path`, if its run ended with the weights of this digest.

    Else, and if it cannot be read, it is None.
    """
    try:
        record = read_record(path.with_suffix(".json"))
    except CheckpointError:
        return None
    return record if record is not None and record.digest == digest else None


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    """The JSON object without its keys that are null, those of objects in it included."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in body.items()
        if value is not None
    }
