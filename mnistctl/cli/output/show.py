"""Output of show, download and train --list: file lists, images as text, models, recipes, hardware."""

import json as jsons
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mnistctl.artifacts.rounding import format_percent
from mnistctl.cli.output.terminal import (
    get_console,
    plain_table,
    print_json,
    print_line,
    print_table,
    print_whole,
)
from mnistctl.cli.output.train import describe_origin
from mnistctl.errors import plural
from mnistctl.models import CLASSIFIERS, GENERATORS
from mnistctl.models.values import format_value

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from mnistctl.data.download import FileStatus
    from mnistctl.models.listing import ModelSummary, PublishedAccuracy
    from mnistctl.models.sources import Model
    from mnistctl.models.summary import LayerSummary, RecipeSummary
    from mnistctl.models.values import Setting
    from mnistctl.training.environment import DataReport, EnvironmentReport


_UNVERIFIED = "readable, no checksum known"  # of a file that has the right form


def print_file_statuses(statuses: Iterable["FileStatus"], dataset: str, *, json: bool) -> None:
    """Print the files of a data set, and whether each is present and verified."""
    if json:
        files = [status.to_json() for status in statuses]
        print_json({"dataset": dataset, "files": files})
        return
    states = {"present": "verified", "fetched": "fetched, verified", "other": "another IDX file"}
    table = plain_table("file", "holds", "count", "state", right=[2], folded=[0, 1, 3])
    for status in statuses:
        count = "-" if status.count is None else str(status.count)
        state = states.get(status.action, status.action) if status.verified else _UNVERIFIED
        table.add_row(status.file, status.kind, count, state)
    print_table(table)


def print_digits(images: "np.ndarray", labels: "Iterable[object]", style: str) -> None:
    """Print each image as text, below its label.

    Args:
        images: uint8 [N, 28, 28].
        labels: N labels.
        style: "stars", or "blocks" for shades of grey.
    """
    from mnistctl.cli.output.ascii import binary_ascii, grey_ascii

    console = get_console()
    for image, label in zip(images, labels, strict=True):
        print_line(str(label))
        if style == "stars":
            rows = binary_ascii(image)
        elif console.color_system is None or "utf" not in console.encoding:
            rows = grey_ascii(image)
        else:
            _print_half_blocks(image, console)
            continue
        for row in rows:
            print_line(row)


def print_digits_json(
    dataset: str, split: str, indices: "Iterable[int]", labels: "Iterable[int]", images: "np.ndarray"
) -> None:
    """Print images as one JSON object: of each its index, its label and its 28 rows of pixels."""
    rows = [
        {"index": int(index), "label": int(label), "pixels": image.tolist()}
        for index, label, image in zip(indices, labels, images, strict=True)
    ]
    print_json({"dataset": dataset, "split": split, "images": rows})


def _print_half_blocks(image: "np.ndarray", console: "Console") -> None:
    """Print two pixels per character: the upper half block in the foreground and the background colour."""
    from mnistctl.cli.output.ascii import half_blocks

    for row in half_blocks(image):
        halves = (("\u2580", f"rgb({t},{t},{t}) on rgb({b},{b},{b})") for t, b in row)
        console.print(Text.assemble(*halves), soft_wrap=True)


def print_model(
    model: "Model",
    nets: "dict[str, list[LayerSummary]]",
    recipe: "RecipeSummary",
    settings: "Iterable[Setting]",
    *,
    json: bool,
) -> None:
    """Print each net as a table of its layers and their total, then the recipe, then its settings."""
    if json:
        body = {
            "model": model.name,
            "nets": {net or "all": [layer.to_json() for layer in layers] for net, layers in nets.items()},
            "recipe": recipe.to_json(),
            "settings": {setting.key: setting.value for setting in settings},
        }
        print_json(body)
        return
    description = (CLASSIFIERS | GENERATORS).get(model.base) if model.kind == "shipped" else None
    print_line(f"{model.name}: {description}" if description else model.name)
    for line in describe_origin(model.origin):
        print_line(line)
    for net, layers in nets.items():
        table = plain_table("name", "layer", "output", "parameters", right=[3], folded=[1])
        for layer in layers:
            output = " x ".join(map(str, layer.output))
            table.add_row(layer.name, layer.layer, output, f"{layer.parameters:,}")
        table.add_row("", net or "all", "", f"{sum(layer.parameters for layer in layers):,}", style="bold")
        print_table(table)
    _print_recipe(recipe)
    print_line("settings for --set:", "bold")
    table = plain_table("key", "value", "values", folded=[2])
    for setting in settings:
        table.add_row(setting.key, Text(format_value(setting.value)), Text(setting.values))
    print_table(table)


def print_toml(model: "Model", settings: "Iterable[Setting]") -> None:
    """Print the settings of a model as a configuration file for --config."""
    print_whole(
        f"# The settings of {model.name}: mnistctl train {shlex.quote(model.reference)} --config FILE.toml"
    )
    tables: dict[str, list[str]] = {"": []}
    for setting in settings:
        part, _, name = setting.key.rpartition(".")
        if setting.choices:  # an optimizer or a schedule, whose arguments follow
            tables[setting.key] = [f"name = {jsons.dumps(setting.value)}"] if setting.known else []
        else:
            value = "none" if setting.value is None else setting.value
            tables.setdefault(part, []).append(f"{name} = {jsons.dumps(value)}")
    for table, lines in tables.items():
        if table and lines:
            print_whole("")
            print_whole(f"[{table}]")
        for line in lines:
            print_whole(line)


