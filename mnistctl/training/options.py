"""What a user may ask of a run, and the commands that say so."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mnistctl import models
from mnistctl.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from mnistctl.models.recipe import ClassifierRecipe, GanRecipe


DEFAULTS = {"seed": 0, "dataset": "mnist", "data_dir": Path("data"), "device": "auto", "precision": "float32"}
MAX_EPOCHS = 1_000_000
_FOLDERS = ("out_dir", "data_dir")  # where a run is; the rest of the fields are the run


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is asked; None stands for what the recipe or the machine says, or what is USUAL."""

    model: str
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

    def get(self, field: str) -> Any:
        """What was asked of `field`, else what is usual."""
        asked = getattr(self, field)
        return DEFAULTS[field] if asked is None else asked

    @property
    def stem(self) -> Path:
        """The path of the run's files, less their endings.

        Raises:
            UsageError: the name is not that of a file.
        """
        dataset = self.get("dataset")
        default = self.model if dataset == "mnist" else f"{self.model}-{dataset}"
        stem = default if self.name is None else self.name
        if not stem or not stem.isprintable() or stem.startswith(".") or Path(stem).name != stem:
            raise UsageError(f"--name {stem!r}: give a plain file name, without folders or a leading dot")
        return self.out_dir / stem

    def recipe(self) -> "ClassifierRecipe | GanRecipe":
        """The model's recipe as it was asked for.

        Raises:
            UsageError: no such model, or a number out of range.
        """
        recipe = models.load(self.model)
        for flag, value, least, most in (
            ("--epochs", self.epochs, 1, MAX_EPOCHS),
            ("--batch-size", self.batch_size, 1, 2**63 - 1),
            ("--seed", self.seed, 0, 2**63 - 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{flag} {value}: give {least} or more")
            if value is not None and value > most:
                raise UsageError(f"{flag} {value}: give {most} or less")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise UsageError(f"--lr {self.lr:g}: give a number above 0")
        return replace(
            recipe,
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            batch_size=recipe.batch_size if self.batch_size is None else self.batch_size,
            peak_lr=recipe.peak_lr if self.lr is None else self.lr,
        )

    def classifier(self) -> "ClassifierRecipe":
        """As `recipe`, of a model that must be a classifier.

        Raises:
            UsageError: it is none, or as `recipe`.
        """
        models.check_name(self.model, models.CLASSIFIERS)
        return cast("ClassifierRecipe", self.recipe())

    def command(self) -> str:
        """What repeats the run, wherever its folders are."""
        return self._command(lambda field: field not in _FOLDERS)

    def resume(self) -> str:
        """What goes on with the run."""
        found = ("name", *_FOLDERS) if self.name is not None else ("name", "dataset", *_FOLDERS)
        return f"{self._command(lambda field: field in found)} --resume"

    def _command(self, told: Callable[[str], bool]) -> str:
        return " ".join([f"mnistctl train {self.model}", *self.to_argv(told)])

    def to_argv(self, told: Callable[[str], bool]) -> list[str]:
        """The options that were given and are not usual, of the fields that are to be told, as typed."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "model" and told(field.name) and value not in (None, field.default):
                words.append(f"--{field.name.replace('_', '-')} {shlex.quote(str(value))}")
        return words

    def to_dict(self) -> dict[str, Any]:
        """The options as a checkpoint keeps them, for `joined`."""
        kept = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "out_dir"}
        return kept | {"data_dir": str(self.get("data_dir"))}

    def check_matches(self, run: Mapping[str, Any]) -> None:
        """See that what is asked for is what the `run` of a checkpoint or record has.

        Raises:
            CheckpointError: it is not; both values are told.
        """
        has = {
            "model": run["model"],
            "--epochs": run["recipe"]["epochs"],
            "--batch-size": run["recipe"]["batch"],
            "--lr": run["recipe"]["settings"]["lr"],
            "--seed": run["seed"],
            "--precision": run["precision"],
            "--dataset": run["dataset"]["name"],
        }
        for flag, value in has.items():
            asked = getattr(self, flag.removeprefix("--").replace("-", "_"))
            if asked not in (None, value):
                anew = "leave it out, or begin anew with --overwrite"
                raise CheckpointError(
                    f"{self.stem}: {flag} {asked} is asked for, the run has {value}; {anew}"
                )

    def with_saved(self, kept: Mapping[str, Any]) -> "RunOptions":
        """The options that a checkpoint kept, in the places that are asked for now."""
        theirs = {field.name: kept[field.name] for field in fields(self) if field.name != "out_dir"}
        theirs["data_dir"] = self.data_dir or Path(kept["data_dir"])
        return RunOptions(**theirs | {"out_dir": self.out_dir, "name": self.name})
