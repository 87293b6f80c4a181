"""The options of a run, shared by `train` and `trials`, and their default values."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mnistctl import models
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models.pretrained import PRETRAINED
from mnistctl.models.sources import Model, to_model
from mnistctl.nn.schedules import MAX_EPOCHS, MAX_RATE
from mnistctl.schema import Schema, check_options

if TYPE_CHECKING:
    from mnistctl.models.recipe import ClassifierRecipe, Recipe
    from mnistctl.training.record import RunSettings


DEFAULTS = {"seed": 0, "dataset": "mnist", "data_dir": Path("data"), "device": "auto", "precision": "float32"}
_MAX_INT = 2**63 - 1
_MAX_NAME_BYTES = 255 - len(".safetensors")  # most file systems allow 255; no other ending of a run is longer
_MAX_SHOWN = 40  # characters of a name in a message


def check_run_name(name: str) -> None:
    """Check the name of a run's files: it can be typed, and none of the files has a name that is too long.

    Raises:
        UsageError: it is not a plain name.
    """
    shown = repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}..."
    plain = name.isprintable() and name.strip() == name and not set(name) & set("/\\*?")
    if not name or not plain or name[0] in ".-~":
        message = "give a plain file name, without folders, * or ?, that begins with none of . - ~ and space"
        raise UsageError(message, field="name", value=shown)
    size = len(name.encode())
    if size > _MAX_NAME_BYTES:
        message = f"a name has at most {_MAX_NAME_BYTES} bytes, and this one has {size}"
        raise UsageError(message, field="name", value=shown)


@dataclass(frozen=True, kw_only=True)
class RunOptions(Schema):
    """The options of a run. None means: as the recipe, the machine or `DEFAULTS` has it.

    Args:
        out_dir: folder of the files that the run writes.
        data_dir: folder with the data set's files.
        epochs: number of training epochs.
        batch_size: images per optimizer step.
        lr: peak learning rate.
        seed: random seed.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        threads: number of processor threads.
        precision: "float32" or "bf16", of the forward pass while training.
        dataset: name of the data set.
        name: name of the run's files; None for the model's name, with the data set's unless that is MNIST.
        init: checkpoint of a trained model, whose weights the training starts from; None for random weights.
        holdout: number of training digits that are left out of the training and scored in the place of the
            test digits, see `data/holdout.py`; None or 0 for none.

    Raises:
        UsageError: a value has another type. Paths may be text, and numbers those of numpy.
    """

    out_dir: Path = Path("out")
    data_dir: Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    dataset: str | None = None
    name: str | None = None
    init: Path | None = None
    holdout: int | None = None

    def __post_init__(self) -> None:
        check_options(self)

    @overload
    def get(self, field: Literal["seed"]) -> int: ...

    @overload
    def get(self, field: Literal["data_dir"]) -> Path: ...

    @overload
    def get(self, field: Literal["dataset", "device", "precision"]) -> str: ...

    def get(self, field: str) -> Any:
        """The value of `field`, or its default where the option is None."""
        value = getattr(self, field)
        return DEFAULTS[field] if value is None else value

    def run_path(self, model: str) -> Path:
        """The path of the run's files without their endings: `out/conv`.

        Raises:
            UsageError: `name` is not a plain file name, or that of weights in the package.
        """
        dataset = self.get("dataset")
        parts = [model, *([] if self.init is None else ["init"]), *([] if dataset == "mnist" else [dataset])]
        default = "-".join(parts)
        name = default if self.name is None else self.name
        check_run_name(name)
        if name in PRETRAINED:
            message = "the weights in the package have this name; choose another"
            raise UsageError(message, field="name", value=name)
        return self.out_dir / name

    def recipe(self, model: str | os.PathLike[str] | Model) -> "Recipe":
        """The recipe of `model`, with the number of epochs, the batch size and the rate of these options.

        Raises:
            UsageError: there is no such model, its file is wrong, or a number is out of range.
        """
        from mnistctl.models.recipe import GanRecipe

        model = to_model(model)
        with model.reporting_errors():
            recipe = self.apply(model.load())
        if self.holdout and isinstance(recipe, GanRecipe):
            message = f"{model.name} is a generator, which is trained without scores on held-out digits"
            raise UsageError(message, field="holdout", value=self.holdout)
        return recipe

    def apply(self, recipe: "Recipe") -> "Recipe":
        """`recipe` with the number of epochs, the batch size and the rate of these options.

        Raises:
            UsageError: a number is out of range.
        """
        from mnistctl.models.recipe import wrong_learning_rates
        from mnistctl.nn.seeding import check_seed

        if self.epochs is not None and not 1 <= self.epochs <= MAX_EPOCHS:
            raise UsageError(f"give 1 to {MAX_EPOCHS:,}", field="epochs", value=self.epochs)
        if self.seed is not None:
            check_seed(self.seed)
        for field, low in (("batch_size", 1), ("holdout", 0)):
            value = getattr(self, field)
            if value is not None and value < low:
                raise UsageError(f"give {low} or more", field=field, value=value)
            if value is not None and value > _MAX_INT:
                raise UsageError(f"give {_MAX_INT:,} or less", field=field, value=value)
        if self.lr is not None and not 0 < self.lr <= MAX_RATE:
            limit = f"{MAX_RATE:g} or less" if self.lr > MAX_RATE else "a number above 0"
            raise UsageError(f"give {limit}", field="lr", value=f"{self.lr:g}")
        changed = replace(
            recipe,
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            batch_size=recipe.batch_size if self.batch_size is None else self.batch_size,
            peak_lr=recipe.peak_lr if self.lr is None else self.lr,
        )
        if changed != recipe and (wrong := wrong_learning_rates(changed)):
            raise UsageError(f"with these epochs and this rate, the recipe's schedule gives {wrong}")
        return changed

    def classifier_recipe(self, model: str | os.PathLike[str] | Model) -> "ClassifierRecipe":
        """As `recipe`, for a model that must be a classifier.

        Raises:
            UsageError: it is a generator, or as `recipe`.
        """
        from mnistctl.models.recipe import ClassifierRecipe

        recipe = self.recipe(model)
        if not isinstance(recipe, ClassifierRecipe):
            name = to_model(model).name
            raise UsageError(models.describe_kind(name, generator=True))
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The options as a file in `out_dir` stores them: without that folder, with `data_dir` resolved."""
        body = replace(self, data_dir=self.get("data_dir")).to_json()
        del body["out_dir"]
        return body

    def with_saved(self, saved: "RunOptions", settings: "RunSettings") -> "RunOptions":
        """The options for resuming a run: those that say where it is and what it runs on, the rest as saved.

        Args:
            saved: the options that its checkpoint stores.
            settings: the settings that its checkpoint stores; its device and threads are used again unless
                these options name others.
        """
        return replace(
            saved,
            out_dir=self.out_dir,
            data_dir=self.data_dir or saved.data_dir,
            name=self.name,
            device=settings.device if self.get("device") == "auto" else self.device,
            threads=settings.threads if self.threads is None else self.threads,
        )

    def check_matches(self, run_path: Path, settings: "RunSettings") -> None:
        """Check that the options that are set are those of the earlier run at `run_path`.

        Raises:
            CheckpointError: one differs; the error has both values.
        """
        for field, value in saved_options(settings).items():
            option = getattr(self, field)
            if option not in (None, value):
                message = f"the run {run_path} has {value}; leave the option out to continue that run"
                raise CheckpointError(message, field=field, value=option, remedies=("overwrite", "name"))


def saved_options(settings: "RunSettings") -> dict[str, Any]:
    """The options, by name, whose values a run of these settings has."""
    return {
        "epochs": settings.recipe.epochs,
        "batch_size": settings.recipe.batch_size,
        "lr": settings.recipe.settings.get("lr"),
        "seed": settings.seed,
        "precision": settings.precision,
        "dataset": settings.dataset.name,
        "holdout": 0 if settings.holdout is None else settings.holdout.count,
    }
