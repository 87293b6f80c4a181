"""What the statistics allow to be concluded, in one sentence."""

from mnistctl.evaluation import statistics
from mnistctl.evaluation.statistics import Difference


def conclusion(found: Difference, one: str, other: str, p: float | None, comparisons: int = 1) -> str:
    """In one sentence, what the numbers allow to be said of the second column beside the first."""
    runs = _count_runs(found)
    if found.p is None or found.interval is None or p is None:
        return _no_variance(found, one, other, runs)
    size = f"{abs(found.difference):.4f} points"
    holm = f", Holm-adjusted for {comparisons} comparisons" if comparisons > 1 else ""
    low, high = found.interval
    span = f"95 % interval {low:+z.4f} to {high:+z.4f}, {format_p(p)}{holm}"
    if p < 1 - statistics.LEVEL:
        way = "above" if found.difference > 0 else "below"
        return f"{other} is {size} {way} {one} ({span})"
    if found.settled:
        alone = f"{other} would be {size} off {one} if nothing else were compared"
        return f"{alone}; as one of {comparisons} comparisons it may be chance ({span})"
    least = f"{runs} would show {found.detectable:.4f} or more" if found.detectable is not None else ""
    if found.method == "single":
        return f"{other} could be of one kind with {one}, a single run ({span}); {least} at 80 % power"
    if found.needed is None:
        more = f"no number of trials would settle a difference so small; {least} at 80 % power"
    else:
        each = "pairs" if found.method == "paired" else "trials of each"
        more = f"if it is {size} indeed, {found.needed:,} {each} would settle it at 80 % power, where {least}"
    return f"{runs} do not tell {other} from {one} ({span}); {more}"


def format_p(p: float) -> str:
    """A p-value as it is printed."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


def _count_runs(found: Difference) -> str:
    if found.method == "paired":
        return f"{found.n[0]} pairs" if found.n[0] > 1 else "1 pair"
    runs = "run" if found.n[1] == 1 else "runs"
    return f"{found.n[1]} {runs} beside {found.n[0]}"


def _no_variance(found: Difference, one: str, other: str, runs: str) -> str:
    if min(found.n) < 2 and not (found.method == "single" and found.n[1] > 1):
        return f"{runs} say nothing of the spread, and so nothing of {other} beside {one}: give -n 2 or more"
    size, way = f"{abs(found.difference):.4f} points", "above" if found.difference > 0 else "below"
    if abs(found.difference) < 1e-9:
        return f"{other} and {one} are alike in all of {runs}: no difference is to be seen, nor any spread"
    if found.permutation_p is not None:
        chance = f"by chance of signs {format_p(found.permutation_p)}"
        return f"{other} is {size} {way} {one} in each of {runs}, without any spread; {chance}"
    return f"{other} is {size} {way} {one} in {runs} without any spread, which no t test can weigh"
