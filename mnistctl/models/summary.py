"""Summaries of models: layers, recipes and published accuracies as plain values, for tables and files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl.models.recipe import NOISE_SIZE, ClassifierRecipe, GanRecipe
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.optim import make_optimizer
from mnistctl.nn.schedules import Schedule, changes_every_step
from mnistctl.nn.seeding import separate_draws
from mnistctl.schema import Schema


@dataclass(frozen=True)
class LayerSummary(Schema):
    """One layer: name in the net, printed form, output shape for one image, number of parameters."""

    name: str
    layer: str
    output: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, kw_only=True)
class RecipeSummary(Schema):
    """A recipe as records hold it.

    Args:
        epochs: number of epochs.
        batch_size: images per optimizer step.
        lr_schedule: the learning rate of each epoch.
        optimizer: name of the optimizer's class.
        settings: the optimizer's settings, the peak learning rate as `lr`.
        label_smoothing, shuffle, swa_epochs: of a classifier's recipe, see `ClassifierRecipe`.
        loss: name of a classifier's own loss; None for the cross entropy.
        augment: a classifier's augmentation; None for none.
        step_schedule: the schedule as Python writes it, if it changes the rate in every step; else None.
        conditional, real_targets: of a GAN's recipe, see `GanRecipe`.
    """

    epochs: int
    batch_size: int
    lr_schedule: tuple[float, ...]
    optimizer: str
    settings: dict[str, bool | int | float | tuple[float, ...]]
    label_smoothing: float | None = None
    shuffle: bool | None = None
    swa_epochs: int | None = None
    loss: str | None = None
    augment: Augmentation | None = None
    step_schedule: str | None = None
    conditional: bool | None = None
    real_targets: tuple[float, float] | None = None

    @classmethod
    def upgrade(cls, value: Any) -> Any:
        """`value` with the keys of this version; those of records before version 3 differ."""
        return {_OLD_KEYS.get(key, key): item for key, item in value.items()}


_OLD_KEYS = {
    "batch": "batch_size",
    "rates": "lr_schedule",
    "smoothing": "label_smoothing",
    "averaged": "swa_epochs",
    "targets": "real_targets",
}


def count_parameters(recipe: ClassifierRecipe | GanRecipe) -> tuple[int, ...]:
    """The number of parameters of each net; of a GAN the generator, then the discriminator."""
    with separate_draws():
        if isinstance(recipe, ClassifierRecipe):
            nets = [recipe.net()]
        else:
            nets = [recipe.generator(), recipe.discriminator()]
    return tuple(sum(p.numel() for p in net.parameters()) for net in nets)


def summarize_nets(recipe: ClassifierRecipe | GanRecipe) -> dict[str, list[LayerSummary]]:
    """The layers of each net of a recipe: under "generator" and "discriminator", or "" for a classifier."""
    pixels = torch.zeros(1, 1, 28, 28)
    with separate_draws():
        if isinstance(recipe, ClassifierRecipe):
            return {"": summarize_layers(recipe.net(), pixels)}
        condition = recipe.condition(torch.zeros(1, dtype=torch.int64))
        noise = torch.zeros(1, NOISE_SIZE, 1, 1)
        return {
            "generator": summarize_layers(recipe.generator(), noise, *condition),
            "discriminator": summarize_layers(recipe.discriminator(), pixels, *condition),
        }


def summarize_layers(net: nn.Module, *inputs: Tensor) -> list[LayerSummary]:
    """The layers of `net` in the order in which the forward pass calls them, then its other parameters.

    Each parameter is counted once, where it is first used.

    Args:
        net: the net; it is left in evaluation mode.
        inputs: its inputs for a batch of one image.
    """
    layers: list[LayerSummary] = []
    hooks: list[Any] = []
    counted: set[Tensor] = set()

    def count(params: Iterable[Tensor]) -> int:
        new = set(params) - counted
        counted.update(new)
        return sum(param.numel() for param in new)

    def record_calls(name: str, module: nn.Module) -> None:
        def hook(module: nn.Module, _: object, outputs: Any) -> None:
            output: Any = outputs[0] if isinstance(outputs, tuple) else outputs
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            layers.append(LayerSummary(name, str(module), shape, count(module.parameters())))

        hooks.append(module.register_forward_hook(hook))

    for name, module in net.named_modules():
        if not list(module.children()):
            record_calls(name, module)
    net.eval()
    with torch.inference_mode():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    for name, param in net.named_parameters():  # of modules that have layers in them, or are not called
        if param not in counted:
            layers.append(LayerSummary(name, "parameter", tuple(param.shape), count([param])))
    return layers


def summarize_recipe(recipe: ClassifierRecipe | GanRecipe) -> RecipeSummary:
    """The recipe as plain values."""
    make_net = recipe.net if isinstance(recipe, ClassifierRecipe) else recipe.generator
    with separate_draws():
        optimizer = make_optimizer(recipe.optimizer, make_net().parameters())
    settings = {k: v for k, v in optimizer.defaults.items() if isinstance(v, int | float | tuple)}
    shared: dict[str, Any] = {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "lr_schedule": recipe.learning_rates(),
        "optimizer": type(optimizer).__name__,
        "settings": dict(sorted((settings | {"lr": recipe.peak_lr}).items())),
        "step_schedule": _name_schedule(recipe.lr_schedule)
        if changes_every_step(recipe.lr_schedule)
        else None,
    }
    if isinstance(recipe, GanRecipe):
        return RecipeSummary(**shared, conditional=recipe.conditional, real_targets=recipe.real_targets)
    return RecipeSummary(
        **shared,
        label_smoothing=recipe.label_smoothing,
        shuffle=recipe.shuffle,
        swa_epochs=recipe.swa_epochs,
        loss=None if recipe.loss is None else _name_of(recipe.loss),
        augment=None if recipe.augment == Augmentation() else recipe.augment,
    )


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _name_schedule(schedule: Schedule) -> str:
    """`OneCycle(warmup=0.3, start=0.04)`; of a schedule that is no dataclass, its name."""
    return repr(schedule) if is_dataclass(schedule) else _name_of(schedule)
