"""A checkpoint is read whole and unharmed, or refused."""

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


def test_what_was_saved_is_loaded_again_and_loads_into_the_plain_net(tmp_path):
    net = models.load("conv").net().to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "c", checkpoint.NET, {"model": "conv"}, net.state_dict())
    about, weights = checkpoint.load(tmp_path / "c", checkpoint.NET)
    plain = models.load("conv").net()
    plain.load_state_dict(weights)
    assert about["model"] == "conv"
    assert checkpoint.digest(plain.state_dict()) == checkpoint.digest(net.state_dict())


def test_a_digest_depends_on_names_shapes_and_bytes_but_not_on_order_or_layout():
    same = dict(reversed(WEIGHTS.items()))
    assert checkpoint.digest(same) == checkpoint.digest(WEIGHTS)
    for changed in ({"b": WEIGHTS["b"].reshape(3, 2)}, {"b": WEIGHTS["b"] + 1}, {"b": WEIGHTS["b"].double()}):
        assert checkpoint.digest(WEIGHTS | changed) != checkpoint.digest(WEIGHTS)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_byte_or_a_cut_is_noticed(data, tmp_path):
    path = tmp_path / "c"
    checkpoint.save(path, checkpoint.NET, {"model": "logit"}, WEIGHTS)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        checkpoint.load(path, checkpoint.NET)


def ours(weights, **about):
    told = {
        "program": "mnistctl",
        "format": 2,
        "kind": "net",
        "checksum": files.CHECKSUM_PLACEHOLDER,
        "model": "logit",
    }
    return files.add_checksum(save(weights, {"mnistctl": json.dumps(told | about)}))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (save(WEIGHTS), "not a checkpoint of mnistctl"),
        (ours(WEIGHTS, format=1), "format 1; this version of mnistctl reads 2"),
        (ours(WEIGHTS, format=3), "format 3; this version of mnistctl reads 2"),
        (ours(WEIGHTS, checksum="none"), "checksum"),
        (ours(WEIGHTS, kind="run"), "a run that is not finished"),
        (ours({"a": torch.tensor(float("nan"))}), "not finite"),
        (save(WEIGHTS, {"mnistctl": "[" * 100_000}), "not a checkpoint of mnistctl"),
        (save(WEIGHTS, {"mnistctl": "[]"}), "not a checkpoint of mnistctl"),
        (b"\xff" * 8 + b"{}", "not a checkpoint of mnistctl"),
    ],
)
def test_what_is_not_ours_or_not_sound_is_refused(content, told, tmp_path):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match=told):
        checkpoint.load(tmp_path / "c", checkpoint.NET)


def test_a_folder_or_nothing_is_no_checkpoint(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError):
            checkpoint.load(path, checkpoint.NET)
