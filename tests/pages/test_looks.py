"""How pages look: they fit narrow and wide windows, and are accessible in light and dark."""

import pytest
from page_files import classifier_page, fitted, generator_page, untrained
from pen import settle

WIDTHS = 360, 800, 1600


@pytest.fixture(scope="module")
def several():
    """A page of two nets, one with maps and one with a long name."""
    nets = {"conv": untrained("conv", channels=(3, 5), hidden=20), "a-long-name-" * 8: fitted()}
    return classifier_page(nets)[0]


def show_all(tab):
    """Put a digit on the canvas, and open what is closed."""
    if tab.locator("canvas.drawing").count():
        tab.get_by_role("button", name="Any").click()
        settle(tab)
    for summary in tab.locator("summary").all():
        summary.click()


def test_pages_fit_windows_of_all_widths(visit, several):
    for page in (several, generator_page()[0]):
        tab = visit(page)
        show_all(tab)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_drawing_is_dark_paper_in_the_dark_and_its_picture_is_the_same(visit, fitted_page):
    shown = []
    for scheme in ("light", "dark"):
        tab = visit(fitted_page, color_scheme=scheme)
        shown.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert tab.evaluate("getComputedStyle(document.querySelector('.drawing')).filter !== 'none'") == (
            scheme == "dark"
        )
    assert shown[0] != shown[1]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(visit, several, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    for page in (several, generator_page()[0]):
        tab = visit(page, width=width, color_scheme=scheme)
        show_all(tab)
        found = Axe().run(tab).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        if tab.locator(".card").count():
            tab.locator(".card").first.click()
            assert Axe().run(tab).response["violations"] == []
