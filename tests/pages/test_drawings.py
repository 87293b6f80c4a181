"""Fifty drawings on a page, read by the page and as files, and the same page in Firefox. Minutes long."""

import shutil
import statistics
from pathlib import Path

import firefox
import numpy as np
import pen
import pytest
from page_files import digits, generator_page

from mnistctl.evaluation.classifier import evaluate_classifier
from mnistctl.evaluation.predictions import load_classifiers
from mnistctl.pages.classifiers import describe_nets, render_classifiers

CONV = Path(__file__).parents[2] / "records/conv.safetensors"
CLEAR = "[...document.querySelectorAll('button')].find((each) => each.textContent === 'Clear').click()"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def page():
    """The page of conv and 200 digits."""
    classifiers, labelled = load_classifiers([CONV]), digits()
    nets = describe_nets(classifiers, labelled, [None])
    return render_classifiers(nets, [evaluate_classifier(classifiers[0], labelled).predictions], labelled)


def test_fifty_drawings_are_read_as_screenshots_of_them_are(visit, page, tmp_path):
    compared = pen.compare(visit(page), CONV, tmp_path)
    assert len(compared) == 50
    assert statistics.mean(each.difference for each in compared) <= 6
    assert sum(each.read == each.read_from_file for each in compared) >= 49
    assert sum(each.read == each.digit for each in compared) >= 48


def test_firefox_shows_the_same_as_chromium(visit, page, tmp_path):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox")
    tab = visit(page)
    path = tmp_path / "page.html"
    (tmp_path / "profile").mkdir()
    bars = "[...document.querySelectorAll('.reading td:last-child')].map((each) => each.textContent)"
    sums = "[...document.querySelectorAll('.sums td')].map((each) => each.textContent)"
    cards = "[...document.querySelectorAll('.card')].map((each) => each.ariaLabel)"
    picture = "[...document.querySelector('.sees canvas').getContext('2d').getImageData(0, 0, 28, 28).data]"
    with firefox.started(program, tmp_path / "profile") as other:
        other.open(path.as_uri())
        assert other.run(f"return {cards}") == tab.evaluate(cards)
        for digit in range(10):
            strokes = pen.strokes_of(digit)
            tab.get_by_role("button", name="Clear").click()
            other.run(CLEAR)
            pen.draw(tab, strokes, steps=1)
            other.draw(strokes)
            one, two = np.array(tab.evaluate(picture)), np.array(other.run(f"return {picture}"))
            assert np.abs(one - two).mean() < 2  # strokes are smoothed a little differently
            (answer,) = pen.answers(tab).values()
            assert other.run("return document.querySelector('.answer strong').textContent") == answer
            assert len(other.run(f"return {bars}")) == len(tab.evaluate(bars)) == 10
            assert len(other.run(f"return {sums}")) == len(tab.evaluate(sums)) == 50


def test_firefox_generates_pictures_too(tmp_path):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox")
    page = tmp_path / "page.html"
    page.write_bytes(generator_page()[0])
    (tmp_path / "profile").mkdir()
    script = """return [...document.querySelectorAll("#generate canvas")].map((canvas) =>
        new Set(canvas.getContext("2d").getImageData(0, 0, 28, 28).data).size)"""
    with firefox.started(program, tmp_path / "profile") as other:
        other.open(page.as_uri())
        other.wait("return !document.documentElement.dataset.busy")
        greys = other.run(script)
    assert len(greys) == 10
    assert min(greys) > 50
