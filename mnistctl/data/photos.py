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
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from mnistctl.artifacts import files
from mnistctl.data import segmentation
from mnistctl.data.segmentation import Grey, Mask
from mnistctl.errors import OutputError, UsageError

MAX_BYTES = 2**28  # of a file
MAX_PIXELS = 2**26  # of an image
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # none that needs a program to be read
_MAX_SIDE = 640  # pixels on the longer side of the working copy: a digit of a twentieth of it has 32
_MIN_DETAIL = 160  # pixels on the longer side of a digit whose strokes are measured
_BOX = 20  # side of the square in which MNIST's digits fit
_CENTRE = 14  # pixel at which MNIST's digits have their centre of mass
_MIN_STROKE = 1.9  # pixels, in that square; one in ten of MNIST's training digits has thinner strokes
_TOUCHING = np.ones((3, 3))  # pixels that touch at a corner are connected

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


def find_images(paths: Sequence[Path]) -> list[Path]:
    """These files, with each folder replaced by the images in it, sorted by name.

    Raises:
        UsageError: a folder has no images.
        OutputError: a folder cannot be read.
    """
    images = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
        try:
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in endings and p.name[0] != ".")
        except OSError as error:
            raise OutputError(f"{path}: cannot be read ({files.reason(error)})") from None
        if not inside:
            raise UsageError("no image in this folder", field="images", value=path)
        images += inside
    return images


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
    """An image of any mode in grey: upright, at most 640 pixels long, transparent parts as paper.

    Returns:
        [rows, columns], black 0 to white 255.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # more than 8 bits: the range is unknown
        values = np.nan_to_num(np.asarray(image).astype(np.float32))
        low, high = float(values.min()), float(values.max())
        return np.asarray(_downscale(Image.fromarray((values - low) * (255 / max(high - low, 1e-9)))))
    if image.has_transparency_data:
        grey = _select_channel(_flatten_alpha(_downscale(image.convert("RGBA"))))
    elif image.mode in ("1", "L"):
        grey = _downscale(image.convert("L"))
    else:
        grey = _select_channel(_downscale(image.convert("RGB")))
    return np.asarray(grey, np.float32)


def _downscale(image: Image.Image) -> Image.Image:
    image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX, reducing_gap=None)
    return image


def _flatten_alpha(image: Image.Image) -> Image.Image:
    """An RGBA image on paper of a different grey: dark ink on white, light ink on black."""
    alpha, luma = np.asarray(image.getchannel("A"), np.float32), np.asarray(image.convert("L"))
    if alpha.mean() > 127:  # mostly opaque: the opaque part contains paper
        paper = int(np.median(luma[alpha > 127]))
    else:
        paper = 255 if (luma * alpha).sum() < 127 * alpha.sum() else 0
    page = Image.new("RGBA", image.size, (paper, paper, paper, 255))
    return Image.alpha_composite(page, image).convert("RGB")


def _select_channel(image: Image.Image) -> Image.Image:
    """The luminance, or a channel with more than twice its contrast: blue for yellow ink on white."""
    channels = [image.convert("L"), *image.split()]
    contrasts = [np.ptp(np.percentile(np.asarray(channel), (1, 99))) for channel in channels]
    best = int(np.argmax(contrasts))
    return channels[best] if contrasts[best] > 2 * contrasts[0] else channels[0]


def to_mnist(grey: Grey) -> NDArray[np.uint8] | None:
    """The digit in an image, in the style of MNIST; docs/own-digits.md describes the steps.

    Args:
        grey: an image as `to_grey` gives it.

    Returns:
        White on black, uint8 [28, 28]; None if there is no digit.
    """
    if min(grey.shape) < 8:
        return None
    ink = segmentation.extract_ink(grey)
    mask = _digit_mask(ink)
    return None if mask is None else _frame_as_mnist(ink, mask)


def _digit_mask(ink: Grey) -> Mask | None:
    """The pixels of the digit: the component with the most ink, and other components near it.

    A digit may consist of several components, as a 5 whose bar is apart.
    """
    blurred, foreground = segmentation.foreground_mask(ink)
    main = _main_component(blurred, foreground)
    if main is None:
        return None

    # Remove what is much fainter than the digit, such as traces of lines and shadows.
    foreground &= blurred > 0.35 * np.percentile(blurred[main], 90)
    main = _main_component(blurred, foreground)
    if main is None:
        return None

    # Add components from large to small, unless they are specks, shadows along the border, or far away.
    labels, count = ndimage.label(foreground, _TOUCHING)
    masses = ndimage.sum_labels(blurred, labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    border = _lie_along_border(labels, boxes)
    first = int(labels[main][0])
    chosen, box = {first}, boxes[first - 1]
    for n in np.argsort(-masses) + 1:
        if n in chosen or masses[n - 1] < 0.03 * masses[first - 1] or border[n - 1]:
            continue
        if _box_gap(box, boxes[n - 1]) < 0.25 * _longer_side(box):
            chosen.add(int(n))
    mask: Mask = np.isin(labels, list(chosen))
    return mask


def _main_component(blurred: Grey, foreground: Mask) -> Mask | None:
    """The component with the most ink, or None if all components are too small.

    Components along the border count only if there are no others, and if they are dark enough.
    """
    labels, count = ndimage.label(foreground, _TOUCHING)
    if not count:
        return None
    masses = ndimage.sum_labels(blurred, labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    large = np.array([_longer_side(box) >= max(6, 0.05 * max(blurred.shape)) for box in boxes])
    if not large.any():
        return None
    masses[~large] = 0
    inner = large & ~_lie_along_border(labels, boxes)
    if inner.any():
        masses[~inner] = 0
    elif blurred[foreground].max() < 0.2:
        return None
    main: Mask = labels == 1 + int(masses.argmax())
    return main


def _lie_along_border(labels: NDArray[np.int32], boxes: list[tuple[slice, ...]]) -> Mask:
    """For each component, whether it lies along the border of the image, as a shadow does.

    A component that only touches the border, as a digit that is cut off, does not.
    """
    on_border = np.bincount(segmentation.border_pixels(labels), minlength=len(boxes) + 1)[1:]
    along: Mask = on_border > 0.3 * np.array([_longer_side(box) for box in boxes])
    return along


def _longer_side(box: tuple[slice, ...]) -> int:
    side: int = max(s.stop - s.start for s in box)
    return side


def _box_gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """The number of pixels between two boxes, along the axis on which they are further apart."""
    gap: int = max(max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True))
    return gap


def _frame_as_mnist(ink: Grey, mask: Mask) -> NDArray[np.uint8]:
    """The ink at the mask with white strokes, in a square of 20 pixels, centred by mass: uint8 [28, 28]."""
    digit = _normalize_contrast(ink, mask)

    # Cut out the digit. Enlarge a small one, so that its strokes can be measured and thickened smoothly.
    rows, columns = (np.flatnonzero((digit > 0.1).any(axis)) for axis in (1, 0))
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(digit.shape) < _MIN_DETAIL:
        digit = _enlarge(digit, _MIN_DETAIL / max(digit.shape))
    digit = _thicken(digit, max(digit.shape) / _BOX)

    # Reduce it to 20 pixels on the longer side, and make its strokes white again.
    longer = max(digit.shape)
    square = np.zeros((longer, longer), np.float32)
    square[: digit.shape[0], : digit.shape[1]] = digit
    small = np.asarray(Image.fromarray(square).resize((_BOX, _BOX), Image.Resampling.BICUBIC)).clip(0)
    small = (small / max(float(np.percentile(small[small > 0.2], 90)), 0.2)).clip(0, 1)

    # Cut 28x28 pixels around the centre of mass out of a larger black canvas.
    canvas = np.zeros((3 * _BOX, 3 * _BOX), np.float32)
    canvas[_BOX : 2 * _BOX, _BOX : 2 * _BOX] = small
    top, left = (round(c) - _CENTRE for c in ndimage.center_of_mass(canvas))
    return np.rint(255 * canvas[top : top + 28, left : left + 28]).astype(np.uint8)


def _normalize_contrast(ink: Grey, mask: Mask) -> Grey:
    """The ink at the mask and right next to it, from 0 for paper to 1 for strokes."""
    full = max(float(np.percentile(ink[mask], 80)), 0.3 * float(ink[mask].max()))  # the maximum for hairlines
    none = min(2 * segmentation.noise_level(ink), 0.3 * full)
    near = ndimage.binary_dilation(mask, iterations=max(1, max(ink.shape) // 200))
    digit: Grey = ((ink - none) / (full - none)).clip(0, 1) * near
    return digit


def _enlarge(digit: Grey, factor: float) -> Grey:
    size = [max(1, round(n * factor)) for n in digit.shape[::-1]]
    larger = Image.fromarray(digit).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return np.asarray(larger, np.float32).clip(0, 1)


def _thicken(digit: Grey, unit: float) -> Grey:
    """Widen strokes that would be thinner than `_MIN_STROKE` pixels in MNIST's square.

    Args:
        digit: [rows, columns], 0 to 1.
        unit: the size of one pixel of that square, in pixels of `digit`.
    """
    missing = (_MIN_STROKE * unit - segmentation.stroke_width(digit > 0.5)) / 2  # on each side of a stroke
    if missing <= 0:
        return digit
    padded = np.pad(digit, int(np.ceil(missing)))
    distances = ndimage.distance_transform_edt(padded <= 0.5)
    thick: Grey = np.maximum(padded, (missing + 1 - distances).clip(0, 1)).astype(np.float32)
    return thick
