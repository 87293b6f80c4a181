"""Check that a recipe can be trained, before anything is trained."""

import ast
import copy
import inspect
import linecache
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from mnistctl.errors import MnistctlError, plural
from mnistctl.models.recipe import NOISE_SIZE, ClassifierRecipe, GanRecipe, Recipe, wrong_learning_rates
from mnistctl.models.reporting import describe_error, reporting_errors
from mnistctl.models.settings import list_settings
from mnistctl.models.sources import RecipeError
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.optim import make_optimizer, optimizer_step, without_dynamo
from mnistctl.nn.seeding import separate_draws

# The types of a recipe's fields that are no functions, and how errors call them.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "epochs": ((int,), "a whole number"),
    "batch_size": ((int,), "a whole number"),
    "peak_lr": ((int, float), "a number"),
    "shuffle": ((bool,), "True or False"),
    "label_smoothing": ((int, float), "a number"),
    "augment": ((Augmentation,), "an Augmentation, as Augmentation(shift=2)"),
    "swa_fraction": ((int, float, type(None)), "a number or None"),
    "seed_offset": ((int,), "a whole number"),
    "baseline": ((ClassifierRecipe, type(None)), "a ClassifierRecipe or None"),
    "conditional": ((bool,), "True or False"),
    "real_targets": ((tuple,), "two numbers in parentheses"),
}
_FUNCTIONS = {
    "net": "the function or class that makes the net",
    "generator": "the function or class that makes the net",
    "discriminator": "the function or class that makes the net",
    "optimizer": "a torch.optim class, or functools.partial(CLASS, lr=...)",
    "lr_schedule": "a schedule, as Constant()",
    "loss": "a function of logits and labels, as nn.CrossEntropyLoss()",
}


def check_recipe(recipe: Recipe, source: str) -> None:
    """Check a recipe: its values, its nets, its optimizer, its schedule and its loss.

    A training step is taken with two black images, by nets that are optimized as those of a run.

    Args:
        recipe: the recipe.
        source: its file as the user named it, or what errors are to call it.

    Raises:
        RecipeError: it cannot be trained.
    """
    check = _Check(recipe, source)
    with separate_draws(), torch.enable_grad():
        check.run()


def check_numbers(recipe: Recipe, source: str) -> None:
    """Check the values of a recipe and its schedule, without its nets and its optimizer.

    Args:
        recipe, source: as of `check_recipe`.

    Raises:
        RecipeError: a value has a wrong type or is out of range, or the schedule gives wrong rates.
    """
    _Check(recipe, source).check_numbers()


