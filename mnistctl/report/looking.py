"""What is looked at: the files of a data set, digits as text, nets and recipes as tables."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from mnistctl.models import CLASSIFIERS, GENERATORS
from mnistctl.report.terminal import line, plain_table, print_table

if TYPE_CHECKING:
    import numpy as np

    from mnistctl.describe import Layer
    from mnistctl.download import Status


def statuses(found: Iterable["Status"]) -> None:
    """The files of a data set, and whether each is there and verified."""
    states = {"present": "verified", "fetched": "fetched, verified"}
    table = plain_table("file", "holds", "count", "state")
    table.columns[2].justify = "right"
    for status in found:
        count = "-" if status.count is None else str(status.count)
        table.add_row(status.file, status.kind, count, states.get(status.action, status.action))
    print_table(table)


def digits(images: "np.ndarray", labels: "Iterable[object]", style: str) -> None:
    """Each image as text under its label."""
    from mnistctl import figures

    console = Console(highlight=False, soft_wrap=True)
    for image, label in zip(images, labels, strict=True):
        line(str(label))
        if style == "stars":
            drawn = figures.stars(image)
        elif console.color_system is None or "utf" not in console.encoding:
            drawn = figures.shades(image)
        else:
            for row in figures.half_blocks(image):
                pairs = (f"[rgb({t},{t},{t}) on rgb({b},{b},{b})]\u2580[/]" for t, b in row)
                console.print("".join(pairs))
            continue
        for text in drawn:
            line(text)


def model(name: str, nets: "dict[str, list[Layer]]", recipe: dict[str, Any]) -> None:
    """Each net as a table of its layers, with their sum, and the recipe."""
    line(f"{name}: {(CLASSIFIERS | GENERATORS)[name]}")
    for net, layers in nets.items():
        table = plain_table("name", "layer", "output", "parameters")
        table.columns[3].justify = "right"
        for layer in layers:
            output = " x ".join(map(str, layer.output))
            table.add_row(layer.name, Text(layer.layer), output, f"{layer.parameters:,}")
        table.add_row("", net or "all", "", f"{sum(layer.parameters for layer in layers):,}", style="bold")
        print_table(table)
    settings = ", ".join(f"{k} {v}" for k, v in recipe["settings"].items() if v is not False)
    both = ", one for each net" if name in GENERATORS else ""
    order = "shuffled anew in each" if recipe.get("shuffle", True) else "in file order"
    line(f"epochs: {recipe['epochs']} of batches of {recipe['batch']}, {order}")
    line(f"optimizer: {recipe['optimizer']}, {settings}{both}")
    line(f"rates: {_rates(recipe['rates'])}")
    if name in GENERATORS:
        low, high = recipe["targets"]
        line(f"loss: binary cross entropy; targets {low:g} to {high:g} for real digits, 0 for generated ones")
        return
    line(f"loss: cross entropy, label smoothing {recipe['smoothing']:g}")
    if recipe["averaged"]:
        line(f"averaged: the weights after each of the last {recipe['averaged']} epochs")


def _rates(rates: list[float]) -> str:
    if len(set(rates)) == 1:
        return f"{rates[0]:g} in every epoch"
    return f"{', '.join(f'{rate:.4g}' for rate in rates[:5])} ... {rates[-1]:.4g}"
