"""Where the recipe of a model comes from: this package, an installed package, or a file that the user names.

Code runs only from a file whose path the user gave, or from an installed package. `Origin` is what records
and checkpoints hold about a recipe. It includes the text of the file, which is never executed: there is no
way from an Origin back to code.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models import CLASSIFIERS, GENERATORS, unknown_model_error
from mnistctl.models.pretrained import PRETRAINED
from mnistctl.models.values import SettingValue, format_value
from mnistctl.schema import Schema

if TYPE_CHECKING:
    from mnistctl.models.recipe import Recipe

ENTRY_POINTS = "mnistctl.models"  # the group of entry points by which packages offer recipes
ENDING = ".py"
_MAX_BYTES = 1 << 20  # of a recipe file
_SHIPPED = CLASSIFIERS | GENERATORS
_SLUG = re.compile(r"[A-Za-z0-9._=,+-]{1,80}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class RecipeError(UsageError):
    """A recipe file or a package's recipe is wrong: the message names the file and the line."""


@dataclass(frozen=True, kw_only=True)
class Origin(Schema):
    """Where a recipe came from, as records and checkpoints hold it. None of it is ever executed.

    Args:
        base: the shipped model, the package's model, or the name of the file without `.py`.
        kind: "shipped", "package" or "file".
        settings: the settings that were changed, by key.
        package: name and version of the package.
        file: name of the file.
        sha256: SHA-256 of the file.
        text: contents of the file.
    """

    base: str
    kind: Literal["shipped", "package", "file"] = "shipped"
    settings: dict[str, SettingValue] = field(default_factory=dict)
    package: str | None = None
    file: str | None = None
    sha256: str | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model to train: where its recipe is, and the settings that are changed in it.

    `find` makes it. It can be sent to another process, which then runs the same text.

    Args:
        base, kind, settings, package: as in `Origin`.
        title: the model's name, where it is not `base`.
        path: the file as the user named it.
        text: contents of the file, which `load` executes.
    """

    base: str
    kind: Literal["shipped", "package", "file"] = "shipped"
    settings: dict[str, SettingValue] = field(default_factory=dict)
    package: str | None = None
    title: str | None = None
    path: Path | None = None
    text: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The model's name. A model with changed settings has them in its name."""
        name = self.title or self.base
        return f"{name}-{_slug(self.settings)}" if self.settings else name

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the recipe file; None without one."""
        return None if self.text is None else hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def origin(self) -> Origin | None:
        """What records hold about the recipe; None for a shipped one without changes."""
        if self.kind == "shipped" and not self.settings:
            return None
        return Origin(
            base=self.base,
            kind=self.kind,
            settings=self.settings,
            package=self.package,
            file=None if self.path is None else self.path.name,
            sha256=self.sha256,
            text=self.text,
        )

    @property
    def reference(self) -> str:
        """How the user names the model: the path of its file, or its name without the settings."""
        return self.base if self.path is None else str(self.path)

    @property
    def source(self) -> str:
        """How errors call what the recipe was read from: the file as named, or the name and the package."""
        if self.path is not None:
            return str(self.path)
        return f"{self.base} ({self.package})" if self.kind == "package" else self.name

    def with_settings(self, settings: Mapping[str, SettingValue]) -> "Model":
        """The model with these settings changed, and no others. They are sorted by key, as in its name."""
        return replace(self, settings=dict(sorted(settings.items())))

    def reporting_errors(self) -> AbstractContextManager[None]:
        """Turn an error of the model's own code in a block into one line with the file and the line.

        Raises:
            RecipeError: in the block: the code raised an error.
        """
        if self.kind == "shipped":
            return nullcontext()
        from mnistctl.models.reporting import reporting_errors

        return reporting_errors(self.source)

    def load(self) -> "Recipe":
        """The recipe with the model's settings. This executes the file, or imports the package.

        Raises:
            RecipeError: the file or the recipe in it is wrong.
            UsageError: a setting does not exist or has a wrong value.
        """
        from mnistctl.models.loading import load_recipe

        return load_recipe(self)


def _slug(settings: Mapping[str, SettingValue]) -> str:
    """The settings as a part of a file name; a digest of them if they are long or have other characters."""
    slug = "-".join(f"{key}={format_value(value)}" for key, value in sorted(settings.items()))
    return slug if _SLUG.fullmatch(slug) else f"set-{hashlib.sha256(slug.encode()).hexdigest()[:12]}"


def find(reference: str, *, title: str | None = None) -> Model:
    """The model that the user means. Nothing is executed or imported.

    Args:
        reference: name of a shipped model or of a package's, or path of a recipe file, which ends in `.py`.
        title: the model's name if its recipe is a file called like another model.

    Raises:
        UsageError: there is no such model, the file cannot be read, or its name is that of another model.
    """
    if reference in _SHIPPED:
        return Model(base=reference)
    if reference.endswith(ENDING):
        return _find_file(Path(reference), title)
    packages = package_models()
    if reference in packages:
        return Model(base=reference, kind="package", package=packages[reference])
    if reference and Path(f"{reference}{ENDING}").is_file():
        raise UsageError(f"no model is called {reference!r}; did you mean {reference}{ENDING}?")
    if reference in PRETRAINED:
        what = PRETRAINED[reference].partition(",")[0]
        raise UsageError(f"{reference} is the name of trained weights; the model is {what}")
    if Path(reference).is_file():
        raise UsageError(f"{reference}: not a model; the name of a recipe file ends in {ENDING}")
    raise unknown_model_error(reference, [*_SHIPPED, *packages])


def to_model(model: str | os.PathLike[str] | Model) -> Model:
    """`model`, or the model that this name or path means.

    Raises:
        UsageError: it is nothing of this kind, or as `find`.
    """
    if isinstance(model, Model):
        return model
    given: object = model
    if isinstance(given, str | os.PathLike):
        return find(os.fspath(given))
    message = f"give a model, its name or the path of its recipe file, not {type(given).__name__}"
    raise UsageError(message, field="model", value=f"{given!r:.40}")


def _find_file(path: Path, title: str | None) -> Model:
    text = _read(path)
    stem = path.name.removesuffix(ENDING)
    if not stem:
        raise UsageError(f"{path}: give the file a name before {ENDING}")
    if not is_taken(stem):
        return Model(base=stem, kind="file", path=path, text=text)
    if title is None:
        raise UsageError(f"{path}: a model is already called {stem}", remedies=("rename_file", "name"))
    return Model(base=stem, kind="file", title=title, path=path, text=text)


def is_taken(name: str) -> bool:
    """Whether a shipped model or a package's has this name."""
    return name in _SHIPPED or name in package_models()