@dataclass
class _Check:
    """Checks of one recipe. An error names the line of the part that is wrong, if it is in the file."""

    recipe: Recipe
    source: str

    def check_numbers(self) -> None:
        self._check_types()
        self._check_values()
        self._check_schedule()

    def run(self) -> None:
        self.check_numbers()
        if isinstance(self.recipe, ClassifierRecipe):
            self._check_classifier(self.recipe)
        else:
            self._check_gan(self.recipe)

    def _fail(self, message: str, part: object = None, field: str | None = None) -> RecipeError:
        line = _line_of(part, self.source) or _line_of_field(field, self.source)
        where = self.source if line is None else f"{self.source}, line {line}"
        return RecipeError(f"{where}: {message}")

    @contextmanager
    def _attempt(self, what: str, field: str, part: object = None) -> Iterator[None]:
        """Report an error in the block, with the line of the file where it was raised or `part` is."""
        try:
            with reporting_errors(self.source):
                yield
        except RecipeError as error:
            if error.message.startswith(f"{self.source}, line"):
                raise
            text = error.message.removeprefix(f"{self.source}: ")
            raise self._fail(f"{what}: {text}", part, field) from None
        except Exception as error:
            if isinstance(error, MnistctlError):
                raise
            raise self._fail(f"{what}: {describe_error(error)}", part, field) from None

    def _check_types(self) -> None:
        for field, (types, wanted) in _TYPES.items():
            value = getattr(self.recipe, field, ...)
            if value is not ... and type(value) not in types:
                raise self._fail(f"{field} is {value!r:.40}; give {wanted}", field=field)
        for name, value in vars(getattr(self.recipe, "augment", None) or Augmentation()).items():
            if type(value) not in (int, float):
                raise self._fail(f"augment.{name} is {value!r:.40}; give a number", field="augment")
        for field, wanted in _FUNCTIONS.items():
            value = getattr(self.recipe, field, ...)
            if value is ... or (field == "loss" and value is None):
                continue
            makes_wrong = field == "loss" and isinstance(value, type) and issubclass(value, nn.Module)
            is_made = field in ("net", "generator", "discriminator") and isinstance(value, nn.Module)
            if not callable(value) or makes_wrong or is_made:
                what = f"the class {value.__name__}" if makes_wrong else f"of type {type(value).__name__}"
                raise self._fail(f"{field} is {what}; give {wanted}", field=field)

    def _check_values(self) -> None:
        for key, setting in list_settings(self.recipe).items():
            value = setting.value
            numbers = value if isinstance(value, tuple) else (value,)
            if key in ("optimizer", "schedule") or (value is None and setting.optional):
                continue
            for number in numbers:
                if isinstance(number, int | float) and number not in setting.range:
                    name = "peak_lr" if key == "lr" else key
                    field = name.partition(".")[0]
                    raise self._fail(f"{name} is {value}; give {setting.values}", field=field)

    def _check_schedule(self) -> None:
        schedule = self.recipe.lr_schedule
        with self._attempt("lr_schedule", "lr_schedule", schedule):
            message = wrong_learning_rates(self.recipe)
        if message:
            raise self._fail(f"lr_schedule gives {message}", schedule, "lr_schedule")

    def _make(self, field: str) -> nn.Module:
        """The net, after the checks that do not need its inputs."""
        function = getattr(self.recipe, field)
        with self._attempt(field, field, function):
            net, another = function(), function()
        message = ""
        if not isinstance(net, nn.Module):
            message = f" gives a {type(net).__name__}, not a torch.nn.Module"
        elif any(isinstance(p, UninitializedTensorMixin) for p in net.parameters()):
            message = " has lazy layers; give their sizes"
        elif not any(p.requires_grad for p in net.parameters()):
            message = " has no parameters to train"
        else:
            for name, value in net.state_dict().items():
                if not isinstance(value, Tensor):
                    message = f" has the state {name}, a {type(value).__name__}; only tensors can be saved"
                elif value.device.type != "cpu":
                    message = f" makes {name} on the device {value.device}; leave it on the processor"
                elif not bool(value.isfinite().all()):
                    message = f": {name} has numbers that are not finite; register it with persistent=False"
            if not message and _trained_memory(net) & _trained_memory(another):
                message = " gives the same weights again; make new ones in each call, or one run starts with "
                message += "the weights of another"
        if message:
            raise self._fail(f"{field}(){message}", function, field)
        with self._attempt(field, field, function):
            return optimize_for(net, torch.device("cpu"))

    def _call(self, field: str, net: nn.Module, shape: tuple[int, ...], *inputs: Tensor) -> Tensor:
        """The output of the net in training mode. It must have this shape in evaluation mode, too.

        Args:
            field: the field that made the net.
            net: the net.
            shape: of the output for one image.
            inputs: its inputs for two images.
        """
        forward = getattr(type(net), "forward", None)
        needed = _needed_inputs(net)
        if needed is not None and len(needed) != len(inputs):
            names = f" ({', '.join(needed)})" if needed else ""
            message = f"forward takes {len(needed)} inputs{names}, and gets {len(inputs)}"
            raise self._fail(message, forward, field)
        own = forward if _line_of(forward, self.source) else getattr(self.recipe, field)
        output: Any = None
        alone = 2 if field == "discriminator" else 1  # which is only called with batches
        for training, count in ((False, 2), (False, alone), (True, 2)):
            net.train(training)
            with self._attempt(f"{field}'s forward pass", field, own):
                output = net(*(each[:count] for each in inputs))
            message = ""
            if not isinstance(output, Tensor):
                message = f"a {type(output).__name__}, not a tensor"
            elif output.shape != (count, *shape):
                message = f"{list(output.shape)} for {plural(count, 'image')}, not {[count, *shape]}"
            elif not output.is_floating_point():
                message = f"{output.dtype}, not floating point numbers"
            elif not output.requires_grad:
                message = "an output without gradients; leave out torch.no_grad and detach"
            if message:
                raise self._fail(f"{field}() gives {message}", own, field)
        return output  # type: ignore[no-any-return]

    def _check_classifier(self, recipe: ClassifierRecipe) -> None:
        if (baseline := recipe.baseline) is not None:
            if not recipe.swa_epochs or baseline.swa_epochs:
                message = "a baseline has no swa_fraction, and is for a recipe with one"
                raise self._fail(message, field="baseline")
            _Check(baseline, self.source).run()
        if recipe.loss is not None and recipe.label_smoothing:
            message = "label_smoothing is of the cross entropy, which `loss` replaces"
            raise self._fail(message, recipe.loss, "label_smoothing")
        net = self._make("net")
        logits = self._call("net", net, (10,), torch.zeros(2, 1, 28, 28))
        if recipe.swa_epochs:
            with self._attempt("a copy of the net, which weight averaging needs", "net", type(net)):
                copy.deepcopy(net)
        labels = torch.tensor([1, 2])
        loss: Any = F.cross_entropy(logits.float(), labels)
        if recipe.loss is not None:
            with self._attempt("loss", "loss", recipe.loss):
                own = copy.deepcopy(recipe.loss) if isinstance(recipe.loss, nn.Module) else recipe.loss
                loss = own(logits.float(), labels)
            if not (isinstance(loss, Tensor) and loss.dim() == 0 and loss.requires_grad):
                message = "loss(logits, labels) gives no single number with a gradient"
                raise self._fail(message, recipe.loss, "loss")
        self._check_step(net, loss)

    def _check_gan(self, recipe: GanRecipe) -> None:
        low, high = recipe.real_targets
        if low > high:
            raise self._fail(f"real_targets is {low}, {high}; give the lower one first", field="real_targets")
        nets = {field: self._make(field) for field in ("generator", "discriminator")}
        condition = recipe.condition(torch.zeros(2, dtype=torch.int64))
        if recipe.conditional and not isinstance(nets["generator"], ConditionedNet):
            message = "the generator of a conditional recipe must be a mnistctl.nn.layers.ConditionedNet"
            raise self._fail(message, recipe.generator, "generator")
        noise, images = torch.zeros(2, NOISE_SIZE, 1, 1), torch.zeros(2, 1, 28, 28)
        fake = self._call("generator", nets["generator"], (1, 28, 28), noise, *condition)
        self._call("discriminator", nets["discriminator"], (), images, *condition)
        logits = self._call("discriminator", nets["discriminator"], (), fake, *condition).float()
        loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        for net in nets.values():
            self._check_step(net, loss)

    def _check_step(self, net: nn.Module, loss: Tensor) -> None:
        """Check the gradients of the net and a step of its optimizer."""
        params = [param for param in net.parameters() if param.requires_grad]
        with self._attempt("the backward pass", "net", type(net)):
            gradients = torch.autograd.grad(loss, params, allow_unused=True, retain_graph=True)
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient
        self._check_optimizer(net)

    def _check_optimizer(self, net: nn.Module) -> None:
        """Check an optimizer of the net, whose gradients are there, and that its state can be saved."""
        create, params = self.recipe.optimizer, list(net.parameters())
        with self._attempt("optimizer", "optimizer", create), without_dynamo():
            optimizer: object = create(params)
        if not isinstance(optimizer, torch.optim.Optimizer):
            message = f"optimizer gives a {type(optimizer).__name__}, not a torch.optim.Optimizer"
            raise self._fail(message, create, "optimizer")
        closure = inspect.signature(type(optimizer).step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            message = f"{type(optimizer).__name__} needs a closure, so it cannot be used here"
            raise self._fail(message, create, "optimizer")
        with self._attempt("the optimizer's step", "optimizer", create):
            optimizer = make_optimizer(create, params)
            optimizer_step(optimizer)
        for values in optimizer.state_dict()["state"].values():
            for name, value in values.items():
                if not isinstance(value, Tensor | int | float | None):
                    message = (
                        f"the optimizer keeps a {type(value).__name__}, {name}; only tensors and numbers"
                    )
                    raise self._fail(f"{message} can be saved", create, "optimizer")


def error_with_one_image(recipe: Recipe) -> str:
    """What goes wrong if a net of the recipe is trained on a batch of one image; empty if nothing does."""
    image, digit = torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.int64)
    with separate_draws(), torch.no_grad():
        try:
            if isinstance(recipe, ClassifierRecipe):
                recipe.net().train()(image)
                return ""
            condition = recipe.condition(digit)
            recipe.generator().train()(torch.zeros(1, NOISE_SIZE, 1, 1), *condition)
            shape = tuple(recipe.discriminator().train()(image, *condition).shape)
            return "" if shape == (1,) else f"the discriminator gives {list(shape)}, not [1]"
        except Exception as error:  # noqa: BLE001 - a net may raise any
            return describe_error(error)


