"""The IDX reader believes no file: what it gets is sound, or an IdxError."""

import gzip
import math
import os
import struct

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
    """An IDX file with a lie in its header, its size or its packing; now and then a sound one."""
    dimensions = draw(st.sampled_from([0, 1, 2, 3, 3, 3, 4, 255]))
    magic = draw(
        st.sampled_from([b"\0\0\x08", b"\0\0\x08", b"\0\0\x08", b"\0\0\x0d", b"\x01\0\x08", b"PK\x03"])
    )
    named = draw(st.lists(sizes, min_size=min(dimensions, 4), max_size=min(dimensions, 4)))
    promised = math.prod(named)
    length = draw(st.sampled_from([promised, promised - 1, promised + 1, 0, 2**32 + promised]))
    body = draw(st.binary(min_size=0, max_size=8)) * 32
    body = (body or b"\0" * 256)[: max(0, length)] if length <= 256 else body
    content = magic + bytes([dimensions]) + struct.pack(f">{len(named)}I", *named) + body
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


@settings(max_examples=2500, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(content=st.one_of(hostile(), hostile(), hostile(), st.binary(max_size=64)))
def test_a_hostile_file_gives_an_idx_error_or_a_sound_array(content, tmp_path):
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
def test_what_was_packed_is_read_again(shape, packed, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    content = idx.dump(values)
    (tmp_path / "file").write_bytes(gzip.compress(content) if packed else content)
    assert np.array_equal(idx.read(tmp_path / "file"), values)


def test_a_gzip_is_unpacked_no_further_than_its_header_promises(tmp_path, monkeypatch):
    asked = []
    take = idx.Unpacked.take
    monkeypatch.setattr(idx.Unpacked, "take", lambda self, n: asked.append(n) or take(self, n))
    bomb = gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(50_000_000))
    (tmp_path / "bomb").write_bytes(bomb)
    with pytest.raises(IdxError, match="expected 18 bytes, found more"):
        idx.read(tmp_path / "bomb")
    assert sum(asked) == 4 + 4 + 11


def test_a_header_that_promises_terabytes_is_refused_before_anything_is_taken(tmp_path):
    (tmp_path / "file").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(IdxError, match="too large"):
        idx.read(tmp_path / "file")


def test_a_folder_a_pipe_and_a_missing_file_are_idx_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(IdxError):
            idx.read(path)


def test_only_labels_and_images_of_bytes_are_packed():
    for values in (np.zeros(3, np.int64), np.zeros((2, 2), np.uint8), np.zeros(0, np.uint8)):
        with pytest.raises(ValueError, match="unsigned bytes"):
            idx.dump(values)
