"""Ratios of times that were measured in turn, round after round."""

import statistics
from collections.abc import Sequence


def ratio(slow: Sequence[float], fast: Sequence[float], digits: int = 2) -> dict[str, float]:
    """The median of the ratios of the rounds, and its interval of at least 95 % by order statistics.

    Args:
        slow, fast: the times of the same rounds, in seconds.
        digits: of the result, after the point.
    """
    ratios = sorted(s / f for s, f in zip(slow, fast, strict=True))
    skip = max(0, int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))
    values = (statistics.median(ratios), ratios[skip], ratios[-1 - skip])
    return {name: round(value, digits) for name, value in zip(("median", "low", "high"), values, strict=True)}
