"""500 drawn pictures that show no digit: letters, scribbles, blank paper and textures.

`bench/doubt.py` measures how many of them are refused or marked as unsure. Each picture depends only on its
number. Letters that cannot be told from a digit alone are left out: I, l, O and o.
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("STIXGeneralBolIta", "cmr10", "cmb10", "cmmi10", "cmss10", "cmti10", "cmtt10"),
)
KINDS = ("letter", "letter", "scribble", "blank paper", "texture")  # take turns
COUNT = 500


def no_digit(number: int) -> tuple[str, Image.Image]:
    """The kind and the picture, in grey, with this number: 0 to COUNT - 1."""
    rng = np.random.default_rng([number, 20])
    kind = KINDS[number % len(KINDS)]
    side = round(float(np.exp(rng.uniform(np.log(28), np.log(500)))))
    size = side, round(side * rng.uniform(0.8, 1.25))
    if kind == "texture":
        grey = texture(size, rng)
    else:
        grey = paper(size, rng)
        if kind != "blank paper":
            ink = letter(number, size, rng) if kind == "letter" else scribble(size, rng)
            grey = grey * (1 - ink * rng.uniform(0.5, 0.95))
    grey = grey + rng.normal(0, rng.uniform(0, 4), grey.shape)
    grey = grey if rng.random() < 0.75 else 255 - grey
    return kind, Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))


def paper(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Light paper, evenly or unevenly lit."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    direction, falloff = rng.uniform(0, 2 * np.pi), rng.choice([0, 0.2, 0.4])
    along = 0.5 + (x / size[0] - 0.5) * np.cos(direction) / 2 + (y / size[1] - 0.5) * np.sin(direction) / 2
    return rng.uniform(225, 255) * (1 - falloff * along)


def letter(number: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The ink of a letter, slightly rotated, 0 to 1."""
    path = Path(matplotlib.get_data_path()) / f"fonts/ttf/{FONTS[number % len(FONTS)]}.ttf"
    font = ImageFont.truetype(str(path), 4 * min(size) * rng.uniform(0.5, 0.9))
    canvas = Image.new("L", (4 * size[0], 4 * size[1]))
    centre = [2 * s + min(size) * rng.uniform(-0.3, 0.3) for s in size]
    ImageDraw.Draw(canvas).text(centre, str(rng.choice(list(LETTERS))), 255, font, anchor="mm")
    canvas = canvas.rotate(rng.normal(0, 5), Image.Resampling.BICUBIC)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), np.float32) / 255


def scribble(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The ink of a smooth random line with many turns, 0 to 1."""
    turns = int(rng.integers(6, 25))
    knots = ndimage.gaussian_filter1d(rng.standard_normal((turns * 40, 2)), 12, axis=0)
    knots = (knots - knots.min(0)) / np.ptp(knots, 0)
    points = (0.1 + 0.8 * knots) * 4 * np.array(size)
    canvas = Image.new("L", (4 * size[0], 4 * size[1]))
    width = max(4, round(4 * min(size) * rng.uniform(0.02, 0.07)))
    ImageDraw.Draw(canvas).line([tuple(point) for point in points], 255, width, joint="curve")
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), np.float32) / 255


def texture(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Stripes, squares, clouds, grain or dots, black 0 to white 255."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), min(size) * rng.uniform(0.08, 0.35)
    u, v = (x * np.cos(angle) + y * np.sin(angle)) / period, (y * np.cos(angle) - x * np.sin(angle)) / period
    kind = rng.integers(5)
    if kind == 0:
        values = np.sin(2 * np.pi * u)
    elif kind == 1:
        values = np.sign(np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v))
    elif kind == 4:
        values = np.hypot(u % 1 - 0.5, v % 1 - 0.5) - 0.3
    else:
        values = ndimage.gaussian_filter(
            rng.standard_normal((size[1], size[0])), period / (4 if kind == 2 else 40)
        )
    contrast = rng.uniform(20, 110)
    return 128 + contrast * values / max(float(np.abs(values).max()), 1e-9)
