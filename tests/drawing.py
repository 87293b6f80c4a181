"""Drawn images of single digits: different handwritings, pens, papers, lights, sizes and fonts.

Each image depends only on its number. `mnistctl.data.photos` is tested with them, and is not used here.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

# For each digit, ways to write it: strokes, each a list of points x y that a smooth line passes through. The
# digit is 100 high, and y points down. A repeated point is a corner.
HANDS = {
    0: [
        ["35 0, 12 18, 2 50, 12 84, 35 100, 58 82, 66 50, 57 15, 35 0, 24 4"],
        ["42 3, 22 0, 5 25, 2 60, 16 95, 38 98, 55 70, 56 30, 46 6, 30 -3"],
        ["30 4, 8 30, 10 75, 32 100, 62 85, 72 45, 60 12, 40 2, 36 8"],
    ],
    1: [
        ["30 0, 29 50, 28 100"],
        ["5 28, 34 0, 34 0, 32 100"],
        ["10 22, 34 0, 34 0, 33 99", "6 100, 62 98"],
        ["20 12, 32 0, 32 0, 30 50, 27 100"],
        ["42 0, 30 48, 18 100"],
    ],
    2: [
        ["5 22, 15 5, 38 0, 60 15, 58 38, 35 68, 3 100, 3 100, 68 98"],
        ["8 20, 30 0, 58 12, 58 38, 35 70, 12 95, 3 89, 14 80, 32 88, 50 98, 72 90"],
        ["3 15, 30 0, 55 10, 56 36, 30 70, 5 96, 5 96, 25 90, 45 100, 68 92"],
    ],
    3: [
        ["8 12, 30 0, 55 10, 55 33, 26 47, 26 47, 60 58, 65 82, 40 100, 4 90"],
        ["5 3, 60 2, 60 2, 28 40, 28 40, 60 52, 64 80, 38 100, 3 92"],
        ["5 8, 38 0, 58 18, 44 42, 24 48, 24 48, 50 52, 60 76, 34 99, 2 93"],
    ],
    4: [
        ["12 0, 5 55, 5 55, 70 54", "52 15, 48 100"],
        ["50 100, 53 0, 53 0, 2 65, 2 65, 74 64"],
        ["26 0, 2 60, 2 60, 70 57", "50 32, 44 100"],
        ["8 0, 6 35, 22 52, 56 44", "61 0, 58 50, 54 100"],
    ],
    5: [
        ["12 3, 8 42, 8 42, 35 36, 62 55, 58 85, 30 100, 2 90", "12 3, 62 0"],
        ["62 0, 15 2, 15 2, 10 45, 10 45, 36 38, 60 58, 56 86, 28 100, 0 92"],
        ["14 8, 10 44, 10 44, 36 38, 60 58, 55 88, 27 100, 2 94", "20 -1, 66 -4"],
    ],
    6: [
        ["50 0, 20 25, 5 60, 12 90, 35 100, 60 85, 58 62, 35 53, 9 70"],
        ["42 0, 15 40, 5 75, 25 100, 54 90, 54 66, 30 60, 7 80"],
        ["56 8, 36 0, 12 28, 4 68, 24 99, 54 90, 56 64, 32 54, 8 66"],
    ],
    7: [
        ["3 3, 65 0, 65 0, 25 100"],
        ["3 4, 65 0, 65 0, 46 45, 28 100", "16 52, 62 48"],
        ["5 16, 6 2, 6 2, 66 3, 66 3, 40 45, 30 100"],
        ["2 8, 30 3, 62 4, 62 4, 34 50, 26 100", "12 50, 56 47"],
    ],
    8: [
        ["55 12, 32 0, 10 15, 20 38, 48 55, 62 78, 38 100, 8 82, 20 55, 48 38, 58 18, 50 6"],
        ["34 46, 12 34, 14 8, 36 0, 56 14, 52 36, 34 46, 6 62, 8 92, 36 100, 62 88, 58 60, 34 46"],
        ["60 10, 36 2, 14 16, 26 40, 52 62, 54 90, 30 100, 10 84, 22 58, 50 36, 62 14"],
    ],
    9: [
        ["58 16, 38 2, 10 15, 10 40, 34 48, 56 24, 60 6, 60 6, 56 60, 48 100"],
        ["57 22, 36 0, 8 18, 12 42, 38 46, 58 20, 58 20, 60 68, 40 98, 8 92"],
        ["52 12, 24 2, 4 26, 20 50, 50 34, 56 8, 56 8, 52 50, 52 100"],
    ],
}
PENS = ("ballpoint", "marker", "pencil", "brush")
PAPERS = ("plain", "uneven", "ruled", "board", "transparent", "photo", "squared", "scan")
INKS = {
    "ballpoint": ("#1a2a7a", "#111118", "#b01020", "#0b5c2e"),
    "marker": ("#101010", "#c01818", "#1038b0"),
}
INKS |= {"pencil": ("#4a4a4c", "#606064"), "brush": ("#0a0a0a", "#3a1c10")}
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "DejaVuSans-Oblique",
)
WRITTEN = 240  # the first numbers are handwritten; after them comes each digit in each font


@dataclass(frozen=True)
class Drawing:
    """An image of a digit, a description of it, and the ending of a file format that suits it."""

    digit: int
    how: str
    picture: Image.Image
    ending: str


def drawing(number: int, most: int = 2000) -> Drawing:
    """The image with this number.

    Args:
        number: 0 to `COUNT` - 1; the digits take turns.
        most: largest width in pixels.
    """
    rng = np.random.default_rng(number)
    digit, turn = number % 10, number // 10
    paper = PAPERS[(turn + digit) % len(PAPERS)]
    side = round(float(np.exp(rng.uniform(np.log(40), np.log(900)))))
    if number % 61 == 7:
        side = 2000
    if paper in ("ruled", "squared", "photo"):  # lines and shadows need some pixels
        side = max(side, 160)
    side = min(side, most)
    size = side, round(side * rng.uniform(0.8, 1.25))
    if number < WRITTEN:
        pen = PENS[turn % len(PENS)] if side >= 80 else "marker"
        ink, colour = handwrite(digit, turn, pen, size, rng), rng.choice(INKS[pen])
    else:
        pen = FONTS[turn - WRITTEN // 10]
        ink, colour = typeset(digit, pen, size, rng), "#101010"
    picture, ending = put_on_paper(ink, str(colour), paper, rng)
    return Drawing(digit, f"{pen}, {paper}, {size[0]}x{size[1]}", picture, ending)


COUNT = WRITTEN + 10 * len(FONTS)


def spline(points: str) -> np.ndarray:
    """Points [N, 2] on the Catmull-Rom spline through the given points."""
    p = np.array([pair.split() for pair in points.split(", ")], float) / 100
    p = np.concatenate((2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]))
    t = np.linspace(0, 1, 48, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        if not (b == c).all():
            cubic = -a + 3 * b - 3 * c + d, 2 * a - 5 * b + 4 * c - d, c - a
            parts.append(b + t * (cubic[2] + t * (cubic[1] + t * cubic[0])) / 2)
    return np.concatenate([*parts, p[-2:-1]])


def handwrite(digit: int, turn: int, pen: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The ink of a handwritten digit, 0 to 1: [height, width]."""
    strokes = [spline(points) for points in HANDS[digit][turn % len(HANDS[digit])]]
    points = np.concatenate(strokes)
    # The pen trembles along a stroke. Digits are slanted to the right and slightly rotated.
    tremble = rng.uniform(0.004, 0.02)
    slant, angle, stretch = rng.uniform(-0.1, 0.35), np.radians(rng.normal(0, 5)), rng.uniform(0.85, 1.2)
    shape = np.array([[stretch, 0], [-slant, 1]]) @ rotation(angle)
    for stroke in strokes:
        noise = ndimage.gaussian_filter1d(rng.standard_normal(stroke.shape), 20, axis=0, mode="nearest")
        stroke += noise * tremble / max(noise.std(), 1e-9)
    points = np.concatenate(strokes) @ shape
    low, high = points.min(0), points.max(0)
    scale = min(size) * rng.uniform(0.35, 0.82) / max(high - low)
    room = np.array(size) - scale * (high - low)
    corner = room * (0.5 + rng.uniform(-0.35, 0.35, 2))
    thickness = (
        scale * {"ballpoint": 0.03, "marker": 0.11, "pencil": 0.04, "brush": 0.1}[pen] * rng.uniform(0.8, 1.3)
    )
    factor = 1 if min(size) > 1000 else 3
    canvas = Image.new("L", (size[0] * factor, size[1] * factor))
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        along = np.linspace(0, 1, len(stroke))
        pressure = np.ones(len(stroke))
        if pen == "brush":
            pressure = 0.35 + 0.65 * np.sin(np.pi * np.clip(along * 0.85 + 0.12, 0, 1))
        elif pen in ("ballpoint", "pencil"):
            pressure = 1 + 0.12 * np.sin(2 * np.pi * (along + rng.random()))
        centres = ((stroke @ shape - low) * scale + corner) * factor
        radii = np.maximum(thickness, 1.2) * pressure * factor / 2
        for (x0, y0), (x1, y1), r in zip(centres, centres[1:], radii, strict=False):
            draw.line((x0, y0, x1, y1), 255, max(1, round(2 * r)))
            draw.ellipse((x0 - r, y0 - r, x0 + r, y0 + r), 255)
    ink = np.asarray(canvas.resize(size, Image.Resampling.BOX), np.float32) / 255
    if pen == "pencil":
        grain = ndimage.gaussian_filter(rng.standard_normal(ink.shape), max(0.6, thickness / 10))
        ink = ink * np.clip(0.8 + 0.3 * grain / grain.std(), 0.15, 1)
    return ink


