"""Texts of recipe files for tests, and a package that offers recipes."""

import textwrap
from pathlib import Path

HEAD = """\
import torch
from torch import nn
from functools import partial
from torch.optim import SGD, AdamW
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe
from mnistctl.nn.schedules import Constant
"""
NET = """\
def net(hidden: int = 8, dropout: float = 0.1):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10))
"""
GAN = """\
recipe = GanRecipe(
    generator=lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(100, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
    discriminator=lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0)),
    optimizer=partial(AdamW, lr=0.001), epochs=1, peak_lr=0.001, lr_schedule=Constant(), batch_size=100)
"""
_FIELDS = {
    "net": "net",
    "optimizer": "partial(SGD, lr=0.05, momentum=0.9)",
    "epochs": "2",
    "peak_lr": "0.05",
    "lr_schedule": "Constant()",
    "batch_size": "100",
}


def classifier(net: str = NET, **fields: str) -> str:
    """The text of a recipe file: the net's code, and fields as code."""
    words = ", ".join(f"{name}={value}" for name, value in (_FIELDS | fields).items())
    return f"{HEAD}{net}recipe = ClassifierRecipe({words})\n"


def module(forward: str, init: str = "self.l = nn.Linear(784, 10)") -> str:
    """The code of a net as a class with these bodies of `__init__` and of the class."""
    body = textwrap.indent(forward, "    ")
    start = "class net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    return f"{start}        {init}\n{body}\n"


def write_package(folder: Path, name: str, version: str, modules: dict[str, str], offers: str) -> Path:
    """A folder for sys.path with an installed package that has these modules and these entry points."""
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (information / "entry_points.txt").write_text(f"[mnistctl.models]\n{offers}\n")
    for module_name, text in modules.items():
        (folder / f"{module_name}.py").write_text(text)
    return folder
