"""Images of single digits, photographed, scanned or drawn, converted to 28x28 pixels as in MNIST."""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from mnistctl.artifacts import files, grids
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import components, layout, segmentation
from mnistctl.data.segmentation import Grey
from mnistctl.errors import OutputError, UsageError

MAX_BYTES = 2**28  # of a file
MAX_PIXELS = 2**26  # of an image
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # none that needs a program to be read
_MAX_SIDE = 320  # pixels on the longer side of the working copy: a digit of a twentieth of it has 16
_MIN_SIDE = 4  # pixels on the shorter side, below which nothing can be read
_MAX_GRID = 2**22  # pixels of a grid that mnistctl wrote
_SOLID = 0.8  # smallest opaque share of a sheet's box: a stroke rarely fills its box
_CONTRAST = 40  # smallest difference between the greys of paper and ink; strokes of one colour have less

# How an image with each EXIF orientation is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow raises for damaged files.
_DECODER_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    MemoryError,
    struct.error,
    zlib.error,
)
_GRID_ERRORS: tuple[type[Exception], ...] = (Image.DecompressionBombError, *_DECODER_ERRORS)


def find_images(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """These files, with each folder replaced by its images, sorted by name; and the folder's other files.

    The images of a folder are those in it, and those in its folders called 0 to 9. Hidden files do not count.

    Raises:
        UsageError: a folder has no images.
        OutputError: a folder cannot be read.
    """
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    images, left_out = [], []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        inside = _visible_files(path)
        for digit in range(10):
            inside += _visible_files(path / str(digit)) if (path / str(digit)).is_dir() else []
        chosen = [file for file in inside if file.suffix.lower() in endings]
        left_out += [file for file in inside if file.suffix.lower() not in endings]
        if not chosen:
            raise UsageError("no image in this folder", field="images", value=path)
        images += chosen
    return images, left_out


def _visible_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir())
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({files.reason(error)})") from None


def load_image(path: Path) -> tuple[Grey, int]:
    """The first image in a file, in grey, and the number of images in the file.

    Returns:
        The image as `to_grey` gives it, and the number.

    Raises:
        OutputError: the file cannot be read, is damaged, is too large, or is not an image.
    """
    try:
        content = files.read(path, MAX_BYTES)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({files.reason(error)}); give an image") from None
    if not content:
        raise OutputError(f"{path}: empty; give an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd metadata and size; size is checked below
            Image.init()
            with Image.open(io.BytesIO(content), formats=[f for f in FORMATS if f in Image.OPEN]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                # The further images in an MPO are previews of the first.
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                with _without_stderr() if image.format == "TIFF" else nullcontext():
                    return to_grey(image), frames
    except Image.DecompressionBombError:
        raise OutputError(f"{path}: more than {MAX_PIXELS:,} pixels; give a smaller image") from None
    except UnidentifiedImageError:
        raise OutputError(f"{path}: not an image of a known format; give a PNG or JPEG") from None
    except _DECODER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise OutputError(f"{path}: damaged ({reason}); save it again as PNG or JPEG") from None


def load_grid(path: Path) -> ImageArray | None:
    """The cells [rows, columns, 28, 28] of a grid of digits that mnistctl wrote; None for another image.

    Such a grid needs no preparation, and its white lines would be taken for paper. A file that cannot be read
    is none either; `load_image` says why.
    """
    try:
        content = files.read(path, MAX_BYTES)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            small = image.width * image.height <= _MAX_GRID
            return grids.untile(np.asarray(image)) if small and image.mode == "L" else None
    except _GRID_ERRORS:
        return None


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Discard what libtiff writes about damaged files to the stderr of the process."""
    saved, discard = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(discard, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(discard)


def to_grey(image: Image.Image) -> Grey:
    """An image of any mode in grey: upright, at most 320 pixels long, transparent parts as paper.

    Returns:
        [rows, columns], black 0 to white 255.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # more than 8 bits: the range is unknown
        grey = _downscale(_stretch(image))
    elif image.has_transparency_data:
        grey = _select_channel(_flatten_alpha(_downscale(image.convert("RGBA"))))
    elif image.mode in ("1", "L"):
        grey = _downscale(image.convert("L"))
    else:
        grey = _select_channel(_downscale(image if image.mode == "RGB" else image.convert("RGB")))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in _TURNS:
        grey = grey.transpose(_TURNS[orientation])
    return np.asarray(grey, np.float32)


def _stretch(image: Image.Image) -> Image.Image:
    """An image of numbers of unknown range, from 0 for the smallest to 255 for the largest.

    Pixels that are not numbers, or infinite, get the median.
    """
    values = np.asarray(image).astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return Image.new("F", image.size)
    values = np.where(finite, values, np.median(values[finite]))
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.float32))


def _downscale(image: Image.Image) -> Image.Image:
    """The image, at most `_MAX_SIDE` pixels long; each pixel is the mean of those that it replaces."""
    longer = max(image.size)
    if longer > 2 * _MAX_SIDE:  # fast, by whole numbers
        image = image.reduce(longer // _MAX_SIDE)
        longer = max(image.size)
    if longer > _MAX_SIDE:
        size = [max(1, round(n * _MAX_SIDE / longer)) for n in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.BOX)
    return image


def _flatten_alpha(image: Image.Image) -> Image.Image:
    """An RGBA image on paper of a different grey: dark ink on white, light ink on black.

    A sheet of paper with a transparent margin is cropped to the sheet.
    """
    alpha, luma = np.asarray(image.getchannel("A"), np.float32), np.asarray(image.convert("L"))
    opaque = alpha > 127
    box = Image.fromarray(opaque).getbbox()
    if box is not None:
        left, top, right, bottom = box
        solid = opaque[top:bottom, left:right].mean() > _SOLID
        if solid and np.ptp(np.percentile(luma[opaque], (1, 99))) > _CONTRAST:  # paper and ink
            paper = int(np.median(luma[opaque]))
            page = Image.new("RGBA", image.size, (paper, paper, paper, 255))
            return Image.alpha_composite(page, image).convert("RGB").crop(box)
    paper = 255 if (luma * alpha).sum() < 127 * alpha.sum() else 0
    page = Image.new("RGBA", image.size, (paper, paper, paper, 255))
    return Image.alpha_composite(page, image).convert("RGB")


def _select_channel(image: Image.Image) -> Image.Image:
    """The luminance, or a channel with more than twice its contrast: blue for yellow ink on white."""
    channels = [image.convert("L"), *image.split()]
    contrasts = [np.ptp(np.percentile(np.asarray(channel), (1, 99))) for channel in channels]
    best = int(np.argmax(contrasts))
    return channels[best] if contrasts[best] > 2 * contrasts[0] else channels[0]


def find_ink(grey: Grey) -> tuple[Grey, int] | None:
    """The ink in an image and the width of its margin, as `extract_ink`; None if it is too small for a digit.

    Args:
        grey: an image as `to_grey` gives it.
    """
    return None if min(grey.shape) < _MIN_SIDE else segmentation.extract_ink(grey)


def to_mnist(grey: Grey) -> NDArray[np.uint8] | None:
    """The digit in an image, in the style of MNIST; docs/digit-reading.md describes the steps.

    Args:
        grey: an image as `to_grey` gives it.

    Returns:
        White on black, uint8 [28, 28]; None if there is no digit.
    """
    found = find_ink(grey)
    foreground = None if found is None else components.find_foreground(found[0])
    if found is None or foreground is None:
        return None
    return layout.fit(layout.extract_digit(found[0], components.find_digit(foreground)))
