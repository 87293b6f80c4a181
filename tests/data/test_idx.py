"""The IDX reader: any file gives a valid array or an IdxError."""

import gzip
import itertools
import math
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnistctl.data import idx
from mnistctl.data.idx import IdxError

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
sizes = st.one_of(st.integers(0, 6), st.sampled_from([28, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))


@st.composite
def hostile(draw):
    """An IDX file with an error in its header, size or compression; sometimes a valid one."""
    dimensions = draw(st.sampled_from([0, 1, 2, 3, 3, 3, 4, 255]))
    magic = draw(
        st.sampled_from([b"\0\0\x08", b"\0\0\x08", b"\0\0\x08", b"\0\0\x0d", b"\x01\0\x08", b"PK\x03"])
    )
    shape = draw(st.lists(sizes, min_size=min(dimensions, 4), max_size=min(dimensions, 4)))
    promised = math.prod(shape)
    length = draw(st.sampled_from([promised, promised - 1, promised + 1, 0, 2**32 + promised]))
    body = draw(st.binary(min_size=0, max_size=8)) * 32
    body = (body or b"\0" * 256)[: max(0, length)] if length <= 256 else body
    content = magic + bytes([dimensions]) + struct.pack(f">{len(shape)}I", *shape) + body
    content = content[: draw(st.one_of(st.just(len(content)), st.integers(0, 20)))]
    packing = draw(st.sampled_from(["plain", "plain", "gzip", "cut", "flipped", "trailed", "twice", "zeros"]))
    if packing == "plain":
        return content
    if packing == "zeros":
        content += bytes(100_000)
    packed = bytearray(gzip.compress(content, mtime=0))
    if packing == "cut":
        return bytes(packed[: draw(st.integers(0, len(packed) - 1))])
    if packing == "flipped":
        packed[draw(st.integers(0, len(packed) - 1))] ^= draw(st.integers(1, 255))
    if packing == "trailed":
        packed += draw(st.binary(min_size=1, max_size=30))
    if packing == "twice":
        packed += gzip.compress(draw(st.binary(max_size=5)), mtime=0)
    return bytes(packed)


@settings(max_examples=800, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(content=st.one_of(hostile(), hostile(), hostile(), st.binary(max_size=64)))
def test_hostile_file_gives_an_idx_error_or_a_valid_array(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        values = idx.read(path)
    except IdxError as error:
        assert error.path == path
        assert str(path) in str(error)
        return
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert values.dtype == np.uint8
    assert values.ndim in (1, 3)
    assert values.size
    assert idx.dump(values) == plain


@pytest.mark.parametrize("shape", [(7,), (2, 28, 28), (1, 1, 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_written_array_is_read_back(shape, packed, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    content = idx.dump(values)
    (tmp_path / "file").write_bytes(gzip.compress(content) if packed else content)
    assert np.array_equal(idx.read(tmp_path / "file"), values)


def test_gzip_is_unpacked_no_further_than_its_header_promises(tmp_path):
    bomb = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(50_000_000))
    (tmp_path / "bomb").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(IdxError, match="expected 18 bytes, got more"):
        idx.read(tmp_path / "bomb")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def endless_name():
    """A gzip header with a name that never ends."""
    yield b"\x1f\x8b\x08\x08" + bytes(6)
    yield from itertools.repeat(b"name" * 1000)


def empty_members():
    """A gzip of empty members that never ends."""
    return itertools.repeat(gzip.compress(b""))


def endless_padding():
    """A small gzip, then zeros that never end."""
    yield gzip.compress(b"\0\0\x08\x01")
    yield from itertools.repeat(bytes(4000))


@pytest.mark.parametrize("endless", [endless_name, empty_members, endless_padding])
def test_gzip_that_unpacks_to_nothing_is_read_no_further_than_a_mebibyte(endless):
    read = 0

    def count(chunks):
        nonlocal read
        for chunk in chunks:
            read += len(chunk)
            yield chunk

    stream = idx.ByteStream(count(endless()))
    start = time.monotonic()
    with pytest.raises(gzip.BadGzipFile, match="too many bytes"):
        stream.take(100)
    assert read < 2**20 + 2**18
    assert time.monotonic() - start < 20


def test_gzip_file_with_a_long_name_in_its_header_is_an_idx_error(tmp_path):
    packed = gzip.compress(idx.dump(np.zeros(9, np.uint8)))
    named = packed[:3] + b"\x08" + packed[4:10] + b"n" * 2_000_000 + b"\0" + packed[10:]
    (tmp_path / "file").write_bytes(named)
    assert gzip.decompress(named)
    with pytest.raises(IdxError, match="too many bytes for its content"):
        idx.read(tmp_path / "file")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("level", [0, 9])
def test_stream_does_not_depend_on_the_size_of_its_chunks(size, level):
    content = np.random.default_rng(1).integers(0, 256, 5000, np.uint8).tobytes()
    for packed in (content, gzip.compress(content[:3000], level) + gzip.compress(content[3000:], level)):
        stream = idx.ByteStream(packed[n : n + size] for n in range(0, len(packed), size))
        assert bytes(stream.take(10)) == content[:10]
        assert bytes(stream.take(10_000)) == content[10:]
        assert stream.take(1) == b""


def test_header_that_promises_terabytes_is_refused_before_anything_is_allocated(tmp_path):
    (tmp_path / "file").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(IdxError, match="too large"):
        idx.read(tmp_path / "file")


def test_folder_pipe_and_missing_file_are_idx_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(IdxError):
            idx.read(path)


def test_only_labels_and_images_of_bytes_are_written():
    for values in (np.zeros(3, np.int64), np.zeros((2, 2), np.uint8), np.zeros(0, np.uint8)):
        with pytest.raises(ValueError, match="unsigned bytes"):
            idx.dump(values)
