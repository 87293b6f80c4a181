"""Published accuracies to compare with."""

import json
from dataclasses import dataclass
from pathlib import Path

from mnistctl.errors import UsageError
from mnistctl.schema import Schema

_PUBLISHED = Path(__file__).with_name("published.json")


@dataclass(frozen=True, kw_only=True)
class PublishedModel(Schema):
    """Test accuracies of one model in percent, one per run.

    Args:
        accuracies: the accuracies of the final weights.
        last_iterate: for averaged weights, the accuracies before averaging, in the same order.
        note: which runs these are.
    """

    accuracies: tuple[float, ...]
    last_iterate: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Published(Schema):
    """The accuracies that one source published, by model, and the data set that they were measured on."""

    source: str
    dataset: str
    models: dict[str, PublishedModel]

    def accuracies(self, model: str) -> tuple[float, ...]:
        """The accuracies of `model` in percent, one per run; empty if the source does not have the model."""
        return self.models[model].accuracies if model in self.models else ()


def load_published(name: str) -> Published:
    """The accuracies that `name` published.

    Raises:
        UsageError: there is no such source.
    """
    sources = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    if name not in sources:
        raise UsageError(f"choose one of {', '.join(sources)}", field="reference", value=name)
    return Published.from_json(sources[name])
