"""The IDX format, plain or gzipped. Nothing in a file is trusted before its size has been checked."""

from __future__ import annotations

import gzip
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


MAX_BYTES = 2**30  # of an unpacked file: 1.3 million images, and small enough to bound a gzip bomb
_CHUNK = 2**18  # bytes per read
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_OVERHEAD = 2**20  # bytes of a gzip that may unpack to nothing: a name in its header, empty members
_MAGIC = {1: b"\0\0\x08\x01", 3: b"\0\0\x08\x03"}  # by number of dimensions: 0, 0, type uint8, dimensions


class IdxError(DataError):
    """A file is not a valid IDX file.

    Args:
        path: the file.
        reason: what is wrong.
        expected, actual: what a valid file has, and what this one has.
    """

    def __init__(self, path: Path, reason: str, expected: object, actual: object) -> None:
        super().__init__(f"{path}: {reason}: expected {expected}, got {actual}")
        self.path, self.reason, self.expected, self.actual = path, reason, expected, actual


class ByteStream:
    """The bytes in `chunks`, unpacked if they are a gzip.

    `gzip.GzipFile` reads a name in a header, zero padding and empty members to their end, however long they
    are. Therefore it reads from a source that limits how many bytes it takes: at any time at most 1 MiB, and
    twice the number of bytes that it has unpacked.

    Attributes:
        packed: whether the bytes are a gzip.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._source = _LimitedSource(chunks)
        self.packed = self._source.starts_with(_GZIP_MAGIC)
        if self.packed:
            self._read = gzip.GzipFile(fileobj=self._source, mode="rb").read1  # type: ignore[call-overload]
        else:
            self._read = self._source.read

    def take(self, count: int) -> bytearray:
        """The next `count` bytes; fewer only at the end.

        Raises:
            EOFError: a gzip ends too early.
            gzip.BadGzipFile, zlib.error: a gzip is damaged, followed by something else, or unreasonably long.
        """
        content = bytearray()
        while len(content) < count:
            piece = self._read(min(count - len(content), _CHUNK))
            if not piece:
                break
            content += piece
            self._source.allowance += 2 * len(piece)
        return content


class _LimitedSource:
    """The bytes in `chunks` as a file that can only be read, and only up to `allowance`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""  # the current chunk
        self._position = 0  # in it; slicing off what was read would copy the rest for each byte
        self.allowance = _MAX_OVERHEAD

    def starts_with(self, magic: bytes) -> bool:
        """Whether the first bytes are `magic`, before any are read."""
        while len(self._buffer) < len(magic) and (chunk := next(self._chunks, b"")):
            self._buffer += chunk
        return self._buffer.startswith(magic)

    def read(self, size: int) -> bytes:
        """At least one byte and at most `size`; none at the end."""
        if self._position == len(self._buffer):
            self._buffer, self._position = next(self._chunks, b""), 0
        piece = self._buffer[self._position : self._position + size]
        self._position += len(piece)
        self.allowance -= len(piece)
        if self.allowance < 0:
            raise gzip.BadGzipFile("too many bytes for its content")
        return piece


def read(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file: labels [N], or images [N, rows, columns].

    Raises:
        IdxError: the file cannot be read, or is not a complete IDX file of unsigned bytes, or is empty.
    """
    return to_array(read_bytes(path))


def read_bytes(path: Path) -> bytearray:
    """The unpacked bytes of an IDX file, with header and size checked.

    Raises:
        IdxError: as `read`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise IdxError(path, "not a file", "an IDX file", stat.filemode(status.st_mode))
        with path.open("rb") as file:
            stream = ByteStream(iter(partial(file.read, _CHUNK), b""))
            return _read_checked(path, stream, status.st_size, MAX_BYTES)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(path, "damaged", "a complete gzip", error) from error
    except EOFError as error:
        raise IdxError(path, "truncated", "a complete gzip", "its beginning") from error
    except OSError as error:
        raise IdxError(path, "cannot be read", "an IDX file", error.strerror or error) from error


def to_array(content: bytearray) -> NDArray[np.uint8]:
    """The array in `content`, which `read_bytes` has checked: a writable view, not a copy."""
    import numpy as np

    sizes = shape(content)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def shape(content: bytes | bytearray) -> tuple[int, ...]:
    """The sizes of the dimensions, from a header whose magic number has been checked."""
    return struct.unpack_from(f">{content[3]}I", content, 4)


def dump(values: NDArray[np.uint8]) -> bytes:
    """An array as the bytes of an IDX file.

    Args:
        values: labels [N] or images [N, rows, columns], uint8 and not empty.

    Raises:
        ValueError: `values` is neither.
    """
    if values.dtype != "uint8" or values.ndim not in _MAGIC or not values.size:
        raise ValueError(f"IDX holds labels or images of unsigned bytes, not {values.dtype} {values.shape}")
    return _MAGIC[values.ndim] + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def _read_checked(path: Path, stream: ByteStream, size: int, limit: int) -> bytearray:
    """The bytes of `stream`: first the header, then, once its sizes are plausible, the values.

    Args:
        path: the file, for errors.
        stream: its content.
        size: its size on disk.
        limit: largest number of unpacked bytes to accept.
    """
    content = stream.take(4)
    if content not in _MAGIC.values():
        expected = " or ".join(magic.hex() for magic in _MAGIC.values())
        raise IdxError(path, "not IDX labels or images", expected, content.hex() or "nothing")
    header = 4 + 4 * content[3]
    content += stream.take(header - 4)
    if len(content) < header:
        raise IdxError(path, "truncated", f"a header of {header} bytes", len(content))
    promised = header + math.prod(shape(content))
    if promised == header:
        raise IdxError(path, "empty", "at least one value", shape(content))
    if promised > limit:
        raise IdxError(path, "too large", f"at most {limit} bytes", promised)
    if not stream.packed and size != promised:
        raise IdxError(path, "size differs from the header's", f"{promised} bytes", size)
    content += stream.take(promised + 1 - header)  # one more, to see trailing bytes and a gzip's checksum
    if len(content) != promised:
        actual = "more" if len(content) > promised else len(content)
        raise IdxError(path, "size differs from the header's", f"{promised} bytes", actual)
    return content
