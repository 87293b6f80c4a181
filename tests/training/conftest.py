"""Fixtures for tests of training."""

import pytest
from white_charts import white

from mnistctl.artifacts.drawing import Chart


@pytest.fixture(autouse=True)
def _white_charts(monkeypatch, request):
    """The charts of runs that a test trains itself are white, except in tests marked `charts`."""
    if request.node.get_closest_marker("charts") is None:
        monkeypatch.setattr(Chart, "pixels", white)
