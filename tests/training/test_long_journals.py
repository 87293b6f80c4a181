"""Runs of very many epochs: what is written can be read again, and order and numbers stay."""

import pytest
import torch
from run_headers import header

from mnistctl.artifacts import checkpoint
from mnistctl.errors import CheckpointError, OutputError
from mnistctl.training.checkpoints import RunCheckpoints
from mnistctl.training.events import Epoch

EPOCHS = 30_000


def rows(count):
    return [
        Epoch(epoch=n, lr=0.1 / n, loss=1 / n, test_loss=2 / n, accuracy=98.7654321, seconds=12.3456789)
        for n in range(1, count + 1)
    ]


def with_epochs(count):
    """The header after `count` epochs of as many."""
    body = header().to_json()
    body["settings"]["recipe"] |= {"epochs": count, "lr_schedule": [0.1 / n for n in range(1, count + 1)]}
    body["progress"]["epochs"] = [row.to_json() for row in rows(count)]
    return type(header()).from_json(body)


def test_checkpoint_after_thirty_thousand_epochs_is_read_again(tmp_path):
    checkpoints = RunCheckpoints(tmp_path / "run")
    checkpoints.create_folder()
    before = with_epochs(EPOCHS)
    checkpoints.save(before, {"epoch": torch.tensor(EPOCHS)})
    after = checkpoints.load()
    assert after.header == before
    assert list(after.tensors) == ["epoch"]


def test_checkpoint_with_its_rows_in_the_header_is_read(tmp_path):
    folder = tmp_path / "run.unfinished"
    folder.mkdir()
    path = folder / "epoch-0003.safetensors"
    checkpoint.save(path, checkpoint.RUN, with_epochs(3).to_json(), {"epoch": torch.tensor(3)})
    assert RunCheckpoints(tmp_path / "run").load().header == with_epochs(3)


@pytest.mark.parametrize(
    "content",
    [b"x", b"[]", b"null", b'{"epochs": 1}', b'{"other": []}', b'{"epochs": [{}]}', b"\xff", b"[" * 100_000],
)
def test_tensor_with_other_rows_is_refused(content, tmp_path):
    folder = tmp_path / "run.unfinished"
    folder.mkdir()
    tensors = {"epoch": torch.tensor(0), "rows": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    checkpoint.save(folder / "epoch-0000.safetensors", checkpoint.RUN, header().to_json(), tensors)
    with pytest.raises(CheckpointError, match="not the checkpoint of a run"):
        RunCheckpoints(tmp_path / "run").load()


def test_checkpoint_that_could_not_be_read_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    with pytest.raises(OutputError, match="a header of"):
        checkpoint.save(path, checkpoint.NET, {"model": "x" * (1 << 26)}, {"a": torch.ones(1)})
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 1000)
    with pytest.raises(OutputError, match="a file of"):
        checkpoint.save(path, checkpoint.NET, {"model": "logit"}, {"a": torch.ones(1000)})
    assert list(tmp_path.iterdir()) == []


def test_generator_with_more_pictures_than_a_checkpoint_holds_is_refused_at_once(mnistctl, own, tmp_path):
    words = ("--dataset", "own", "--data-dir", str(own), "--batch-size", "100", "--epochs")
    ran = mnistctl("train", "gan", *words, "40000")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "--epochs 40000: the pictures of more than" in ran.stderr
    assert list((tmp_path / "out").iterdir()) == []
