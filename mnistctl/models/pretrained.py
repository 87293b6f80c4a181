"""Trained weights that come with the package, for a first prediction without a training."""

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
PRETRAINED = {
    "pretrained": "conv, trained on MNIST; in the package",
    "pretrained-cgan": "cgan, trained on MNIST; in the package",
}


def pretrained_path(name: str) -> Path | None:
    """The checkpoint of the weights called `name`; None if the package has none of this name."""
    return WEIGHTS / f"{name}.safetensors" if name in PRETRAINED else None
