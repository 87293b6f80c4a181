"""Configuration files: settings of a recipe and options of a run, in TOML."""

import tomllib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistctl.cli.commands import expand_home
from mnistctl.errors import UsageError, suggest

if TYPE_CHECKING:
    from mnistctl.models.sources import Model
    from mnistctl.models.values import SettingValue

# The options of a run that `train` and `trials` share with a configuration file, by field of RunOptions.
OPTION_FIELDS = (
    "epochs",
    "batch_size",
    "lr",
    "seed",
    "dataset",
    "data_dir",
    "device",
    "threads",
    "precision",
    "out_dir",
    "name",
    "holdout",
)
# Settings that have an option of their own.
SETTINGS_WITH_OPTION = ("epochs", "batch_size", "lr")
_MAX_BYTES = 1 << 20  # of a configuration file


def read_config(
    path: Path, model: "Model", fields: Container[str]
) -> "tuple[dict[str, SettingValue], dict[str, Any]]":
    """The settings and the options in a configuration file.

    A table has the settings below its name, and its own value as `name`: `[optimizer]` with `name = "adamw"`
    and `weight_decay = 0.1`.

    Args:
        path: the file.
        model: the model that is configured.
        fields: the options that the command has.

    Raises:
        UsageError: the file cannot be read, or a key does not exist or has a wrong value.
    """
    from mnistctl.models.settings import check_settings, list_settings

    values = _read_toml(path)
    options = {key: values.pop(key) for key in OPTION_FIELDS if key in values}
    with model.reporting_errors():
        known = list_settings(model.load())
    settings = {key: options.pop(key) for key in SETTINGS_WITH_OPTION if key in options} | values
    for key in values:
        prefix = key.partition(".")[0]
        checked_below = prefix == "augment" or (prefix in ("optimizer", "schedule") and prefix in values)
        if key not in known and not checked_below:
            hint = suggest(key, [*known, *OPTION_FIELDS]).removesuffix(";")
            raise UsageError(f"{path}: there is no setting or option {key!r:.60}{hint}")
    for key in options:
        if key not in fields:
            raise UsageError(f"{path}: this command has no option {key}")
    try:
        return check_settings(model.load(), settings), _check_options(options)
    except UsageError as error:
        key = "" if error.field == "settings" else f"{error.field}="
        value = "" if error.value is None else f"{key}{error.value}: "
        raise UsageError(f"{path}: {value}{error.message}", remedies=error.remedies) from None


def list_keys(path: Path) -> Container[str]:
    """The keys in a configuration file that was read before; none if it cannot be read again."""
    try:
        return _read_toml(path) if path.is_file() else ()
    except UsageError:
        return ()


def _read_toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file by dotted key.

    Raises:
        UsageError: the file cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            message = f"larger than {_MAX_BYTES >> 20} MiB, so not a configuration file"
            raise UsageError(message, field="config", value=path)
        return dict(_flatten(tomllib.loads(content.decode("utf-8-sig"))))
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", field="config", value=path) from None
    except UnicodeDecodeError:
        raise UsageError("not a text file in UTF-8", field="config", value=path) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not a TOML file ({error})", field="config", value=path) from None


def _flatten(table: Mapping[str, object], prefix: str = "") -> list[tuple[str, Any]]:
    """The values of a TOML table by dotted key; `name` in a table is the value of the table's own key."""
    values: list[tuple[str, Any]] = []
    for name, value in table.items():
        key = prefix if prefix and name == "name" else f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict):
            values += _flatten(value, key)
        else:
            values.append((key, tuple(value) if isinstance(value, list) else value))
    return values


def _check_options(options: Mapping[str, object]) -> dict[str, Any]:
    """Options of a configuration file with the types of RunOptions.

    Raises:
        UsageError: one has another type.
    """
    from mnistctl.data.datasets import get_dataset

    for field, value in options.items():
        kind, wanted = (
            (int, "a whole number") if field in ("seed", "threads", "holdout") else (str, "text in quotes")
        )
        if type(value) is not kind:
            raise UsageError(f"{field}: give {wanted}")
    if "dataset" in options:
        get_dataset(str(options["dataset"]))
    if options.get("precision", "float32") not in ("float32", "bf16"):
        message = "choose one of float32, bf16"
        raise UsageError(message, field="precision", value=f"{options['precision']:.40}")
    folders = {}
    for field in {"data_dir", "out_dir"} & options.keys():
        try:
            folders[field] = expand_home(Path(str(options[field])))
        except UsageError as error:
            raise UsageError(f"{field}: {error.message}") from None
    return {**options, **folders}