def _print_recipe(recipe: "RecipeSummary") -> None:
    order = "in file order" if recipe.shuffle is False else "shuffled before each epoch"
    print_line(f"epochs: {recipe.epochs}, batch size: {recipe.batch_size}, {order}")
    settings = ", ".join(f"{k} {_setting(v)}" for k, v in recipe.settings.items() if v is not False)
    each = "" if recipe.conditional is None else ", one for each net"
    print_line(f"optimizer: {recipe.optimizer}, {settings}{each}")
    print_line(f"learning rate: {_learning_rates(recipe)}")
    if recipe.real_targets is not None:
        low, high = recipe.real_targets
        targets = f"targets {low:g} to {high:g} for real images, 0 for generated ones"
        print_line(f"loss: binary cross entropy, {targets}")
    elif recipe.loss is not None:
        print_line(f"loss: {recipe.loss}")
    else:
        print_line(f"loss: cross entropy, label smoothing {recipe.label_smoothing:g}")
    if recipe.augment is not None:
        effective = recipe.augment.in_effect().items()
        print_line(f"augmentation: {', '.join(f'{k} {v:g}' for k, v in effective) or 'none'}")
    if recipe.swa_epochs:
        print_line(f"weight averaging: over the last {plural(recipe.swa_epochs, 'epoch')}")


def _setting(value: float | tuple[float, ...]) -> str:
    return f"({', '.join(f'{v:g}' for v in value)})" if isinstance(value, tuple) else str(value)


def _learning_rates(recipe: "RecipeSummary") -> str:
    rates, schedule = recipe.lr_schedule, recipe.step_schedule
    if len(set(rates)) == 1:
        text = f"{rates[0]:g} in every epoch"
    else:
        text = f"{', '.join(f'{rate:.4g}' for rate in rates[:5])} ... {rates[-1]:.4g}"
    return text if schedule is None else f"{schedule}, in every step; tables show {text}"


def print_models(summaries: "Sequence[ModelSummary]", packages: Mapping[str, str], *, json: bool) -> None:
    """Print a table of the shipped models, then their descriptions and the models of packages.

    Args:
        summaries: the shipped models.
        packages: the models that installed packages offer, each with its package.
        json: print one JSON object instead.
    """
    if json:
        models = [summary.to_json() for summary in summaries]
        print_json({"models": models, "packages": dict(packages)})
        return
    headers = ("model", "parameters", "epochs", "batch", "optimizer", "lr", "published")
    table = plain_table(*headers, justify="right", left=[0, 4, 6], folded=[1, 6])
    for model in summaries:
        table.add_row(
            model.model,
            " + ".join(f"{count:,}" for count in model.parameters),
            str(model.epochs),
            str(model.batch_size),
            model.optimizer,
            f"{model.peak_lr:g}",
            _published_accuracy(model.published),
        )
    print_table(table)
    for model in summaries:
        print_line(f"{model.model}: {model.description}")
    for name, package in packages.items():
        print_line(f"{name}: from the package {package}")


def _published_accuracy(published: "PublishedAccuracy | None") -> str:
    if published is None:
        return ""
    if published.runs == 1:
        return f"{format_percent(published.accuracy)} %"
    return f"{format_percent(published.accuracy, 3)} %, mean of {published.runs}"


def print_environment(environment: "EnvironmentReport", *, json: bool) -> None:
    """Print what a bug report needs, a line for each subject."""
    if json:
        print_json(environment.to_json())
        return
    machine, out = environment.machine, environment.out
    versions = environment.versions.items()
    print_line("versions: " + ", ".join(f"{name} {version}" for name, version in versions if version))
    missing = ", ".join(name for name, version in versions if not version)
    print_line(f"not installed: {missing or 'nothing'}")
    print_line(f"platform: {environment.platform}")
    cores, threads = plural(machine.cores, "core"), plural(environment.threads, "thread")
    print_line(f"processor: {machine.processor}, {cores}, {threads} in use")
    print_line(f"instructions: {machine.vectors}; {' '.join(machine.features) or 'others unknown'}")
    for device in environment.devices:
        name = "" if device.name is None else f" ({device.name})"
        print_line(f"device: {device.device}{name}; bf16: {device.bf16 or 'native'}")
    _print_datasets(environment.data)
    state = "writable" if out.writable else "not writable"
    state = state if out.exists else f"does not exist yet, {state}"
    print_line(f"out: {out.folder}, {state}")
    print_line(f"  trained models: {', '.join(out.models) or 'none'}")
    print_line(f"  unfinished runs: {', '.join(out.unfinished_runs) or 'none'}")
    variables = ", ".join(f"{name}={value}" for name, value in environment.environment.items())
    print_line(f"environment: {variables or 'nothing set'}")


def _print_datasets(data: "DataReport") -> None:
    """Print the state of each data set, and the files that are responsible for it unless all are."""
    print_line(f"data: {data.folder}")
    for name, dataset in data.datasets.items():
        bad = [file for file, state in dataset.files.items() if state == dataset.state]
        names = f": {', '.join(bad)}" if 0 < len(bad) < len(dataset.files) else ""
        state = _UNVERIFIED if dataset.state == "sound" else dataset.state
        print_line(f"  {name}: {state} in {dataset.folder}{names}")
