"""The list of models, which is shown without loading torch."""

import json
from dataclasses import dataclass
from pathlib import Path

from mnistctl import models
from mnistctl.models.published import load_published
from mnistctl.schema import Schema

PUBLISHED_BY = "ktorch"  # whose published accuracies the list of models shows


@dataclass(frozen=True)
class PublishedAccuracy(Schema):
    """A published test accuracy.

    Args:
        source: who published it.
        accuracy: mean over the runs, in percent.
        runs: number of runs.
    """

    source: str
    accuracy: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class ModelSummary(Schema):
    """One row of the list of models.

    Args:
        model: its name.
        description: one sentence.
        parameters: number of parameters of each net; of a GAN the generator, then the discriminator.
        epochs, batch_size, peak_lr: of its recipe.
        optimizer: name of the optimizer's class.
        published: its published accuracy, if there is one.
    """

    model: str
    description: str
    parameters: tuple[int, ...]
    epochs: int
    batch_size: int
    optimizer: str
    peak_lr: float
    published: PublishedAccuracy | None


# What a net and its recipe give, by model. `python tools/listed.py` writes it; a test compares it with them.
LISTED = Path(__file__).with_name("listed.json")


def list_models() -> list[ModelSummary]:
    """All models: classifiers, then generators."""
    listed = json.loads(LISTED.read_text(encoding="utf-8"))
    return [
        ModelSummary.from_json(
            {"model": name, "description": description, "published": _published(name)}
            | (listed.get(name) or measure_model(name))
        )
        for name, description in (models.CLASSIFIERS | models.GENERATORS).items()
    ]


def measure_model(name: str) -> dict[str, object]:
    """What the list says about a model's nets and its recipe. This loads torch.

    Raises:
        UsageError: no model has this name.
    """
    from mnistctl.models.summary import count_parameters, summarize_recipe

    recipe = models.load(name)
    return {
        "parameters": list(count_parameters(recipe)),
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "optimizer": summarize_recipe(recipe).optimizer,
        "peak_lr": recipe.peak_lr,
    }


def _published(name: str) -> dict[str, object] | None:
    accuracies = load_published(PUBLISHED_BY).accuracies(name)
    if not accuracies:  # a generator, or a model that was added here
        return None
    mean = sum(accuracies) / len(accuracies)
    return {"source": PUBLISHED_BY, "accuracy": mean, "runs": len(accuracies)}
