"""Digits drawn on the canvas of a page by the events of a real pointer."""

from dataclasses import dataclass
from random import Random

import numpy as np
from drawing import HANDS

from mnistctl.inference.predict import predict_images

SIDE = 308  # CSS pixels of the canvas


def strokes_of(digit, hand=0, *, left=90, top=40, height=210):
    """The strokes of a digit as lists of points on the canvas."""
    lines = []
    for text in HANDS[digit][hand]:
        points = [tuple(map(float, pair.split())) for pair in text.split(",")]
        lines.append([(left + height / 100 * x, top + height / 100 * y) for x, y in points])
    return lines


def draw(tab, strokes, steps=4):
    """Draw strokes with the mouse, and wait until the page has read them."""
    tab.locator("#draw").scroll_into_view_if_needed()
    box = tab.locator("canvas.drawing").bounding_box()
    for points in strokes:
        for number, (x, y) in enumerate(points):
            tab.mouse.move(box["x"] + x, box["y"] + y, steps=1 if number == 0 else steps)
            if number == 0:
                tab.mouse.down()
        tab.mouse.up()
    settle(tab)


def settle(tab):
    """Wait until the page has read what is on the canvas."""
    tab.wait_for_selector("html:not([data-busy])")


def seen(tab):
    """The picture that the nets see: 784 greys."""
    script = """() => {
        const canvas = document.querySelector('.sees canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, 28, 28);
        return Array.from({ length: 784 }, (_, n) => data[4 * n]);
    }"""
    return tab.evaluate(script)


def answers(tab):
    """What each net answers: by its name the digit, or a dash."""
    dash = "\u2013"
    return {
        each.locator("h3").inner_text(): each.locator(".answer strong").inner_text().replace(dash, "-")
        for each in tab.locator(".reading").all()
    }


@dataclass(frozen=True)
class Drawing:
    """One of fifty drawings: a digit, its strokes, and the width of the pen."""

    digit: int
    strokes: list
    width: int


def fifty():
    """Fifty drawings, five of each digit: other handwritings, sizes, places, slants and pens."""
    random = Random(0)
    drawings = []
    for digit in range(10):
        for number in range(5):
            height = random.randint(110, 230)
            strokes = strokes_of(
                digit,
                number % len(HANDS[digit]),
                left=random.randint(20, 280 - round(0.75 * height)),
                top=random.randint(20, 280 - height),
                height=height,
            )
            slant = random.uniform(-0.15, 0.15)
            slanted = [[(x + slant * (150 - y), y) for x, y in points] for points in strokes]
            drawings.append(Drawing(digit, slanted, random.choice((14, 18, 22, 26, 30))))
    return drawings


@dataclass(frozen=True)
class Compared:
    """What the page and `eval --image` make of one drawing.

    `difference` is the mean difference of the two pictures in grey levels, `read` and `read_from_file` are
    the answers, and `milliseconds` the time that the page needed from the picture to the answer.
    """

    digit: int
    difference: float
    read: int
    read_from_file: int | None
    milliseconds: float


def compare(tab, checkpoint, folder, drawings=None):
    """Draw each digit on the page of the net in `checkpoint`, and read a screenshot of it as a file."""
    paths, pages = [], []
    for number, drawing in enumerate(drawings or fifty()):
        tab.get_by_role("button", name="Clear").click()
        tab.get_by_role("slider", name="pen").fill(str(drawing.width))
        draw(tab, drawing.strokes)
        paths.append(folder / f"drawing{number}.png")
        tab.locator("canvas.drawing").screenshot(path=paths[-1])
        (answer,) = answers(tab).values()
        milliseconds = float(tab.evaluate("document.documentElement.dataset.milliseconds"))
        pages.append((drawing.digit, np.array(seen(tab)).reshape(28, 28), int(answer), milliseconds))
    files = predict_images(checkpoint, paths)
    compared = []
    for (digit, picture, answer, milliseconds), image, inputs in zip(
        pages, files.images, files.inputs, strict=True
    ):
        other = inputs[0] if len(inputs) else np.zeros((28, 28))
        difference = float(np.abs(picture - other.astype(float)).mean())
        compared.append(Compared(digit, difference, answer, image.digit, milliseconds))
    return compared