def _trained_memory(net: nn.Module) -> set[int]:
    """The addresses of the memory of the trained parameters."""
    return {p.untyped_storage().data_ptr() for p in net.parameters() if p.requires_grad and p.numel()}


def _needed_inputs(net: nn.Module) -> list[str] | None:
    """The names of the inputs of `forward` without defaults; None if it takes any number."""
    try:
        parameters = inspect.signature(net.forward).parameters.values()
    except (TypeError, ValueError):  # a function in C without a signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]


def _line_of(part: object, source: str) -> int | None:
    """The line of the file where a function or a class is defined; None if it is not defined there."""
    part = getattr(part, "func", part)  # of a partial
    if inspect.isclass(part):
        part = part.__init__ if "__init__" in vars(part) else getattr(part, "forward", part)
    code = getattr(inspect.unwrap(part), "__code__", None) if callable(part) else None
    return code.co_firstlineno if code is not None and code.co_filename == source else None


def _line_of_field(field: str | None, source: str) -> int | None:
    """The line of the file that gives the field of `recipe`, else that of `recipe`; None if there is none."""
    if source not in linecache.cache:
        return None
    line = None
    for statement in ast.parse("".join(linecache.getlines(source))).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "recipe" for target in targets):
            line = statement.lineno
            call = statement.value  # type: ignore[attr-defined]
            keywords: Mapping[str | None, int] = {}
            if isinstance(call, ast.Call):
                keywords = {keyword.arg: keyword.value.lineno for keyword in call.keywords}
            line = keywords.get(field, line)
    return line
