"""Load a recipe, check that it can be trained, and report its errors with the file and the line."""

import copy
import hashlib
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from traceback import walk_tb
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from mnistctl import models
from mnistctl.errors import MnistctlError
from mnistctl.models.recipe import NOISE_SIZE, ClassifierRecipe, GanRecipe, Recipe
from mnistctl.models.settings import apply_settings, list_settings
from mnistctl.models.sources import ENTRY_POINTS, Model, RecipeError
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.optim import make_optimizer, optimizer_step

_MODULE_PREFIX = "mnistctl_recipe_"  # of the names of the modules that recipe files become


def load_recipe(model: Model) -> Recipe:
    """The recipe of `model`, with its settings. Its file is executed, or its package imported, once.

    Raises:
        RecipeError: the file or the recipe in it is wrong.
        UsageError: a setting does not exist or has a wrong value.
    """
    recipe = models.load(model.base) if model.kind == "shipped" else _load_checked(model)
    if not model.settings:
        return recipe
    recipe = apply_settings(recipe, model.settings)
    check_recipe(recipe, model)
    return recipe


def _load_checked(model: Model) -> Recipe:
    source = model.package if model.text is None else model.text
    return _load_once(model.kind, model.base, source or "", _filename(model))


@lru_cache(maxsize=64)
def _load_once(kind: str, base: str, source: str, filename: str) -> Recipe:
    """The checked recipe of a file with the text `source`, or of the package `source`."""
    with reporting_errors(filename, anywhere=True):
        if kind == "file":
            recipe = _execute(source, filename)
        else:
            (entry, *_) = metadata.entry_points(group=ENTRY_POINTS, name=base)
            recipe = entry.load()
    if isinstance(recipe, ModuleType):
        recipe = getattr(recipe, "recipe", None)
    if recipe is None:
        raise RecipeError(f"{filename}: defines no `recipe`")
    if not isinstance(recipe, ClassifierRecipe | GanRecipe):
        what = type(recipe).__name__
        raise RecipeError(f"{filename}: `recipe` is of type {what}, not a ClassifierRecipe or a GanRecipe")
    _check(recipe, filename)
    return recipe


def _filename(model: Model) -> str:
    """How errors call the source of the recipe."""
    return f"{model.base} ({model.package})" if model.path is None else str(model.path)


def _execute(text: str, filename: str) -> Any:
    """What the text of a recipe file defines as `recipe`; None if it does not define it."""
    # In sys.modules, as dataclasses and pickle expect it; the folder of the file is not put on the path.
    name = _MODULE_PREFIX + hashlib.sha256(f"{filename}\n{text}".encode()).hexdigest()[:16]
    module = ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module
    # A worker on another machine has the text, but not the file.
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), vars(module))
    return vars(module).get("recipe")


