"""Charts that are not drawn, for tests that do not look at them."""

import numpy as np

from mnistctl.artifacts.drawing import Chart


def white(chart: Chart) -> np.ndarray:
    """White pixels in the size of a chart."""
    return np.full((round(chart.height), round(chart.width), 3), 255, np.uint8)
