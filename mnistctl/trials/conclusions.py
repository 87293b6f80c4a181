"""What the statistics allow to conclude, in one or two sentences."""

from mnistctl.errors import plural
from mnistctl.evaluation.sequential import Look, StoppingRule
from mnistctl.evaluation.statistics import ROUNDING, Difference
from mnistctl.inference.accuracy import LEVEL


def conclusion(difference: Difference, first: str, second: str, p: float | None, comparisons: int = 1) -> str:
    """What may be said about a second sample compared with a first one, without the final full stop.

    Args:
        difference: the difference in percentage points.
        first, second: names of the samples.
        p: the p-value, adjusted if there are several comparisons.
        comparisons: number of comparisons that it is adjusted for.
    """
    if difference.interval is None or p is None:
        return _conclude_without_variance(difference, first, second)
    size = f"{abs(difference.difference):.4f} points"
    low, high = difference.interval
    holm = f", Holm-adjusted for {comparisons} comparisons" if comparisons > 1 else ""
    evidence = f"95 % interval {low:+z.4f} to {high:+z.4f}, {format_p(p)}{holm}"
    if p < 1 - LEVEL:
        return f"{second} is {size} {_direction(difference)} {first} ({evidence})"
    runs = _count_runs(difference)
    start = f"No significant difference between {second} and {first} ({runs}, {evidence})"
    if difference.significant:
        return f"{start}. It would be significant as the only comparison"
    return f"{start}. {_power(difference, size, runs)}"


def conclude_sequential(look: Look, rule: StoppingRule, first: str, second: str) -> str:
    """What may be said about two samples that were compared after every pair, without the final full stop.

    Args:
        look: what the pairs show.
        rule: when the comparison is settled.
        first, second: names of the samples.
    """
    pairs = plural(look.n, "pair")
    if look.interval is None:
        return f"Not settled: {pairs} cannot bound the difference between {second} and {first}"
    low, high = look.interval
    evidence = f"{pairs}, {100 * (1 - rule.alpha):g} % confidence sequence {low:+z.4f} to {high:+z.4f}"
    if look.decision == "differ":
        direction = "above" if look.difference > 0 else "below"
        within = f", by less than {rule.margin:g} points" if max(-low, high) < rule.margin else ""
        return f"{second} is {abs(look.difference):.4f} points {direction} {first}{within} ({evidence})"
    if look.decision == "equivalent":
        return f"{second} and {first} differ by less than {rule.margin:g} points ({evidence})"
    open_question = f"whether {second} differs from {first}, and by {rule.margin:g} points or more"
    return f"Not settled {open_question} ({evidence})"


def format_p(p: float) -> str:
    """A p-value as it is printed."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


def _power(difference: Difference, size: str, runs: str) -> str:
    runs, unit = (runs, "pairs") if difference.method == "paired" else ("these runs", "trials of each")
    detectable = f"{runs} detect {difference.minimum_detectable_effect:.4f} points"
    if difference.method == "one_sample":  # more trials cannot make up for the single run
        return f"{detectable.capitalize()} at 80 % power"
    if difference.required_trials is None:
        none = abs(difference.difference) < ROUNDING
        number = "No number of trials would" if none else f"It would take more than a million {unit} to"
        return f"{number} detect so small a difference; {detectable} at 80 % power"
    required = f"Detecting {size} at 80 % power would take {difference.required_trials:,} {unit}"
    return f"{required}; {detectable}"


def _count_runs(difference: Difference) -> str:
    first, second = difference.n
    if difference.method == "paired":
        return "1 pair" if first == 1 else f"{first} pairs"
    runs = "1 run" if second == 1 else f"{second} runs"
    return f"{runs} compared with {'a single run' if difference.method == 'one_sample' else first}"


def _direction(difference: Difference) -> str:
    return "above" if difference.difference > 0 else "below"


def _conclude_without_variance(difference: Difference, first: str, second: str) -> str:
    runs = _count_runs(difference)
    own_runs = difference.n[1] if difference.method == "one_sample" else min(difference.n)
    if own_runs < 2:
        return f"{runs}: not enough to estimate the variance and to compare {second} with {first}"
    if abs(difference.difference) < ROUNDING:
        return f"{second} and {first} are equal in {runs}, without any variance"
    size = f"{second} is {abs(difference.difference):.4f} points {_direction(difference)} {first}"
    if difference.permutation_p is not None:
        permutation = f"permutation test {format_p(difference.permutation_p)}"
        return f"{size} in each of {runs}, without any variance ({permutation})"
    return f"{size} in {runs}, without any variance, so no t test is possible"
