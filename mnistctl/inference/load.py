"""Find and load trained nets: a checkpoint by its run's name or path, a net by its kind."""

from contextlib import suppress
from pathlib import Path

from torch import Tensor, nn

from mnistctl import models
from mnistctl.artifacts import checkpoint, files
from mnistctl.data.training_set import TrainingSet
from mnistctl.errors import CheckpointError, UnfinishedRunError, UsageError, suggest
from mnistctl.models.pretrained import WEIGHTS, pretrained_path


def find_checkpoint(name: str, out_dir: Path) -> Path:
    """The path of the checkpoint called `name`: a run's name in `out_dir`, a path, or a name in the package.

    They are looked for in this order. The ending .safetensors may be left out.

    Raises:
        CheckpointError: there is none.
    """
    paths = [Path(name), files.with_ending(Path(name), "safetensors")] if Path(name).name else [Path(name)]
    if Path(name).name == name:
        paths = [files.with_ending(out_dir / name, "safetensors"), *paths, out_dir / name]
    for path in paths:
        if path.is_file():
            return path
    if (in_package := pretrained_path(name)) is not None:
        return in_package
    raise _not_found(name, out_dir)


def _not_found(name: str, out_dir: Path) -> CheckpointError:
    path = Path(name)
    for run_path in (out_dir / name, path):
        if run_path.name and (folder := files.with_ending(run_path, "unfinished")).is_dir():
            return UnfinishedRunError(run_path, _unfinished_model(folder))
    folder = path if path.is_dir() else out_dir
    names = files.list_runs(folder, "safetensors")
    available = f" (available: {', '.join(names)})" if names else ""
    if path.exists():
        what = "a folder" if path.is_dir() else "not a file"
        message = f"{name}: {what}; give a trained model's name or file{available}"
        return CheckpointError(message, remedies=["train", "pretrained"])
    hint = suggest(name, [*names, *map(str, path.parent.glob("*.safetensors"))]).removesuffix(";")
    message = f"no trained model {name!r} in {out_dir}{available}{hint}"
    return CheckpointError(message, remedies=["train", "pretrained"])


def _unfinished_model(folder: Path) -> str | None:
    """The model of the unfinished run with this folder of checkpoints, if one of them can be read."""
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        with suppress(CheckpointError, KeyError, TypeError):
            model = checkpoint.load(path, checkpoint.RUN)[0]["settings"]["model"]
            return model if model in models.CLASSIFIERS | models.GENERATORS else None
    return None


def find_reference_classifier(name: str | None, out_dir: Path) -> Path:
    """The path of the checkpoint of the classifier to evaluate generated images with.

    Args:
        name: a run's name or a path; None for the run conv.
        out_dir: the folder of runs.

    Raises:
        CheckpointError: there is none.
    """
    if name is not None:
        return find_checkpoint(name, out_dir)
    path = files.with_ending(out_dir / "conv", "safetensors")
    if not path.exists():
        raise CheckpointError(
            f"a reference classifier is needed, and {out_dir} has no trained model 'conv'",
            remedies=["train_conv", "judge"],
        )
    return path


def is_generator(path: Path) -> bool:
    """Whether the checkpoint at `path` is a generator's; otherwise it is a classifier's.

    Raises:
        CheckpointError: missing, damaged, of another program, or of an unknown model.
    """
    return _load_weights(path)[0] in models.GENERATORS


def load_classifier(path: Path) -> tuple[str, nn.Module]:
    """The name of the model and the classifier in the checkpoint at `path`.

    Raises:
        CheckpointError: missing, damaged, of another program, a generator's, or with the wrong weights.
    """
    model, weights = _load_weights(path)
    if model in models.GENERATORS:
        raise CheckpointError(f"{path}: {models.wrong_kind_error(model)}")
    return model, _set_weights(path, model, models.load_classifier(model).net(), weights)


def load_generator(path: Path) -> tuple[str, nn.Module]:
    """The name of the model and the generator in the checkpoint at `path`, without its discriminator.

    Raises:
        CheckpointError: missing, damaged, of another program, a classifier's, or with the wrong weights.
    """
    model, weights = _load_weights(path)
    if model in models.CLASSIFIERS:
        remedies = ["pretrained_cgan"] if path.parent == WEIGHTS else []
        raise CheckpointError(f"{path}: {models.wrong_kind_error(model)}", remedies=remedies)
    try:
        generator, _ = checkpoint.split_state(weights, "generator", "discriminator")
    except KeyError:
        raise _wrong_weights(path, model) from None
    return model, _set_weights(path, model, models.load_generator(model).generator(), generator)


def load_training_set(path: Path) -> TrainingSet | None:
    """What the checkpoint at `path` keeps about the training digits; None if it was written without that.

    Raises:
        CheckpointError: missing, damaged, or of another program.
    """
    about, _ = checkpoint.load(path, checkpoint.NET)
    if (body := about.get("training_set")) is None:
        return None
    try:
        return TrainingSet.from_json(body)
    except ValueError as error:
        raise CheckpointError(f"{path}: not a description of training digits ({error})") from None


def _load_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    about, weights = checkpoint.load(path, checkpoint.NET)
    model = str(about.get("model"))
    try:
        models.check_name(model)
    except UsageError:
        raise CheckpointError(f"{path}: unknown model {model!r:.40}", remedies=["update"]) from None
    return model, weights


def _set_weights(path: Path, model: str, net: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise _wrong_weights(path, model) from None
    return net


def _wrong_weights(path: Path, model: str) -> CheckpointError:
    return CheckpointError(f"{path}: the weights do not fit the model {model!r}", remedies=["retrain"])
