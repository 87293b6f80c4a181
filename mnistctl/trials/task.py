"""What a worker receives and what it sends back. This module does not load torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from mnistctl.artifacts.bounds import Count, Digest, Digit, Percent, Seconds
from mnistctl.data.holdout import HeldOut
from mnistctl.errors import UsageError
from mnistctl.models.sources import Model, find
from mnistctl.schema import Schema
from mnistctl.training.machine import MachineInfo


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
        holdout: the training digits to score in the place of the test digits; None for none.
        versions: versions of mnistctl, torch, numpy and Python, which must be the same for the worker.
        models: the models by name, with the texts of their recipe files.
        recipe_sha256: SHA-256 of each recipe file, by the model's name, which the text must have.
        sweep: whether each model is an arm of a sweep: it is trained as it is, without its baseline.
        send_nets: whether the trained nets are to be sent back.
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
    models: dict[str, Model] = field(default_factory=dict)
    recipe_sha256: dict[str, str] = field(default_factory=dict)
    holdout: HeldOut | None = None
    sweep: bool = False
    send_nets: bool = False

    def model(self, name: str) -> Model:
        """The model called `name`.

        Raises:
            UsageError: its recipe file is not the one that was sent.
        """
        if name not in self.models:
            return find(name)
        model = self.models[name]
        if model.sha256 != self.recipe_sha256.get(name):
            raise UsageError(f"{model.path}: the text that arrived here has another SHA-256")
        return model


@dataclass(frozen=True, kw_only=True)
class TrialResult(Schema):
    """What a worker sends back. The first three fields have one entry for each arm.

    Args:
        accuracies: accuracy on the test images, or on the held-out digits, in percent.
        digests: digest of the final weights.
        mismatches: (index, true digit, predicted digit) of each of these images with a wrong prediction.
        before_averaging: for each arm whose net is an average, the accuracy of the last epoch's weights.
        seconds: wall-clock time of training and evaluation.
        processor_seconds: processor time of training and evaluation.
        machine: hardware and system of the worker; None if it is the one in the journal's header.
    """

    accuracies: dict[str, Percent]
    digests: dict[str, Digest]
    mismatches: dict[str, tuple[tuple[Count, Digit, Digit], ...]]
    before_averaging: dict[str, Percent] = field(default_factory=dict)
    seconds: Seconds
    processor_seconds: Seconds | None = None
    machine: MachineInfo | None = None

    def __post_init__(self) -> None:
        if not self.accuracies.keys() == self.digests.keys() == self.mismatches.keys():
            raise ValueError("accuracies, digests and mismatches are of different arms")
        if not self.before_averaging.keys() <= self.accuracies.keys():
            raise ValueError("before_averaging is of other arms")


@dataclass(frozen=True, kw_only=True)
class TrialWithNet(TrialResult):
    """What a worker of a sweep sends back: the result of its one arm, and the net.

    Args:
        net: the contents of a checkpoint.
    """

    net: bytes

    def without_net(self) -> TrialResult:
        """The result alone."""
        return TrialResult(**{each.name: getattr(self, each.name) for each in fields(TrialResult)})


@dataclass(frozen=True)
class ResultChecker:
    """Checks results before they are used, whoever sends them.

    Args:
        arms: by model, the names of the arms that a trial of it has.
        images: number of scored images.
        nets: whether results must have their nets.
    """

    arms: Mapping[str, tuple[str, ...]]
    images: int
    nets: bool = False

    def check(self, model: str, result: TrialResult) -> None:
        """Check that a result can be that of a trial of `model`.

        Raises:
            ValueError: it has other arms, or an image that does not exist, that is listed twice, or whose
                prediction is right.
        """
        if set(result.accuracies) != set(self.arms[model]):
            raise ValueError(f"arms {', '.join(result.accuracies)} instead of {', '.join(self.arms[model])}")
        for arm, mismatches in result.mismatches.items():
            indices = [index for index, _, _ in mismatches]
            if len(set(indices)) < len(indices):
                raise ValueError(f"mismatches.{arm}: an image is listed twice")
            for index, true, predicted in mismatches:
                if index >= self.images:
                    raise ValueError(f"mismatches.{arm}: image {index} of {self.images}")
                if true == predicted:
                    raise ValueError(f"mismatches.{arm}: the prediction for image {index} is right")

    def convert(self, model: str, value: object) -> TrialResult:
        """What a worker sent for a trial of `model`, as a result of plain and checked values.

        Raises:
            ValueError: it is not a result. The message says why.
        """
        if not isinstance(value, TrialResult):
            raise ValueError(f"the worker sent {type(value).__name__} instead of a result")
        try:
            result = TrialResult.from_json(TrialResult.to_json(value))
            self.check(model, result)
            if self.nets:
                result = _with_checked_net(result, value)
        except Exception as error:  # noqa: BLE001 - the object may behave in any way
            raise ValueError(f"the worker sent an invalid result: {error}") from None
        return result


def _with_checked_net(result: TrialResult, value: TrialResult) -> TrialWithNet:
    """The checked result with the net of `value`, which must have the weights of the result's digest.

    Raises:
        ValueError: it has not.
        CheckpointError: it is no checkpoint.
    """
    from mnistctl.artifacts import checkpoint

    if not isinstance(value, TrialWithNet) or type(value.net) is not bytes:
        raise ValueError("without its net")
    _, weights = checkpoint.decode(Path("net"), value.net, checkpoint.NET)
    if [checkpoint.digest(weights)] != list(result.digests.values()):
        raise ValueError("its net has another digest")
    return TrialWithNet(**vars(result), net=value.net)


RunTrial = Callable[[str, int, TrialSettings], TrialResult]  # model, seed, settings
