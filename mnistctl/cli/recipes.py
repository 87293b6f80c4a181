"""What the command line says about recipes: models, recipe files, settings, and records to repeat."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistctl.cli.config_file import OPTION_FIELDS, SETTINGS_WITH_OPTION, read_config
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS

if TYPE_CHECKING:
    from mnistctl.inference.load import Recipes
    from mnistctl.models.sources import Model
    from mnistctl.training.options import RunOptions
    from mnistctl.training.record import RunRecord


def choose_run(
    reference: str | None,
    given: Mapping[str, Any],
    assignments: Sequence[str] | None,
    config: Path | None,
    like: Path | None,
    init: str | None = None,
) -> "tuple[Model, RunOptions]":
    """The model and the options of a run, from the command line, a configuration file and a record.

    Args:
        reference: the model as named; None only with a record.
        given: the options of the command, by field; None where they are not given.
        assignments: settings, each as `KEY=VALUE`.
        config: a configuration file. The command line has precedence.
        like: the record of a run to repeat. The command line has precedence.
        init: name or path of the trained model whose weights the training starts from.

    Raises:
        UsageError: the model does not exist, a setting or an option does not exist or has a wrong value, or
            one is given twice.
        CheckpointError: the record is damaged or its recipe is not available.
    """
    if config is not None and like is not None:
        raise UsageError("give one of --config and --like")
    if like is not None:
        model, options = _repeat(like, reference, given, parse_assignments(assignments), init)
        return model, _with_initial_weights(options, init)
    if reference is None:
        names = ", ".join(CLASSIFIERS | GENERATORS)
        raise UsageError(
            f"missing argument MODEL: choose one of {names}, or name a file", remedies=("list_models",)
        )
    from mnistctl.models.sources import find

    model = find(reference, title=given.get("name"))
    model, options = configure(model, given, parse_assignments(assignments), config)
    return model, _with_initial_weights(options, init)


def configure(
    model: "Model", given: Mapping[str, Any], texts: Mapping[str, str], config: Path | None
) -> "tuple[Model, RunOptions]":
    """The model with its settings, and the options, from the command line and a configuration file.

    Raises:
        UsageError: a setting or an option does not exist, has a wrong value, or is given twice.
    """
    from mnistctl.training.options import RunOptions

    options = {field: value for field, value in given.items() if value is not None}
    for key in SETTINGS_WITH_OPTION:
        if key in texts and key in options:
            message = f"{key} is given as an option, too"
            raise UsageError(message, field="settings", value=f"{key}={texts[key]}")
    settings = dict(model.settings)
    if config is not None:
        settings, of_config = read_config(config, model, given)
        options = of_config | options
    if texts:
        from mnistctl.models.settings import override, parse_settings

        with model.reporting_errors():
            parsed = parse_settings(model.with_settings(settings).load(), texts)
        settings = override(settings, parsed)
    if settings:
        from mnistctl.models.settings import find_changes

        with model.reporting_errors():
            settings = find_changes(model.with_settings({}).load(), settings)
    for key in SETTINGS_WITH_OPTION:
        if key in settings:
            options.setdefault(key, settings[key])
    settings = {key: value for key, value in settings.items() if key not in SETTINGS_WITH_OPTION}
    return model.with_settings(settings), RunOptions(**options)


def configure_all(
    models: "Sequence[Model]", given: Mapping[str, Any], texts: Mapping[str, str], config: Path | None
) -> "tuple[list[Model], RunOptions]":
    """As `configure`, for several models that have the same settings and options.

    A setting with an option of its own may equal one recipe's value and change another; then it is an option
    of all.
    """
    configured = [configure(model, given, texts, config) for model in models]
    options = configured[0][1]
    for field in SETTINGS_WITH_OPTION:
        for _, each in configured:
            if (value := getattr(each, field)) is not None:
                options = replace(options, **{field: value})
    return [model for model, _ in configured], options


def parse_assignments(assignments: Sequence[str] | None, *, field: str = "settings") -> dict[str, str]:
    """The settings in `--set KEY=VALUE` or in `--vary KEY=VALUE,VALUE`, by key.

    Raises:
        UsageError: one has no `=`, or a key is there twice.
    """
    texts: dict[str, str] = {}
    for assignment in assignments or ():
        key, equals, text = assignment.partition("=")
        key, shown = key.strip(), f"{assignment:.80}"
        if not equals or not key:
            wanted = "KEY=VALUE" if field == "settings" else "KEY=VALUE,VALUE"
            raise UsageError(f"give {wanted}", field=field, value=shown)
        if key in OPTION_FIELDS and key not in SETTINGS_WITH_OPTION:
            raise UsageError(f"{key} is an option, not a setting", field=field, value=shown, remedies=(key,))
        if key in texts:
            how = "set twice" if field == "settings" else "varied twice; give its values with commas"
            raise UsageError(f"{key} is {how}", field=field, value=shown)
        texts[key] = text
    return texts


def _repeat(
    path: Path,
    reference: str | None,
    given: Mapping[str, Any],
    texts: Mapping[str, str],
    init: str | None,
) -> "tuple[Model, RunOptions]":
    """The model and the options of the run that the record at `path` is of."""
    from mnistctl.models.sources import RecipeError, find
    from mnistctl.models.summary import summarize_recipe
    from mnistctl.training.record import read_record

    try:
        record = read_record(path)
    except CheckpointError as error:
        raise CheckpointError(error.message) from None  # its remedies are those of a run of this name
    if record is None:
        meant = (Path(f"{folder}{path}.json") for folder in ("", f"{given.get('out_dir') or 'out'}/"))
        hint = next(
            (f"did you mean {file}?" for file in meant if file.is_file()), "give the NAME.json of a run"
        )
        raise CheckpointError(f"{path}: no such record; {hint}")
    named = None if reference is None else find(reference, title=given.get("name"))
    model = _find_recorded(path, record, named)
    if named is not None and (named.kind, named.base) != (model.kind, model.base):
        raise CheckpointError(f"{path}: is the record of {record.model}, not of {named.name}")
    if record.initial_weights is not None and init is None:
        raise CheckpointError(f"{path}: that run started from trained weights", remedies=("init",))
    lr = record.recipe.settings.get("lr")
    if not isinstance(lr, int | float):
        raise CheckpointError(f"{path}: not a record of a run (recipe.settings.lr)")
    recorded = {
        "epochs": record.recipe.epochs,
        "batch_size": record.recipe.batch_size,
        "lr": lr,
        "seed": record.seed,
        "precision": record.precision,
        "dataset": record.dataset.name,
        "holdout": None if record.holdout is None else record.holdout.count,
        "device": record.device,
        "threads": record.threads,
    }
    try:
        same, repeated = configure(model, recorded, {}, None)
        with same.reporting_errors():
            recipe = summarize_recipe(repeated.recipe(same))
    except RecipeError:
        raise
    except UsageError as error:
        value = "" if error.value is None else f"{error.value}: "
        raise CheckpointError(f"{path}: {value}{error.message}") from None
    if recipe != record.recipe:
        raise CheckpointError(f"{path}: this version of mnistctl has another recipe of {record.model}")
    for key in SETTINGS_WITH_OPTION:
        if key in texts and given.get(key) is None:
            recorded.pop(key)
    changed = recorded | {field: value for field, value in given.items() if value is not None}
    return configure(model, changed, texts, None)


def find_recipes(
    nets: Sequence[str | None], files: Sequence[Path] | None, *, allow_inexact: bool
) -> "Recipes":
    """The recipe files that are named as nets, and with `--recipe`.

    Raises:
        UsageError: a file cannot be read.
    """
    from mnistctl.inference.load import Recipes
    from mnistctl.models.sources import ENDING, find

    named = [net for net in nets if net is not None and net.endswith(ENDING)]
    for file in files or ():
        if file.suffix != ENDING:
            raise UsageError(f"give a recipe file, which ends in {ENDING}", field="recipe", value=file)
    # With a title, the file may be called like another model, which is no mistake here.
    models = [find(name, title=Path(name).stem) for name in (*named, *map(str, files or ()))]
    return Recipes(tuple(models), allow_inexact)


def _find_recorded(path: Path, record: "RunRecord", named: "Model | None") -> "Model":
    """The model of the record at `path`; `named` is the model that the user named, if any.

    Raises:
        CheckpointError: it is unknown here, or its recipe file was not named or has other contents.
    """
    from mnistctl.models.sources import find_saved

    origin = record.origin
    if origin is not None and origin.kind == "file" and (named is None or named.text is None):
        message = f"{path}: its net is defined in a file of your own, {origin.file}"
        raise CheckpointError(message, remedies=("name_file",))
    try:
        return find_saved(path, record.model, origin, [] if named is None or named.text is None else [named])
    except CheckpointError as error:
        remedies = [remedy for remedy in error.remedies if remedy != "allow_inexact"]
        raise CheckpointError(error.message, remedies=remedies) from None


def _with_initial_weights(options: "RunOptions", init: str | None) -> "RunOptions":
    """The options with the checkpoint to start a training from, if one is named.

    Raises:
        CheckpointError: there is none of this name.
    """
    if init is None:
        return options
    from mnistctl.inference.load import find_checkpoint

    return replace(options, init=find_checkpoint(init, options.out_dir))
