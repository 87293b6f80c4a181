"""Fixtures for tests in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_files import classifier_page, fitted

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


@pytest.fixture
def visit(chromium, tmp_path):
    """A function that opens a page from a file in a new tab, with the lists `requests` and `errors`.

    A script in JavaScript that is given runs before those of the page.
    """
    yield from visits(chromium, tmp_path)


@pytest.fixture(scope="module")
def visit_for_module(chromium, tmp_path_factory):
    """As `visit`, with tabs that stay open for all tests of a module."""
    yield from visits(chromium, tmp_path_factory.mktemp("page"))


def visits(chromium, folder):
    """Yield a function as `visit` says, whose page is a file in `folder`; close its tabs at the end."""
    contexts = []

    def open_page(content, width=1000, height=900, script="", **options):
        path = folder / "page.html"
        path.write_bytes(content)
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.add_init_script(script)
        tab = context.new_page()
        tab.requests, tab.errors = [], []
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.on("console", lambda line: tab.errors.append(line.text) if line.type == "error" else None)
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=60_000)
        return tab

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def fitted_page():
    """The page of a linear net that reads most of 200 digits."""
    return classifier_page({"fitted": fitted()})[0]
