"""What is looked at: the files of a data set, digits as text, nets and recipes as tables."""

import json as jsons
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from mnistctl.cli.output.terminal import JSON_VERSION, plain_table, print_line, print_table
from mnistctl.models import CLASSIFIERS, GENERATORS

if TYPE_CHECKING:
    import numpy as np

    from mnistctl.data.download import FileStatus
    from mnistctl.models.summary import LayerSummary


def print_file_statuses(found: Iterable["FileStatus"]) -> None:
    """The files of a data set, and whether each is there and verified."""
    states = {"present": "verified", "fetched": "fetched, verified"}
    table = plain_table("file", "holds", "count", "state")
    table.columns[2].justify = "right"
    for status in found:
        count = "-" if status.count is None else str(status.count)
        table.add_row(status.file, status.kind, count, states.get(status.action, status.action))
    print_table(table)


def print_digits(images: "np.ndarray", labels: "Iterable[object]", style: str) -> None:
    """Each image as text under its label."""
    from mnistctl.cli.output.ascii import binary_ascii, grey_ascii, half_blocks

    console = Console(highlight=False, soft_wrap=True)
    for image, label in zip(images, labels, strict=True):
        print_line(str(label))
        if style == "stars":
            drawn = binary_ascii(image)
        elif console.color_system is None or "utf" not in console.encoding:
            drawn = grey_ascii(image)
        else:
            for row in half_blocks(image):
                pairs = (f"[rgb({t},{t},{t}) on rgb({b},{b},{b})]\u2580[/]" for t, b in row)
                console.print("".join(pairs))
            continue
        for text in drawn:
            print_line(text)


def print_model(name: str, nets: "dict[str, list[LayerSummary]]", recipe: dict[str, Any]) -> None:
    """Each net as a table of its layers, with their sum, and the recipe."""
    print_line(f"{name}: {(CLASSIFIERS | GENERATORS)[name]}")
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
    print_line(f"epochs: {recipe['epochs']} of batches of {recipe['batch']}, {order}")
    print_line(f"optimizer: {recipe['optimizer']}, {settings}{both}")
    print_line(f"rates: {_learning_rates(recipe['rates'])}")
    if name in GENERATORS:
        low, high = recipe["targets"]
        print_line(
            f"loss: binary cross entropy; targets {low:g} to {high:g} for real digits, 0 for generated ones"
        )
        return
    print_line(f"loss: cross entropy, label smoothing {recipe['smoothing']:g}")
    if recipe["averaged"]:
        print_line(f"averaged: the weights after each of the last {recipe['averaged']} epochs")


def print_models(entries: list[dict[str, Any]], *, json: bool) -> None:
    """Every model in a row, and its sentence below."""
    if json:
        print_line(jsons.dumps({"version": JSON_VERSION, "models": entries}))
        return
    table = plain_table(
        "model", "parameters", "epochs", "batch", "optimizer", "lr", "published", justify="right"
    )
    for name in (0, 4, 6):
        table.columns[name].justify = "left"
    for entry in entries:
        counts = " + ".join(f"{count:,}" for count in entry["parameters"])
        figures = (str(entry[name]) for name in ("epochs", "batch", "optimizer"))
        table.add_row(
            entry["model"], counts, *figures, f"{entry['rate']:g}", _published_accuracy(entry["published"])
        )
    print_table(table)
    for entry in entries:
        print_line(f"{entry['model']}: {entry['sentence']}")


def _published_accuracy(told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    runs = "" if told["runs"] == 1 else f", mean of {told['runs']}"
    return f"{told['accuracy']:.{2 if told['runs'] == 1 else 3}f} %{runs}"


def print_environment(found: dict[str, Any], *, json: bool) -> None:
    """What a report of a fault needs, a line each."""
    if json:
        print_line(jsons.dumps({"version": JSON_VERSION} | found))
        return
    here = found["machine"]
    versions = found["versions"].items()
    print_line("versions: " + ", ".join(f"{name} {version}" for name, version in versions if version))
    print_line(
        "not installed: " + (", ".join(name for name, version in versions if not version) or "nothing")
    )
    print_line(f"platform: {found['platform']}")
    print_line(f"processor: {here['processor']}, {here['cores']} cores, {found['threads']} threads used")
    print_line(f"instructions: {here['vectors']}; {' '.join(here['features']) or 'no others are told here'}")
    for device in found["devices"]:
        name = "" if device["name"] is None else f" ({device['name']})"
        print_line(f"device: {device['device']}{name}; bf16: {device['bf16'] or 'native'}")
    print_line(f"data: {found['data']['folder']}")
    for name, told in found["data"]["sets"].items():
        bad = [file for file, state in told["files"].items() if state == told["state"]]
        which = f": {', '.join(bad)}" if 0 < len(bad) < len(told["files"]) else ""
        print_line(f"  {name}: {told['state']} in {told['place']}{which}")
    out = found["out"]
    state = "can be written" if out["writable"] else "cannot be written" if out["there"] else "not there yet"
    print_line(f"out: {out['folder']}, {state}")
    for what in ("nets", "unfinished_runs"):
        print_line(f"  {what.replace('_', ' ')}: {', '.join(out[what]) or 'none'}")
    print_line(
        "environment: " + (", ".join(f"{n}={v}" for n, v in found["environment"].items()) or "nothing set")
    )


def _learning_rates(rates: list[float]) -> str:
    if len(set(rates)) == 1:
        return f"{rates[0]:g} in every epoch"
    return f"{', '.join(f'{rate:.4g}' for rate in rates[:5])} ... {rates[-1]:.4g}"
