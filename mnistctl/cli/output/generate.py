"""Print what a generator generated."""

from typing import TYPE_CHECKING

from mnistctl.cli.output.evaluate import print_paths
from mnistctl.cli.output.show import print_digits
from mnistctl.cli.output.terminal import print_json

if TYPE_CHECKING:
    from mnistctl.inference.generate import GenerationResult


def print_generated(result: "GenerationResult", *, show: bool, json: bool) -> None:
    """Print the paths of the written files, and with `show` the images in the terminal."""
    if json:
        print_json(result.to_json())
        return
    if show and result.samples is not None:
        print_digits(result.samples.images, result.digits or [result.model] * result.count, "blocks")
    print_paths(result.paths)
