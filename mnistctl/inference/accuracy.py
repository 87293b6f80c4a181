"""The confidence interval of an accuracy."""

import math
import statistics

LEVEL = 0.95  # confidence level of every interval; a p-value below 1 - LEVEL is significant


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's confidence interval of a proportion (J. Am. Stat. Assoc. 22, 1927), as fractions.

    It is of the probability that one more image of the same kind is classified correctly. scipy has it, but
    takes longer to import than an evaluation takes.

    Args:
        successes: number of correct predictions.
        n: number of predictions; for 0 the interval is 0 to 1.
        level: confidence level.

    Raises:
        ValueError: there are more successes than predictions, or less than 0.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = statistics.NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    # The ends are exact in theory. Rounding must not move them past the proportion.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high
