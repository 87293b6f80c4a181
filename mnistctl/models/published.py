"""Published accuracies to compare with."""

import json
from pathlib import Path
from typing import Any

from mnistctl.errors import UsageError

_PUBLISHED = Path(__file__).with_name("published.json")


def load_published(name: str) -> dict[str, Any]:
    """The accuracies that `name` published, their source, and the data set they are of.

    Raises:
        UsageError: none are known.
    """
    known: dict[str, dict[str, Any]] = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    if name not in known:
        raise UsageError(f"--reference {name!r}: there is {', '.join(known)}")
    return known[name]
