"""The page of a generator in a browser: its pictures are the net's, and its controls change the noise."""

import io

import numpy as np
import pytest
import torch
from page_files import generator_page
from PIL import Image
from playwright.sync_api import expect

from mnistctl.pages.generators import find_directions

GREYS = """(canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, 28, 28);
    return Array.from({ length: 784 }, (_, n) => data[4 * n]);
}"""


# A generator of random numbers with a known sequence (Lehmer's, with the constants of Park, Miller and
# Stockmeyer, 1993), in the place of the browser's. Its products are exact in float64.
LEHMER = """(() => {
    let state = 1;
    Math.random = () => (state = (48271 * state) % 2147483647) / 2147483647;
})()"""


def first_noise():
    """The 100 numbers that a page draws first from LEHMER, by the method of Box and Muller."""
    state, numbers = 1, []
    for _ in range(200):
        state = 48271 * state % 2147483647
        numbers.append(state / 2147483647)
    radii, angles = np.array(numbers).reshape(100, 2).T
    return np.sqrt(-2 * np.log(1 - radii)) * np.cos(2 * np.pi * angles)


@pytest.fixture(scope="module")
def cgan():
    return generator_page()


def pictures(tab, place="#generate .generated canvas"):
    tab.wait_for_selector("html:not([data-busy])")
    return np.array([each.evaluate(GREYS) for each in tab.locator(place).all()]).reshape(-1, 28, 28)


def noise(tab):
    """The 100 numbers of the noise, as rounded by their sliders."""
    tab.locator("summary").evaluate("(summary) => { summary.parentElement.open = true; }")
    return np.array([float(each.input_value()) for each in tab.locator("details input").all()])


def greys_of(net, noise, *digits):
    inputs = (
        torch.tensor(noise, dtype=torch.float32).reshape(1, 100, 1, 1).expand(max(1, len(digits)), -1, -1, -1)
    )
    condition = (torch.tensor(digits),) if digits else ()
    with torch.inference_mode():
        return ((net(inputs, *condition)[:, 0] + 1) * 127.5).numpy()


def test_ten_digits_are_those_of_the_net_for_the_noise_of_the_sliders(visit, cgan):
    page, net = cgan
    tab = visit(page)
    shown = pictures(tab)
    assert len(shown) == 10
    # The sliders round the noise to 0.05.
    assert np.abs(shown - greys_of(net, noise(tab), *range(10))).mean() < 3
    tab.locator("details input").first.fill("1")
    assert noise(tab)[0] == 1
    assert (pictures(tab) != shown).any()
    tab.get_by_role("button", name="New noise").click()
    assert np.abs(pictures(tab) - shown).mean() > 1


def test_direction_and_distance_move_the_noise_along_them(visit, cgan):
    page, net = cgan
    tab = visit(page, script=LEHMER)
    directions = find_directions(net).numpy()
    assert directions @ directions.T == pytest.approx(np.eye(10), abs=1e-4)

    def assert_sliders_show(numbers):
        """Sliders end at -4 and 4 and round to 0.05, one half in either direction."""
        assert np.abs(noise(tab) - np.clip(numbers, -4, 4)).max() < 0.0251

    expected = first_noise()
    assert_sliders_show(expected)
    tab.get_by_role("slider", name="direction 1", exact=True).fill("2")
    expected += (2 - expected @ directions[0]) * directions[0]
    assert_sliders_show(expected)
    tab.get_by_role("slider", name="distance from 0").fill("5")
    assert_sliders_show(expected * 5 / np.linalg.norm(expected))


def test_pictures_are_saved_as_png(visit, cgan):
    tab = visit(cgan[0])
    shown = pictures(tab)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save as PNG").first.click()
    assert download.value.suggested_filename == "cgan.png"
    with Image.open(io.BytesIO(download.value.path().read_bytes())) as image:
        assert image.size == (10 * 116 - 4, 112)
        saved = np.array(image.convert("L"))
    cells = [saved[2::4, 116 * n + 2 : 116 * n + 112 : 4] for n in range(10)]
    assert np.array_equal(np.stack(cells), shown)


def test_morph_leads_from_one_digit_and_noise_to_another(visit, cgan):
    tab = visit(cgan[0])
    tab.get_by_role("button", name="Start at the noise above").click()
    tab.get_by_role("combobox", name="from digit").select_option("5")
    tab.get_by_role("combobox", name="to digit").select_option("2")
    strip = pictures(tab, "#morph .strip canvas")
    assert len(strip) == 11
    assert np.array_equal(strip[0], pictures(tab)[5])
    single = "#morph .generated canvas"
    assert np.array_equal(pictures(tab, single)[0], strip[0])
    tab.get_by_role("slider", name="position").fill("1")
    assert np.array_equal(pictures(tab, single)[0], strip[-1])
    tab.get_by_role("button", name="End at the noise above").click()
    tab.get_by_role("combobox", name="to digit").select_option("5")
    strip = pictures(tab, "#morph .strip canvas")
    assert all(np.array_equal(each, strip[0]) for each in strip)
    tab.get_by_role("slider", name="position").fill("0.5")
    tab.get_by_role("button", name="Play").click()
    expect(tab.locator(".position output")).to_have_text("1.00", timeout=60_000)
    assert tab.get_by_role("button", name="Play").is_visible()


@pytest.mark.long
def test_gan_draws_one_picture(visit):
    page, net = generator_page("gan", "gan")
    tab = visit(page)
    shown = pictures(tab)
    assert len(shown) == 1
    assert np.abs(shown - greys_of(net, noise(tab))).mean() < 3
    assert tab.get_by_role("combobox").count() == 0
    assert tab.errors == []
