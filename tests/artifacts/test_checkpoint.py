"""A checkpoint is read as it was written, or refused."""

import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from mnistctl import models
from mnistctl.artifacts import checkpoint, files
from mnistctl.errors import CheckpointError

WEIGHTS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(3)}


def test_saved_weights_are_read_unchanged_and_fit_the_plain_net(tmp_path):
    net = models.load("conv").net().to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "c", checkpoint.NET, {"model": "conv"}, net.state_dict())
    header, weights = checkpoint.load(tmp_path / "c", checkpoint.NET)
    plain = models.load("conv").net()
    plain.load_state_dict(weights)
    assert header["model"] == "conv"
    assert checkpoint.digest(plain.state_dict()) == checkpoint.digest(net.state_dict())


def test_digest_depends_on_names_shapes_and_bytes_but_not_on_order_or_layout():
    same = dict(reversed(WEIGHTS.items()))
    assert checkpoint.digest(same) == checkpoint.digest(WEIGHTS)
    for changed in ({"b": WEIGHTS["b"].reshape(3, 2)}, {"b": WEIGHTS["b"] + 1}, {"b": WEIGHTS["b"].double()}):
        assert checkpoint.digest(WEIGHTS | changed) != checkpoint.digest(WEIGHTS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_byte_or_a_cut_is_noticed(data, tmp_path):
    path = tmp_path / "c"
    checkpoint.save(path, checkpoint.NET, {"model": "logit"}, WEIGHTS)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        checkpoint.load(path, checkpoint.NET)


def with_header(weights, **fields):
    header = {
        "program": "mnistctl",
        "format": 3,
        "kind": "net",
        "checksum": files.CHECKSUM_PLACEHOLDER,
        "model": "logit",
    }
    return files.add_checksum(save(weights, {"mnistctl": json.dumps(header | fields)}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (save(WEIGHTS), "not a checkpoint of mnistctl"),
        (with_header(WEIGHTS, format=1), "format 1; this version of mnistctl reads 2 and 3"),
        (with_header(WEIGHTS, format=4), "format 4; this version of mnistctl reads 2 and 3"),
        (with_header(WEIGHTS, checksum="none"), "checksum"),
        (with_header(WEIGHTS, kind="run"), "a checkpoint of an unfinished run"),
        (with_header({"a": torch.tensor(float("nan"))}), "not finite"),
        (save(WEIGHTS, {"mnistctl": "[" * 100_000}), "not a checkpoint of mnistctl"),
        (save(WEIGHTS, {"mnistctl": "[]"}), "not a checkpoint of mnistctl"),
        (b"\xff" * 8 + b"{}", "not a checkpoint of mnistctl"),
    ],
)
def test_foreign_or_damaged_file_is_refused(content, message, tmp_path):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "c", checkpoint.NET)


def test_folder_or_missing_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError):
            checkpoint.load(path, checkpoint.NET)


def test_format_2_is_read_for_weights_and_refused_for_unfinished_runs(tmp_path):
    (tmp_path / "net").write_bytes(with_header(WEIGHTS, format=2))
    assert checkpoint.load(tmp_path / "net", checkpoint.NET)[1].keys() == WEIGHTS.keys()
    (tmp_path / "run").write_bytes(with_header(WEIGHTS, format=2, kind="run"))
    with pytest.raises(CheckpointError, match="an unfinished run of an older version of mnistctl"):
        checkpoint.load(tmp_path / "run", checkpoint.RUN)
