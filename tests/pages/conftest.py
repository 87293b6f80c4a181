"""Fixtures for tests in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "mnistctl/pages"


def missing(what: str) -> None:
    """Skip the test because something is missing, or fail it where CI is true."""
    message = f"no {what}: the pages are not tested in a browser"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:  # noqa: F821
    """Chromium, driven by Playwright. Where there is none, a test is skipped; with CI=true it fails."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def scripts(chromium) -> Iterator["Page"]:  # noqa: F821
    """An empty page with the functions of net.js and canvas.js."""
    page = chromium.new_page()
    names = {"net": "makeNet", "canvas": "prepareDrawing"}
    for name, function in names.items():
        text = (PAGES / f"{name}.js").read_text()
        page.add_script_tag(content=f"{text};window.{function} = {function};")
    yield page
    page.close()
