"""Pictures of single digits, photographed, scanned or drawn, made into what MNIST's digits are: 28x28."""

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
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from mnistctl.artifacts import files
from mnistctl.data import segmentation
from mnistctl.data.segmentation import Grey, Mask
from mnistctl.errors import OutputError, UsageError

MAX_BYTES, MAX_PIXELS = 2**28, 2**26  # of a file, and of the picture in it
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # none that runs a program to be read
_MAX_SIDE = 640  # pixels on the longer side of what is worked on: a digit of a twentieth of it has 32
_MIN_DETAIL = 160  # at least, of a digit whose strokes are measured
_BOX, _CENTRE = 20, 14  # of MNIST: the square that a digit fits, the pixel where its centre of mass is
_MIN_STROKE = 1.9  # pixels a stroke, at that size; of MNIST's training digits one in ten is thinner
_FAULTS: tuple[type[Exception], ...] = (OSError, EOFError, SyntaxError, ValueError, TypeError, RuntimeError)


_FAULTS += (
    ArithmeticError,
    LookupError,
    MemoryError,
    struct.error,
    zlib.error,
)  # of damaged files, by pillow


def find_images(places: Sequence[Path]) -> list[Path]:
    """These files, and in the place of each folder its pictures, by name.

    Raises:
        UsageError: a folder has none.
        OutputError: a folder cannot be read.
    """
    paths = []
    for place in places:
        if not place.is_dir():
            paths.append(place)
            continue
        endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
        try:
            inside = sorted(p for p in place.iterdir() if p.suffix.lower() in endings and p.name[0] != ".")
        except OSError as fault:
            raise OutputError(f"{place}: cannot be read ({files.reason(fault)})") from None
        if not inside:
            raise UsageError(f"--image {place}: no picture in this folder; give one, or a file")
        paths += inside
    return paths


