"""Find and load trained nets: a checkpoint by its run's name or path, a net by its kind."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from mnistctl import models
from mnistctl.artifacts import checkpoint, files
from mnistctl.data.training_set import TrainingSet
from mnistctl.errors import CheckpointError, UnfinishedRunError, UsageError, suggest
from mnistctl.models.pretrained import WEIGHTS, pretrained_path
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe, Recipe
from mnistctl.models.reporting import reporting_errors
from mnistctl.models.sources import ENDING, Model, Origin, RecipeError, find_saved
from mnistctl.nn.seeding import separate_draws
from mnistctl.schema import Schema, to_type

_REMEDIES = ("train", "pretrained")  # for a model that is not there
GENERATOR_REMEDIES = ("train_cgan", "pretrained_cgan")  # for a generator


def find_checkpoint(name: str | Path, out_dir: Path | str, remedies: Sequence[str] = _REMEDIES) -> Path:
    """The path of the checkpoint called `name`: a run's name in `out_dir`, a path, or a name in the package.

    They are looked for in this order. The ending .safetensors may be left out. The path of a recipe file
    means the run of its name.

    Args:
        name: the name or the path.
        out_dir: the folder of runs.
        remedies: what helps if there is none, which depends on the kind of model that is needed.

    Raises:
        CheckpointError: there is none, it belongs to an unfinished run, or several runs belong to the recipe
            file.
    """
    name, out_dir = str(name), to_type(out_dir, Path, "out_dir")
    if not name:
        raise _no_such_model(name, out_dir, remedies)
    if name.endswith(ENDING):
        return _find_by_recipe(Path(name), out_dir)
    paths = [Path(name), files.with_ending(Path(name), "safetensors")] if Path(name).name else [Path(name)]
    if Path(name).name == name:
        paths = [files.with_ending(out_dir / name, "safetensors"), *paths, out_dir / name]
    for path in paths:
        if path.is_file():
            return path
    if (in_package := pretrained_path(name)) is not None:
        return in_package
    raise _not_found(name, out_dir, remedies)


def _not_found(name: str, out_dir: Path, remedies: Sequence[str]) -> CheckpointError:
    path = Path(name)
    for run_path in (out_dir / name, path):
        if run_path.name and (folder := files.with_ending(run_path, "unfinished")).is_dir():
            return UnfinishedRunError(run_path, _unfinished_model(folder))
    if path.exists():
        what = "a folder" if path.is_dir() else "not a file"
        available = _list_available(path if path.is_dir() else out_dir)
        message = f"{name}: {what}; give a trained model's name or file{available}"
        return CheckpointError(message, remedies=remedies, options={"out_dir": out_dir})
    return _no_such_model(name, out_dir, remedies, path.parent.glob("*.safetensors"))


def _no_such_model(
    name: str, out_dir: Path, remedies: Sequence[str], others: Iterable[Path] = ()
) -> CheckpointError:
    """The error that `out_dir` has no trained model of this name, which may be that of `others`."""
    names = files.list_runs(out_dir, "safetensors")
    hint = suggest(name, [*names, *map(str, others)]).removesuffix(";")
    message = f"no trained model {name!r} in {out_dir}{_list_available(out_dir)}{hint}"
    return CheckpointError(message, remedies=remedies, options={"out_dir": out_dir})


def _list_available(folder: Path) -> str:
    names = files.list_runs(folder, "safetensors")
    return f" (available: {', '.join(names)})" if names else ""


def _unfinished_model(folder: Path) -> str | None:
    """The model of the unfinished run with this folder of checkpoints, if one of them can be read."""
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        with suppress(CheckpointError, KeyError, TypeError):
            model = checkpoint.load(path, checkpoint.RUN)[0]["settings"]["model"]
            return model if model in models.CLASSIFIERS | models.GENERATORS else None
    return None


def _find_by_recipe(file: Path, out_dir: Path) -> Path:
    """The checkpoint of the run called as the recipe file, or of the only run whose name begins with it."""
    name = file.name.removesuffix(ENDING)
    matching = _runs_called(name, files.list_runs(out_dir, "safetensors"))
    if len(matching) == 1:
        return files.with_ending(out_dir / matching[0], "safetensors")
    if not matching:
        if unfinished := _runs_called(name, files.list_runs(out_dir, "unfinished")):
            raise UnfinishedRunError(out_dir / unfinished[0], str(file))
        message = f"no trained model {name!r} in {out_dir}"
        raise CheckpointError(message, remedies=["train"], options={"out_dir": out_dir})
    runs = ", ".join(matching)
    message = f"{out_dir} has several runs of {file}: {runs}; give the name of one in place of the file"
    raise CheckpointError(message, remedies=["recipe"])


def _runs_called(name: str, runs: list[str]) -> list[str]:
    """The run of this name, or else those whose name begins with it and a hyphen."""
    return [run for run in runs if run == name] or [run for run in runs if run.startswith(f"{name}-")]


def find_reference_classifier(name: str | None, out_dir: Path) -> Path:
    """The path of the checkpoint of the classifier to evaluate generated images with.

    Args:
        name: a run's name or a path; None for the run conv.
        out_dir: the folder of runs.

    Raises:
        CheckpointError: there is none.
    """
    if name is not None:
        return find_checkpoint(name, out_dir, ("train_conv", "judge"))
    path = files.with_ending(out_dir / "conv", "safetensors")
    if not path.exists():
        raise CheckpointError(
            f"a reference classifier is needed, and {out_dir} has no trained model 'conv'",
            remedies=["train_conv", "judge"],
            options={"out_dir": out_dir},
        )
    return path


@dataclass(frozen=True, kw_only=True)
class NetHeader(Schema):
    """What the checkpoint of a trained model holds besides its weights.

    Args:
        model: the model's name.
        generator: whether it is a generator; checkpoints of earlier versions have only shipped models.
        origin: where its recipe came from; None for a shipped recipe.
        training_set: the training digits of a classifier; checkpoints of earlier versions lack it.
    """

    model: str
    generator: bool | None = None
    origin: Origin | None = None
    training_set: TrainingSet | None = None

    @property
    def is_generator(self) -> bool:
        """Whether the model is a generator."""
        return self.model in models.GENERATORS if self.generator is None else self.generator


@dataclass(frozen=True)
class Recipes:
    """The recipe files that the user named for the nets of checkpoints.

    Args:
        models: the files.
        allow_inexact: use a file for a net that was trained from another version of it.
    """

    models: tuple[Model, ...] = ()
    allow_inexact: bool = False

    def reporting_errors(self) -> AbstractContextManager[None]:
        """Turn an error that one of the files raises in a block into one line with the file and the line.

        Raises:
            RecipeError: in the block: a file raised an error.
        """
        return reporting_errors(*(model.source for model in self.models))


NO_RECIPES = Recipes()


def load_header(path: Path) -> NetHeader:
    """What the checkpoint at `path` holds besides the weights.

    Raises:
        CheckpointError: missing, damaged, or of another program.
    """
    return load_weights(path)[0]


def load_classifier(path: Path | str, recipes: Recipes = NO_RECIPES) -> tuple[str, nn.Module]:
    """The name of the model and the classifier in the checkpoint at `path`.

    Args:
        path: the checkpoint.
        recipes: the recipe files that may be executed to make the net.

    Raises:
        CheckpointError: missing, damaged, of another program, a generator's, with the wrong weights, or
            trained from a recipe file that is not among `recipes`.
    """
    header, net = load_trained(to_type(path, Path, "path"), recipes)
    return header.model, net


def load_trained(path: Path, recipes: Recipes = NO_RECIPES) -> tuple[NetHeader, nn.Module]:
    """The header and the classifier in the checkpoint at `path`, from one read: a run may replace the file.

    Args:
        path, recipes: as of `load_classifier`.

    Raises:
        CheckpointError: as `load_classifier`.
    """
    header, weights = load_weights(path)
    if header.is_generator:
        raise CheckpointError(f"{path}: {models.describe_kind(header.model, generator=True)}")
    recipe = _load_recipe(path, header, recipes)
    if not isinstance(recipe, ClassifierRecipe):
        raise _wrong_weights(path, header.model)
    with separate_draws():
        net = recipe.net()
    return header, _set_weights(path, header.model, net, weights)


def load_generator(path: Path | str, recipes: Recipes = NO_RECIPES) -> tuple[str, nn.Module]:
    """The name of the model and the generator in the checkpoint at `path`, without its discriminator.

    Args:
        path: the checkpoint.
        recipes: the recipe files that may be executed to make the net.

    Raises:
        CheckpointError: as `load_classifier`, for a generator.
    """
    path = to_type(path, Path, "path")
    header, weights = load_weights(path)
    return header.model, make_generator(path, header, weights, recipes)


def make_generator(
    path: Path, header: NetHeader, weights: dict[str, Tensor], recipes: Recipes = NO_RECIPES
) -> nn.Module:
    """The generator of the header and the weights that were read from the checkpoint at `path`.

    Raises:
        CheckpointError: as `load_generator`.
    """
    if not header.is_generator:
        remedies = ["pretrained_cgan"] if path.parent == WEIGHTS else []
        message = f"{path}: {models.describe_kind(header.model, generator=False)}"
        raise CheckpointError(message, remedies=remedies)
    recipe = _load_recipe(path, header, recipes)
    try:
        generator, _ = checkpoint.split_state(weights, "generator", "discriminator")
    except KeyError:
        raise _wrong_weights(path, header.model) from None
    if not isinstance(recipe, GanRecipe):
        raise _wrong_weights(path, header.model)
    with separate_draws():
        net = recipe.generator()
    return _set_weights(path, header.model, net, generator)


def load_weights(path: Path) -> tuple[NetHeader, dict[str, Tensor]]:
    """The header of a trained model's checkpoint and its weights by name, from one read.

    Raises:
        CheckpointError: missing, damaged, or of another program.
    """
    about, weights = checkpoint.load(path, checkpoint.NET)
    try:
        return NetHeader.from_json(about), weights
    except ValueError as error:
        raise CheckpointError(f"{path}: not the checkpoint of a trained model ({error})") from None


def _load_recipe(path: Path, header: NetHeader, recipes: Recipes) -> Recipe:
    """The recipe of the net at `path`. Nothing in the checkpoint is executed."""
    model = find_saved(path, header.model, header.origin, recipes.models, allow_inexact=recipes.allow_inexact)
    try:
        return model.load()
    except RecipeError:
        raise
    except UsageError as error:  # a setting that this version does not have
        raise CheckpointError(f"{path}: {error}") from None


def _set_weights(path: Path, model: str, net: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise _wrong_weights(path, model) from None
    return net


def _wrong_weights(path: Path, model: str) -> CheckpointError:
    return CheckpointError(f"{path}: the weights do not fit the model {model!r}", remedies=["retrain"])
