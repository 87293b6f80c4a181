"""The trained nets that checkpoints hold: found by a run's name, taken for what they are."""

from pathlib import Path

from torch import Tensor, nn

from mnistctl import models
from mnistctl.artifacts import checkpoint, files
from mnistctl.errors import CheckpointError, UsageError, suggest


def find_checkpoint(name: str, out_dir: Path) -> Path:
    """The checkpoint called `name`: a run's name under `out_dir`, else a path.

    Raises:
        CheckpointError: there is none.
    """
    named = files.with_ending(out_dir / name, "safetensors")
    if Path(name).name == name and named.exists():
        return named
    path = Path(name)
    if path.is_file():
        return path
    made = files.list_runs(out_dir, "safetensors")
    there = f"there: {', '.join(made)}" if made else "no net is there yet"
    hint = suggest(name, [*made, *map(str, path.parent.glob("*.safetensors"))])
    raise CheckpointError(f"{name}: no such net in {out_dir} ({there}){hint} make one with `mnistctl train`")


def is_generator(path: Path) -> bool:
    """Whether the checkpoint at `path` is a generator's; else it is a classifier's.

    Raises:
        CheckpointError: missing, damaged, foreign, or of a model that this version does not know.
    """
    return _load_weights(path)[0] in models.GENERATORS


def load_classifier(path: Path) -> tuple[str, nn.Module]:
    """The model's name and the net that reads digits in the checkpoint at `path`.

    Raises:
        CheckpointError: missing, damaged, foreign, a generator's, or of another net than it says.
    """
    model, weights = _load_weights(path)
    if model in models.GENERATORS:
        raise CheckpointError(f"{path}: {models.wrong_kind_error(model)}")
    return model, _with_weights(path, model, models.load_classifier(model).net(), weights)


def load_generator(path: Path) -> tuple[str, nn.Module]:
    """The model's name and the net that draws digits in the checkpoint at `path`.

    Raises:
        CheckpointError: missing, damaged, foreign, a classifier's, or of another net than it says.
    """
    model, weights = _load_weights(path)
    if model in models.CLASSIFIERS:
        raise CheckpointError(f"{path}: {models.wrong_kind_error(model)}")
    try:
        drawing, _ = checkpoint.split_state(weights, "generator", "discriminator")
    except KeyError:
        raise CheckpointError(f"{path}: its weights are not those of {model!r}") from None
    return model, _with_weights(path, model, models.load_generator(model).generator(), drawing)


def _load_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    about, weights = checkpoint.load(path, checkpoint.NET)
    model = str(about.get("model"))
    try:
        models.check_name(model)
    except UsageError:
        raise CheckpointError(
            f"{path}: of the model {model!r:.40}, which this version does not know"
        ) from None
    return model, weights


def _with_weights(path: Path, model: str, made: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    try:
        made.load_state_dict(weights)
    except RuntimeError:
        raise CheckpointError(f"{path}: its weights do not fit the net {model!r}") from None
    return made


def find_reference_classifier(name: str | None, out_dir: Path) -> Path:
    """The checkpoint of the classifier that is to read what was drawn: called `name`, else conv's own run.

    Raises:
        CheckpointError: there is none.
    """
    try:
        return find_checkpoint(name or "conv", out_dir)
    except CheckpointError as fault:
        if name is not None:
            raise
        ways = "train one with `mnistctl train conv`, or name one with --judge"
        raise CheckpointError(
            f"no classifier to judge by: {fault.args[0].partition(';')[0]}; {ways}"
        ) from None
