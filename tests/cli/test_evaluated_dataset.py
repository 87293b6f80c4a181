"""The data set on which `eval` evaluates: the given one, or that on which the nets were trained."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import few_digits

from mnistctl.artifacts import checkpoint

RECORDS = Path(__file__).parents[2] / "records"
TRAIN = ("train", "logit", "--epochs", "1", "--batch-size", "100")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder in which the first test keeps its trained models."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def trained(mnistctl, own, kept, tmp_path):
    """The runs `logit-sample` and `logit-own`, which are trained once."""
    if (kept / "out").exists():
        shutil.copytree(kept / "out", tmp_path / "out")
        return
    assert mnistctl(*TRAIN, "--dataset", "sample").returncode == 0
    assert mnistctl(*TRAIN, "--dataset", "own", "--data-dir", str(own)).returncode == 0
    shutil.copytree(tmp_path / "out", kept / "out")


def forget_training_set(path):
    """Write the checkpoint again as an earlier version wrote it, without its training digits."""
    header, weights = checkpoint.load(path, checkpoint.NET)
    checkpoint.save(path, checkpoint.NET, {"model": header["model"]}, weights)


@pytest.mark.parametrize("earlier_version", [False, True])
def test_net_of_the_sample_is_evaluated_on_the_sample_and_says_so(
    earlier_version, mnistctl, trained, tmp_path
):
    if earlier_version:
        forget_training_set(tmp_path / "out/logit-sample.safetensors")
    ran = mnistctl("eval", "logit-sample")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "data set: sample, as in training (--dataset chooses another)"
    assert lines[1] == "logit on sample, test: 1,000 images"
    assert json.loads(mnistctl("eval", "logit-sample", "--json").stdout)["dataset"] == "sample"
    assert mnistctl("eval", "logit-sample", "--quiet").stdout.count("\n") == 1


@pytest.mark.parametrize("earlier_version", [False, True])
def test_net_of_own_digits_asks_for_the_data_set(earlier_version, mnistctl, trained, tmp_path):
    if earlier_version:
        forget_training_set(tmp_path / "out/logit-own.safetensors")
    ran = mnistctl("eval", "logit-own")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "mnistctl: logit-own was trained on digits of your own; say which to evaluate on: "
        "--dataset own --data-dir DIR, or --dataset mnist\n"
    )


def test_nets_of_different_data_sets_ask_for_one(mnistctl, trained):
    ran = mnistctl("eval", "logit-sample", "logit-own")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "(logit-sample on sample, logit-own on own); say with --dataset which" in ran.stderr
    assert mnistctl("eval", "logit-sample", "logit-own", "--dataset", "sample").returncode == 0


def test_net_whose_data_set_is_unknown_is_evaluated_on_mnist(mnistctl, trained, tmp_path):
    shutil.copy(tmp_path / "out/logit-sample.safetensors", tmp_path / "alone.safetensors")
    forget_training_set(tmp_path / "alone.safetensors")
    ran = mnistctl("eval", "alone.safetensors")
    assert ran.returncode == 3  # MNIST is not there
    assert "--dataset mnist" in ran.stderr
    assert mnistctl("eval", str(RECORDS / "conv.safetensors")).returncode == 3


def test_generator_of_own_digits_asks_for_the_data_set(mnistctl, tmp_path):
    few_digits(tmp_path / "data", 60, 20)
    data = ("--dataset", "own")
    assert mnistctl("train", "gan", "--epochs", "1", "--batch-size", "30", *data).returncode == 0
    ran = mnistctl("eval", "gan-own", "--judge", str(RECORDS / "conv.safetensors"), "-n", "100")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "gan-own was trained on digits of your own" in ran.stderr
