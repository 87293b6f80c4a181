"""Numbers as they are printed and drawn: rounded, but never so that they say something else."""

import math

_MAX_DECIMALS = 9


def format_percent(value: float, decimals: int = 2, max_decimals: int = _MAX_DECIMALS) -> str:
    """A percentage in text. It reads 100 only if it is 100: one error in 25,001 images gives `99.996`.

    Args:
        value: in percent.
        decimals: number of decimals, unless `value` would be rounded to 100.
        max_decimals: no more decimals than these; where they are too few, the value is rounded down.
    """
    for count in range(decimals, max_decimals + 1):
        text = f"{value:.{count}f}"
        if value >= 100 or float(text) < 100:
            return text
    unit = 10**max_decimals
    return f"{math.floor(value * unit) / unit:.{max_decimals}f}"


def cut_percent_interval(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval of a percentage without what is below 0 or above 100.

    A t interval of few values can extend beyond 100, where no percentage is. Without that part it contains
    the true percentage as often.
    """
    low, high = interval
    return min(max(low, 0.0), 100.0), min(max(high, 0.0), 100.0)


def format_percent_interval(interval: tuple[float, float], decimals: int) -> str:
    """An interval of a percentage in text: `99.1000 to 99.4300`, cut as `cut_percent_interval` does."""
    return " to ".join(format_percent(end, decimals) for end in cut_percent_interval(interval))


def format_learning_rate(lr: float) -> str:
    """A learning rate in six characters: `0.0100`, or `3.0e-5` where four decimals would not show it."""
    text = f"{lr:.4f}"
    if len(text) <= 6 and abs(float(text) - lr) <= 0.05 * lr:
        return text
    return f"{lr:.1e}".replace("e-0", "e-").replace("e+0", "e+")


def format_loss(loss: float, decimals: int, width: int) -> str:
    """A loss with so many decimals, or as `1.0e+09` where that takes more than `width` characters."""
    text = f"{loss:.{decimals}f}"
    return text if len(text) <= width else f"{loss:.1e}"