def load_image(path: Path) -> tuple[Grey, int]:
    """The picture at `path` in greys, upright, at most 640 pixels long; and of how many it is the first.

    Raises:
        OutputError: it cannot be read, is damaged, too large, or no picture.
    """
    try:
        content = files.read(path, MAX_BYTES)
    except OSError as fault:
        raise OutputError(f"{path}: cannot be read ({files.reason(fault)}); give a picture") from None
    if not content:
        raise OutputError(f"{path}: empty; give a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; of size we judge ourselves
            Image.init()
            with Image.open(io.BytesIO(content), formats=[f for f in FORMATS if f in Image.OPEN]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                with _without_stderr() if image.format == "TIFF" else nullcontext():
                    return to_grey(image), frames
    except Image.DecompressionBombError:
        raise OutputError(f"{path}: more than {MAX_PIXELS:,} pixels; give a smaller picture") from None
    except UnidentifiedImageError:
        raise OutputError(f"{path}: not a picture of a kind known here; give a PNG or JPEG") from None
    except _FAULTS as fault:
        why = str(fault) or type(fault).__name__
        raise OutputError(f"{path}: damaged ({why}); save it anew, as PNG or JPEG") from None


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Without what libtiff writes about damaged files, past Python, to the process's own stderr."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def to_grey(image: Image.Image) -> Grey:
    """An image of any mode in greys, upright, at most 640 pixels long; what is transparent is paper."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.nan_to_num(np.asarray(image).astype(np.float32))
        low, high = float(values.min()), float(values.max())
        return np.asarray(_downscale(Image.fromarray((values - low) * (255 / max(high - low, 1e-9)))))
    if image.has_transparency_data:
        seen = _most_contrast(_flatten_alpha(_downscale(image.convert("RGBA"))))
    elif image.mode in ("1", "L"):
        seen = _downscale(image.convert("L"))
    else:
        seen = _most_contrast(_downscale(image.convert("RGB")))
    return np.asarray(seen, np.float32)


def _downscale(image: Image.Image) -> Image.Image:
    image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX, reducing_gap=None)
    return image


def _flatten_alpha(image: Image.Image) -> Image.Image:
    """RGBA on a paper that differs from it: ink on white if dark, on black if light."""
    alpha, luma = np.asarray(image.getchannel("A"), np.float32), np.asarray(image.convert("L"))
    if alpha.mean() > 127:  # a picture with a hole, not ink on nothing
        paper = int(np.median(luma[alpha > 127]))
    else:
        paper = 255 if (luma * alpha).sum() < 127 * alpha.sum() else 0
    page = Image.new("RGBA", image.size, (paper, paper, paper, 255))
    return Image.alpha_composite(page, image).convert("RGB")


def _most_contrast(image: Image.Image) -> Image.Image:
    """The luminance, or the colour that tells far more apart: yellow ink on white is seen in blue."""
    views = [image.convert("L"), *image.split()]
    spreads = [np.ptp(np.percentile(np.asarray(view), (1, 99))) for view in views]
    best = int(np.argmax(spreads))
    return views[best] if spreads[best] > 2 * spreads[0] else views[0]


def to_mnist(grey: Grey) -> NDArray[np.uint8] | None:
    """The digit in a picture as MNIST has its own, white on black [28, 28]; None where there is none.

    The steps are those of docs/contract.md.
    """
    if min(grey.shape) < 8:
        return None
    ink = segmentation.extract_ink(grey)
    mask = _digit_mask(ink)
    return None if mask is None else _frame_as_mnist(ink, mask)


def _digit_mask(ink: Grey) -> Mask | None:
    """Where the digit is: the main strokes, and those near them."""
    soft, marked = segmentation.foreground_mask(ink)
    main = _main_component(soft, marked)
    if main is None:
        return None
    marked &= soft > 0.35 * np.percentile(soft[main], 90)
    main = _main_component(soft, marked)
    if main is None:
        return None
    labels, count = ndimage.label(marked, np.ones((3, 3)))
    masses = ndimage.sum_labels(soft, labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    along = _along_border(labels, boxes)
    first = int(labels[main][0])
    chosen, box = {first}, boxes[first - 1]
    for n in np.argsort(-masses) + 1:
        if n in chosen or masses[n - 1] < 0.03 * masses[first - 1] or along[n - 1]:
            continue
        if _box_gap(box, boxes[n - 1]) < 0.25 * max(s.stop - s.start for s in box):
            chosen.add(int(n))
    mask: Mask = np.isin(labels, list(chosen))
    return mask


def _main_component(soft: Grey, marked: Mask) -> Mask | None:
    """The component with most ink; one at the border only where there is none of some size elsewhere."""
    labels, count = ndimage.label(marked, np.ones((3, 3)))
    if not count:
        return None
    masses = ndimage.sum_labels(soft, labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    large = [max(s.stop - s.start for s in box) >= max(6, 0.05 * max(soft.shape)) for box in boxes]
    if not any(large):
        return None
    masses[~np.array(large)] = 0
    inner = np.array(large) & ~_along_border(labels, boxes)
    if inner.any():
        masses[~inner] = 0
    elif soft[marked].max() < 0.2:
        return None
    main: Mask = labels == 1 + int(masses.argmax())
    return main


def _along_border(labels: NDArray[np.int32], boxes: list[tuple[slice, ...]]) -> Mask:
    """Of each component whether it lies along the picture's border, as a shadow does, not only touches it."""
    touching = np.bincount(segmentation.border_pixels(labels), minlength=len(boxes) + 1)[1:]
    longer = np.array([max(s.stop - s.start for s in box) for box in boxes])
    along: Mask = touching > 0.3 * longer
    return along


def _box_gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Pixels between two boxes, along the axis where they are further apart."""
    apart: int = max(max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True))
    return apart


def _frame_as_mnist(ink: Grey, mask: Mask) -> NDArray[np.uint8]:
    """The ink at the mask as strokes of full white, in MNIST's box, about their centre of mass."""
    noise = segmentation.noise_level(ink)
    level = max(float(np.percentile(ink[mask], 80)), 0.3 * float(ink[mask].max()))  # of a hairline, too
    floor = min(2 * noise, 0.3 * level)
    near = ndimage.binary_dilation(mask, iterations=max(1, max(ink.shape) // 200))
    digit = ((ink - floor) / (level - floor)).clip(0, 1) * near
    rows, columns = (np.flatnonzero((digit > 0.1).any(axis)) for axis in (1, 0))
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longer = max(digit.shape)
    if longer < _MIN_DETAIL:
        digit = _enlarge(digit, _MIN_DETAIL / longer)
        longer = max(digit.shape)
    digit = _thicken(digit, longer / _BOX)
    longer = max(digit.shape)
    square = np.zeros((longer, longer), np.float32)
    square[: digit.shape[0], : digit.shape[1]] = digit
    small = np.asarray(Image.fromarray(square).resize((_BOX, _BOX), Image.Resampling.BICUBIC)).clip(0)
    small = (small / max(float(np.percentile(small[small > 0.2], 90)), 0.2)).clip(0, 1)
    canvas = np.zeros((3 * _BOX, 3 * _BOX), np.float32)
    canvas[_BOX : 2 * _BOX, _BOX : 2 * _BOX] = small
    top, left = (round(c) - _CENTRE for c in ndimage.center_of_mass(canvas))
    return np.rint(255 * canvas[top : top + 28, left : left + 28]).astype(np.uint8)


def _enlarge(digit: Grey, times: float) -> Grey:
    size = [max(1, round(n * times)) for n in digit.shape[::-1]]
    larger = Image.fromarray(digit).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return np.asarray(larger, np.float32).clip(0, 1)


def _thicken(digit: Grey, unit: float) -> Grey:
    """The strokes at least `_THINNEST` units wide, as far as they are thinner."""
    more = (_MIN_STROKE * unit - segmentation.stroke_width(digit > 0.5)) / 2
    if more <= 0:
        return digit
    wide = np.pad(digit, int(np.ceil(more)))
    away = ndimage.distance_transform_edt(wide <= 0.5)
    thick: Grey = np.maximum(wide, (more + 1 - away).clip(0, 1)).astype(np.float32)
    return thick
