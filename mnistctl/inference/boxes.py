"""Pictures of what was read in images: a box around each digit, and a grid of the misread ones."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mnistctl.artifacts import grids
from mnistctl.data.photos import load_image
from mnistctl.inference.predict import Prediction, Predictions

_READ, _UNSURE = "#1b7f3b", "#d1495b"
_TEXT = 18  # pixels; height of the text above a box
_SIDE = 160  # pixels on the longer side at least, so that the text has room
_MAX_ROWS = 30_000  # pixels of the picture; images for which there is no room are left out


def save_boxes(path: Path, predictions: Predictions) -> int:
    """Write the images of the predictions as one PNG, one below the other, with boxes and digits.

    Returns:
        The number of images in the picture, which has at most 30,000 rows of pixels. If no image could be
        read it is 0, and no file is written.

    Raises:
        OutputError: `path` cannot be written.
    """
    images, rows = [], 0
    for prediction in predictions.images:
        if prediction.error is not None:
            continue
        image = _draw(prediction)
        if rows + image.height > _MAX_ROWS:
            break
        images.append(image)
        rows += image.height
    if not images:
        return 0
    sheet = Image.new("RGB", (max(image.width for image in images), rows), "white")
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height
    grids.write_png(path, np.asarray(sheet))
    return len(images)


def save_misread(path: Path, predictions: Predictions) -> list[Path]:
    """Write the digits that were misread as a grid, with what they are and what they were read as.

    Returns:
        The files that were written: none if there are no such digits, or their labels are unknown.

    Raises:
        OutputError: `path` cannot be written.
    """
    digits = [
        (predictions.inputs[n][0], image.label, image.digit)
        for n, image in ((n, predictions.images[n]) for n in predictions.misread())
        if image.digit is not None and image.label is not None
    ]
    if not digits:
        return []
    cells, true, predicted = map(np.array, zip(*digits, strict=True))
    grids.write_png(path, grids.mismatch_grid(cells, true, predicted))
    return [path]


def _draw(prediction: Prediction) -> Image.Image:
    grey = Image.fromarray(load_image(Path(prediction.file))[0]).convert("L")
    factor = max(1, -(-_SIDE // max(grey.size)))
    grey = grey.resize((grey.width * factor, grey.height * factor), Image.Resampling.NEAREST)
    font = ImageFont.load_default(_TEXT - 4)
    page = Image.new("RGB", (grey.width, grey.height + _TEXT), "white")
    page.paste(grey, (0, _TEXT))
    draw = ImageDraw.Draw(page)
    for each in prediction.digits:
        left, top, width, height = each.box
        x, y = left * grey.width, _TEXT + top * grey.height
        colour = _UNSURE if each.low_confidence else _READ
        draw.rectangle((x, y, x + width * grey.width - 1, y + height * grey.height - 1), outline=colour)
        text = f"{each.digit}{'?' if each.low_confidence else ''}"
        draw.text((x + width * grey.width / 2, y - 2), text, colour, font, anchor="mb")
    return page
