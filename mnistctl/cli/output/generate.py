"""Print what a generator drew."""

import json as jsons
from typing import TYPE_CHECKING

from mnistctl.cli.output.evaluate import _print_paths
from mnistctl.cli.output.show import print_digits
from mnistctl.cli.output.terminal import JSON_VERSION, print_line

if TYPE_CHECKING:
    from mnistctl.inference.generate import GenerationResult


def print_generated(made: "GenerationResult", *, show: bool, json: bool) -> None:
    """What a generator drew, in the terminal if asked, and the files that hold it."""
    asked = None if made.drawn is None or made.drawn.digits is None else made.drawn.digits
    if json:
        body = {"model": made.model, "digest": made.digest, "seed": made.seed, "count": made.count}
        body |= {"digits": None if asked is None else asked.tolist(), "paths": [s.path for s in made.saved]}
        print_line(jsons.dumps({"version": JSON_VERSION} | body))
        return
    if show and made.drawn is not None:
        print_digits(made.drawn.images, asked if asked is not None else [made.model] * made.count, "blocks")
    _print_paths(made.saved)