def _read(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: not a file")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, so not a recipe file")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file in UTF-8") from None


def package_models() -> dict[str, str]:
    """The models that installed packages offer: by name, the package and its version. Nothing is imported."""
    from importlib import metadata  # which takes long to import, and most commands do not need it

    offered: dict[str, str] = {}
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        if _NAME.fullmatch(entry.name) and entry.name not in _SHIPPED and not entry.name.endswith(ENDING):
            distribution = entry.dist
            package = "" if distribution is None else f"{distribution.name} {distribution.version}"
            offered.setdefault(entry.name, package)
    return offered


def find_saved(
    path: Path, name: str, origin: Origin | None, recipes: Sequence[Model], *, allow_inexact: bool = False
) -> Model:
    """The model of a saved run, from the shipped models, the installed packages, and `recipes`.

    Args:
        path: the saved file, for the errors.
        name: the model's name in it.
        origin: where the file says that the recipe came from.
        recipes: the recipe files that the user named.
        allow_inexact: accept a recipe file with other contents.

    Raises:
        CheckpointError: the model is unknown here, or its recipe file was not named or has other contents.
    """
    if origin is None:
        if name not in _SHIPPED:
            raise CheckpointError(f"{path}: unknown model {name!r:.40}", remedies=("update",))
        return Model(base=name)
    if origin.kind == "file":
        return _find_recipe(path, origin, recipes, allow_inexact).with_settings(origin.settings)
    if origin.kind == "shipped" and origin.base in _SHIPPED:
        return Model(base=origin.base, settings=origin.settings)
    if origin.kind == "package" and origin.base in (packages := package_models()):
        package = packages[origin.base]
        return Model(base=origin.base, kind="package", package=package, settings=origin.settings)
    hint = f" of the package {origin.package}, which is not installed" if origin.kind == "package" else ""
    raise CheckpointError(f"{path}: unknown model {origin.base!r:.40}{hint}", remedies=("update",))


def _find_recipe(path: Path, origin: Origin, recipes: Sequence[Model], allow_inexact: bool) -> Model:
    """The one of `recipes` that `origin` describes."""
    for model in recipes:
        if model.sha256 == origin.sha256:
            return model
    named_alike = [model for model in recipes if model.base == origin.base] or list(recipes)
    if not named_alike:
        message = f"{path}: its net is defined in a file of your own, {origin.file or origin.base + ENDING}"
        raise CheckpointError(message, remedies=("recipe",))
    if allow_inexact:
        return named_alike[0]
    message = f"{named_alike[0].path}: not the file that {path} was trained from (another SHA-256)"
    raise CheckpointError(message, remedies=("allow_inexact",))


def check_distinct(models: Sequence[Model]) -> None:
    """Check that no two models have the same name.

    Raises:
        UsageError: two have.
    """
    names = [model.name for model in models]
    for model in models:
        if names.count(model.name) > 1:
            if model.path is not None:
                message = f"two models of this command are called {model.name}; rename {model.path}"
                raise UsageError(message)
            raise UsageError("a model is named twice; choose the number of its trials", remedies=("count",))