@contextmanager
def reporting_errors(filename: str, *, anywhere: bool = False) -> Iterator[None]:
    """Turn an error that the code of a recipe raises in the block into one line with its file and line.

    Args:
        filename: the file, as in its code objects.
        anywhere: report errors that did not pass through the file, too; otherwise they pass unchanged.

    Raises:
        RecipeError: the code raised an error.
    """
    try:
        yield
    except SyntaxError as error:
        if not anywhere:
            raise
        where = f"{error.filename or filename}, line {error.lineno or 1}"
        raise RecipeError(f"{where}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        line = _line_of_error(error, filename)
        if isinstance(error, MnistctlError) or (line is None and not anywhere):
            raise
        where = filename if line is None else f"{filename}, line {line}"
        raise RecipeError(f"{where}: {_describe(error)}") from None


def _line_of_error(error: BaseException, filename: str) -> int | None:
    """The last line of `filename` that the error passed through; None if it did not."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == filename]
    return lines[-1] if lines else None


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "ends the program"
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text:.200}" if text else kind


def check_recipe(recipe: Recipe, model: Model) -> None:
    """Check that a recipe can be trained: its values, its nets, its optimizer, its schedule and its loss.

    Raises:
        RecipeError: it cannot.
    """
    _check(recipe, model.name if model.kind == "shipped" else _filename(model))


def _check(recipe: Recipe, filename: str) -> None:
    check = _Check(recipe, filename)
    with torch.random.fork_rng(devices=[]):
        check.run()


@dataclass
class _Check:
    """Checks of one recipe. An error names the line of the part that is wrong, if it is in the file."""

    recipe: Recipe
    filename: str

    def run(self) -> None:
        self._check_values()
        self._check_schedule()
        if isinstance(self.recipe, ClassifierRecipe):
            net = self._make("net")
            self._check_classifier(net, self.recipe)
            nets = {"net": net}
        else:
            nets = {part: self._make(part) for part in ("generator", "discriminator")}
            self._check_gan(nets, self.recipe)
        for net in nets.values():
            self._check_optimizer(net)

    def _fail(self, message: str, part: object = None) -> RecipeError:
        line = _line_of(part, self.filename)
        where = self.filename if line is None else f"{self.filename}, line {line}"
        return RecipeError(f"{where}: {message}")

    @contextmanager
    def _attempt(self, what: str, part: object) -> Iterator[None]:
        """Report an error in the block as one of `part`, with its own line where it has one."""
        try:
            with reporting_errors(self.filename):
                yield
        except (Exception, SystemExit) as error:
            if isinstance(error, MnistctlError):
                raise
            raise self._fail(f"{what}: {_describe(error)}", part) from None

    def _check_values(self) -> None:
        for key, setting in list_settings(self.recipe).items():
            value = setting.value
            numbers = value if isinstance(value, tuple) else (value,)
            if key in ("optimizer", "schedule") or (value is None and setting.optional):
                continue
            for number in numbers:
                if isinstance(number, int | float) and number not in setting.range:
                    raise self._fail(f"{key} is {value}; give {setting.values}")
        for key in ("epochs", "batch_size"):
            value = getattr(self.recipe, key)
            if type(value) is not int:
                raise self._fail(f"{key} is {value!r:.40}; give a whole number")
        if type(self.recipe.peak_lr) not in (int, float):
            raise self._fail(f"peak_lr is {self.recipe.peak_lr!r:.40}; give a number")

    def _check_schedule(self) -> None:
        recipe = self.recipe
        with self._attempt("lr_schedule", recipe.lr_schedule):
            rates = recipe.learning_rates()
        if len(rates) != recipe.epochs:
            message = f"lr_schedule gives {len(rates)} learning rates for {recipe.epochs} epochs"
            raise self._fail(message, recipe.lr_schedule)
        if not all(isinstance(rate, int | float) and 0 <= rate < float("inf") for rate in rates):
            message = "lr_schedule gives a learning rate that is not a number from 0 up"
            raise self._fail(message, recipe.lr_schedule)

    def _make(self, part: str) -> nn.Module:
        """The net, after the checks that do not need its inputs."""
        function = getattr(self.recipe, part)
        with self._attempt(part, function):
            net = function()
        if not isinstance(net, nn.Module):
            raise self._fail(f"{part}() gives a {type(net).__name__}, not a torch.nn.Module", function)
        if any(isinstance(p, UninitializedTensorMixin) for p in net.parameters()):
            raise self._fail(f"{part}() has lazy layers; give their sizes", function)
        if not any(p.requires_grad for p in net.parameters()):
            raise self._fail(f"{part}() has no parameters to train", function)
        for name, tensor in net.state_dict().items():
            if not bool(tensor.isfinite().all()):
                message = (
                    f"{part}(): {name} has numbers that are not finite; register it with persistent=False"
                )
                raise self._fail(message, function)
        return net

    def _call(self, part: str, net: nn.Module, *inputs: Tensor) -> Any:
        """The output of the net, in training and in evaluation mode; both have the same shape."""
        forward = type(net).forward
        needed = _needed_inputs(net)
        if needed is not None and len(needed) != len(inputs):
            message = f"forward takes {len(needed)} inputs ({', '.join(needed)}), and gets {len(inputs)}"
            raise self._fail(message, forward)
        output: Any = None
        for training in (True, False):
            net.train(training)
            with self._attempt(f"{part}'s forward pass", forward), torch.no_grad():
                output = net(*inputs)
            if not isinstance(output, Tensor):
                raise self._fail(f"{part}() gives a {type(output).__name__}, not a tensor", forward)
        return output

    def _expect(self, part: str, net: nn.Module, shape: tuple[int, ...], *inputs: Tensor) -> None:
        output = self._call(part, net, *inputs)
        if output.shape != shape:
            message = f"{part}() gives {list(output.shape)} for {len(inputs[0])} images, not {list(shape)}"
            where = type(net).forward if _line_of(type(net).forward, self.filename) else None
            raise self._fail(message, where or getattr(self.recipe, part))
        if not output.is_floating_point():
            raise self._fail(f"{part}() gives {output.dtype}, not floating point numbers", type(net).forward)

    def _check_classifier(self, net: nn.Module, recipe: ClassifierRecipe) -> None:
        self._expect("net", net, (2, 10), torch.zeros(2, 1, 28, 28))
        if recipe.swa_epochs:
            with self._attempt("a copy of the net, which weight averaging needs", type(net)):
                copy.deepcopy(net)
        if recipe.loss is None:
            return
        if recipe.label_smoothing:
            raise self._fail("label_smoothing is of the cross entropy, which `loss` replaces", recipe.loss)
        logits = torch.zeros(2, 10, requires_grad=True)
        with self._attempt("loss", recipe.loss):
            loss = recipe.loss(logits, torch.tensor([1, 2]))
        if not (isinstance(loss, Tensor) and loss.dim() == 0 and loss.requires_grad):
            raise self._fail("loss(logits, labels) gives no single number with a gradient", recipe.loss)

    def _check_gan(self, nets: Mapping[str, nn.Module], recipe: GanRecipe) -> None:
        condition = recipe.condition(torch.zeros(2, dtype=torch.int64))
        if recipe.conditional and not isinstance(nets["generator"], ConditionedNet):
            message = "the generator of a conditional recipe must be a mnistctl.nn.layers.ConditionedNet"
            raise self._fail(message, recipe.generator)
        noise, images = torch.zeros(2, NOISE_SIZE, 1, 1), torch.zeros(2, 1, 28, 28)
        self._expect("generator", nets["generator"], (2, 1, 28, 28), noise, *condition)
        self._expect("discriminator", nets["discriminator"], (2,), images, *condition)

    def _check_optimizer(self, net: nn.Module) -> None:
        recipe = self.recipe
        with self._attempt("optimizer", recipe.optimizer):
            optimizer: object = make_optimizer(recipe.optimizer, list(net.parameters()))
        if not isinstance(optimizer, torch.optim.Optimizer):
            message = f"optimizer gives a {type(optimizer).__name__}, not a torch.optim.Optimizer"
            raise self._fail(message, recipe.optimizer)
        for param in (param for param in net.parameters() if param.requires_grad):
            param.grad = torch.zeros_like(param)
        with self._attempt("the optimizer's step", recipe.optimizer):
            optimizer_step(optimizer)
        for values in optimizer.state_dict()["state"].values():
            for name, value in values.items():
                if not isinstance(value, Tensor | int | float | None):
                    message = (
                        f"the optimizer keeps a {type(value).__name__}, {name}; only tensors and numbers"
                    )
                    raise self._fail(f"{message} can be saved", recipe.optimizer)


def _needed_inputs(net: nn.Module) -> list[str] | None:
    """The names of the inputs of `forward` without defaults; None if it takes any number."""
    parameters = inspect.signature(net.forward).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]


def _line_of(part: object, filename: str) -> int | None:
    """The line of `filename` where a function or a class is defined; None if it is not defined there."""
    part = getattr(part, "func", part)  # of a partial
    if inspect.isclass(part):
        part = part.__init__ if "__init__" in vars(part) else getattr(part, "forward", part)
    code = getattr(inspect.unwrap(part), "__code__", None) if callable(part) else None
    return code.co_firstlineno if code is not None and code.co_filename == filename else None