def typeset(digit: int, font_name: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The ink of a digit in one of matplotlib's fonts, 0 to 1: [height, width]."""
    path = Path(matplotlib.get_data_path()) / f"fonts/ttf/{font_name}.ttf"
    font = ImageFont.truetype(str(path), min(size) * rng.uniform(0.5, 0.95))
    canvas = Image.new("L", size)
    centre = [s * (0.5 + rng.uniform(-0.1, 0.1)) for s in size]
    ImageDraw.Draw(canvas).text(centre, str(digit), 255, font, anchor="mm")
    return np.asarray(canvas.rotate(rng.normal(0, 3), Image.Resampling.BICUBIC), np.float32) / 255


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def put_on_paper(
    ink: np.ndarray, colour: str, paper: str, rng: np.random.Generator
) -> tuple[Image.Image, str]:
    """An image of the ink on a kind of paper, and the ending of a suitable file format."""
    rows, columns = ink.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    y, x = y / rows - 0.5, x / columns - 0.5
    tint = np.array(Image.new("RGB", (1, 1), colour).getpixel((0, 0)), np.float32)
    if paper == "transparent":
        if rng.random() < 0.5:
            tint = 255 - tint / 3  # a light pen, for a dark page
        pixels = np.concatenate((np.broadcast_to(tint, (rows, columns, 3)), 255 * ink[..., None]), -1)
        return Image.fromarray(pixels.round().astype(np.uint8), "RGBA"), "png"
    if paper == "board":
        page, tint = blackboard(ink.shape, rng)
    else:
        page = np.broadcast_to(np.array([250, 249, 244], np.float32) - rng.uniform(0, 14), (rows, columns, 3))
    if paper in ("ruled", "squared"):
        page = with_lines(page, x, y, paper, rng)
    image = page * (1 - ink[..., None]) + tint * ink[..., None]
    noise = 1.5
    if paper in ("uneven", "photo"):
        falloff, direction = rng.uniform(0.35, 0.75), rng.uniform(0, 2 * np.pi)
        light = 1 - falloff * (0.5 + x * np.cos(direction) + y * np.sin(direction)).clip(0, 1)
        image, noise = image * light[..., None], 4
    if paper == "photo":
        image = photographed(image, x, y, rng)
    if paper == "scan":  # specks of dust
        for _ in range(12):
            r, c = rng.integers(rows), rng.integers(columns)
            s = max(1, round(min(rows, columns) / 150))
            image[r : r + s, c : c + s] = 90
        noise = 7
    image = image + rng.normal(0, noise, (rows, columns, 1)) + rng.normal(0, noise / 2, image.shape)
    pixels = image.clip(0, 255).round().astype(np.uint8)
    if paper == "scan":
        return Image.fromarray(pixels).convert("L"), "png"
    return Image.fromarray(pixels), "jpg"


def blackboard(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark board with smudges, [height, width, 3], and the colour of the chalk."""
    ground = np.array(rng.choice([(28, 62, 46), (30, 30, 34), (18, 26, 60)]), np.float32)
    smudge = ndimage.gaussian_filter(rng.standard_normal(shape), min(shape) / 12)
    chalk = np.array(rng.choice([(235, 235, 228), (250, 225, 120), (240, 190, 200)]), np.float32)
    return ground + 12 * (smudge / smudge.std())[..., None], chalk


def with_lines(
    page: np.ndarray, x: np.ndarray, y: np.ndarray, paper: str, rng: np.random.Generator
) -> np.ndarray:
    """The page with blue lines, horizontal ones if it is ruled, in both directions if it is squared."""
    rows, columns = page.shape[:2]
    slope, gap = np.tan(np.radians(rng.uniform(-3, 3))), rng.uniform(0.1, 0.3) * rows
    if paper == "squared":
        gap = gap / 2
    width, blue = max(1.0, gap / 25), np.array([150, 180, 215], np.float32)
    distances = y * rows + slope * x * columns, x * columns - slope * y * rows
    for distance in distances[: 1 if paper == "ruled" else 2]:
        to_line = np.abs((distance + gap * 0.37) % gap - gap / 2)
        lines = np.clip(width / 2 + 0.5 - to_line, 0, 1)[..., None] * rng.uniform(0.6, 1)
        page = page * (1 - lines) + blue * lines
    return page


def photographed(image: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with the edge of a table, a shadow, and slight blur."""
    rows = len(image)
    edge = x * np.cos(0.1) - y * np.sin(0.1) if rng.random() < 0.5 else y + 0.08 * x
    table = ndimage.gaussian_filter((edge > 0.47).astype(np.float32), 1)[..., None]
    image = image * (1 - table) + np.array([70, 48, 34], np.float32) * table
    shadow = ndimage.gaussian_filter((x + 0.4 * y < rng.uniform(-0.4, -0.1)).astype(np.float32), rows / 25)
    return ndimage.gaussian_filter(image * (1 - 0.3 * shadow[..., None]), (rows / 300, rows / 300, 0))
