"""The IDX format, plain or gzipped: a header is believed only once the file's size bears it out."""

from __future__ import annotations

import math
import stat
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnistctl.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MAX_BYTES = 2**30  # unpacked bytes: 1.3 million digits, and small enough for a gzip bomb to be harmless
_CHUNK = 2**18
_GZIP = b"\x1f\x8b"
_MAGIC = {1: b"\0\0\x08\x01", 3: b"\0\0\x08\x03"}  # dimensions: two zeros, unsigned bytes, their number


class IdxError(DataError):
    """A file is not a sound IDX file: which, why, and what was expected and found instead."""

    def __init__(self, path: Path, reason: str, expected: object, found: object) -> None:
        super().__init__(f"{path}: {reason}: expected {expected}, found {found}")
        self.path, self.reason, self.expected, self.found = path, reason, expected, found


class Unpacked:
    """The bytes that `chunks` hold, gunzipped where they begin as a gzip does.

    Every chunk but the last has at least two bytes; what is past the bytes asked for stays packed.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = next(chunks, b"")
        self.packed = self._rest.startswith(_GZIP)
        self._gunzip = zlib.decompressobj(wbits=31)

    def take(self, count: int) -> bytearray:
        """Return the next `count` bytes, fewer only at the end.

        Raises:
            EOFError: a gzip ends too early.
            zlib.error: a gzip is damaged, or something else follows it.
        """
        taken = bytearray()
        while len(taken) < count and (piece := self._read(count - len(taken))):
            taken += piece
        return taken

    def _read(self, most: int) -> bytes:
        if not self.packed:
            self._rest = self._rest or next(self._chunks, b"")
            piece, self._rest = self._rest[:most], self._rest[most:]
            return piece
        while True:
            if self._gunzip.eof:
                self._rest = self._rest or next(self._chunks, b"")
                if not self._rest:
                    return b""
                self._gunzip = zlib.decompressobj(wbits=31)  # a gzip may have several members
            piece = self._gunzip.decompress(self._rest, most)
            self._rest = self._gunzip.unconsumed_tail or self._gunzip.unused_data
            if piece:
                return piece
            if not self._rest and not self._gunzip.eof:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    raise EOFError


def read(path: Path) -> NDArray[np.uint8]:
    """Return the array in the file at `path`: labels [N], or images [N, rows, columns].

    Raises:
        IdxError: the file cannot be read, or is not a whole IDX file of unsigned bytes, or is empty.
    """
    return to_array(read_bytes(path))


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytearray:
    """Return the unpacked bytes of the IDX file at `path`, at most `limit`, header and size checked.

    Raises:
        IdxError: as `read`, or the header promises more than `limit` bytes.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise IdxError(path, "not a file", "an IDX file", stat.filemode(status.st_mode))
        with path.open("rb") as file:
            return _checked(path, Unpacked(iter(partial(file.read, _CHUNK), b"")), status.st_size, limit)
    except OSError as error:
        raise IdxError(path, "cannot be read", "an IDX file", error.strerror or error) from error
    except EOFError as error:
        raise IdxError(path, "cut short", "a whole gzip", "its beginning") from error
    except zlib.error as error:
        raise IdxError(path, "damaged", "a whole gzip", error) from error


def to_array(content: bytearray) -> NDArray[np.uint8]:
    """Return the array in `content`, which `contents` has checked: a writable view, not a copy."""
    import numpy as np

    sizes = shape(content)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def shape(content: bytes | bytearray) -> tuple[int, ...]:
    """Return the sizes of the dimensions, out of a header of known magic."""
    return struct.unpack_from(f">{content[3]}I", content, 4)


def dump(values: NDArray[np.uint8]) -> bytes:
    """Return `values`, unsigned bytes of one or three dimensions and not empty, as an IDX file's bytes.

    Raises:
        ValueError: `values` is none of that.
    """
    if values.dtype != "uint8" or values.ndim not in _MAGIC or not values.size:
        raise ValueError(f"IDX holds labels or images of unsigned bytes, not {values.dtype} {values.shape}")
    return _MAGIC[values.ndim] + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def _checked(path: Path, stream: Unpacked, size: int, limit: int) -> bytearray:
    content = stream.take(4)
    if content not in _MAGIC.values():
        expected = " or ".join(magic.hex() for magic in _MAGIC.values())
        raise IdxError(path, "not IDX labels or images", expected, content.hex() or "nothing")
    header = 4 + 4 * content[3]
    content += stream.take(header - 4)
    if len(content) < header:
        raise IdxError(path, "cut short", f"a header of {header} bytes", len(content))
    promised = header + math.prod(shape(content))
    if promised == header:
        raise IdxError(path, "empty", "at least one value", shape(content))
    if promised > limit:
        raise IdxError(path, "too large", f"at most {limit} bytes", promised)
    if not stream.packed and size != promised:
        raise IdxError(path, "size differs from the header's", f"{promised} bytes", size)
    content += stream.take(promised + 1 - header)  # the one byte more shows what trails, and ends a gzip
    if len(content) != promised:
        found = "more" if len(content) > promised else len(content)
        raise IdxError(path, "size differs from the header's", f"{promised} bytes", found)
    return content
