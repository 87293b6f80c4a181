"""Images of digits of the sample, how much an image differs from one, and files that are not valid images."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from mnistctl.data import datasets

DIGITS = datasets.load("sample", None, "test")[0]


def enlarged(n, factor=6, margin=5, inverted=True):
    """Digit `n` of the sample as an image, dark on light if `inverted`."""
    image = np.pad(DIGITS.images[n], margin)
    image = 255 - image if inverted else image
    return Image.fromarray(image).resize((round(len(image) * factor),) * 2, Image.Resampling.BICUBIC)


def difference(image, n):
    """The difference between an image [28, 28] and digit `n`, as a fraction of the ink of the digit."""
    total = np.abs(image.astype(int) - DIGITS.images[n]).sum()
    return total / DIGITS.images[n].sum(dtype=int)


def encoded(form):
    """A valid image file of this format."""
    buffer = io.BytesIO()
    enlarged(3).save(buffer, form)
    return buffer.getvalue()


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _bomb():
    """A PNG of 3.6 billion pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(1000)))


INVALID_IMAGES = {  # content, and how the error begins
    "empty.png": (b"", "empty"),
    "huge.png": (_bomb(), "more than 67,108,864 pixels"),
    "text.jpg": (b"no picture at all\n", "not an image"),
    "truncated.png": (encoded("PNG")[:400], "damaged"),
    "truncated.jpg": (encoded("JPEG")[:900], "damaged"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
}
