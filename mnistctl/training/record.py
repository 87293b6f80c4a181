"""What identifies a run, what it gave, and the record of both that a finished run leaves: NAME.json."""

from dataclasses import dataclass
from typing import Any

from mnistctl.models.summary import RecipeSummary
from mnistctl.schema import Schema


@dataclass(frozen=True, kw_only=True)
class DatasetFiles(Schema):
    """A data set: its name, and the SHA-256 of each of its unpacked files."""

    name: str
    sha256: dict[str, str]


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
    """

    model: str
    recipe: RecipeSummary
    seed: int
    device: str
    threads: int
    precision: str
    dataset: DatasetFiles
    versions: dict[str, str]

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the recipe's keys of this version."""
        return value | {"recipe": RecipeSummary.upgrade(value["recipe"])}
