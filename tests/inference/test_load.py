"""Trained models are found by a run's name, by a path with or without ending, or by a name in the package."""

import os
import shlex
import shutil
from pathlib import Path

import pytest
from recipe_files import classifier

from mnistctl.errors import CheckpointError, UsageError
from mnistctl.evaluation import fidelity
from mnistctl.inference import load
from mnistctl.inference.sampling import TrainedGenerator
from mnistctl.models.pretrained import PRETRAINED, WEIGHTS
from mnistctl.trials.recorded import read_summary

CONV = Path(__file__).parents[2] / "records/conv.safetensors"
EVAL = ("--dataset", "sample", "--quiet")


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("conv-sample", "two.dots"):
        shutil.copy(CONV, tmp_path / f"out/{name}.safetensors")
    return Path("out")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("conv-sample", "conv-sample"),
        ("conv-sample.safetensors", "conv-sample"),
        ("out/conv-sample", "conv-sample"),
        ("out/conv-sample.safetensors", "conv-sample"),
        ("two.dots", "two.dots"),
        ("out/two.dots", "two.dots"),
    ],
)
def test_checkpoint_is_found_by_name_and_by_path_with_or_without_ending(name, file, out):
    assert load.find_checkpoint(name, out) == out / f"{file}.safetensors"


def test_weights_of_the_package_are_found_by_name_unless_a_run_has_that_name(out):
    for name in PRETRAINED:
        assert load.find_checkpoint(name, out) == WEIGHTS / f"{name}.safetensors"
    own = out / "pretrained.safetensors"
    shutil.copy(CONV, own)
    assert load.find_checkpoint("pretrained", out) == own


def test_a_new_run_cannot_have_the_name_of_weights_in_the_package(mnistctl, tmp_path):
    ran = mnistctl("train", "logit", "--dataset", "sample", "--epochs", "1", "--name", "pretrained")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "mnistctl: --name pretrained: the weights in the package have this name; choose another\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out", "out: a folder; give a trained model's name or file (available: conv-sample, two.dots)"),
        ("/", "/: a folder; give a trained model's name or file"),
        (os.devnull, f"{os.devnull}: not a file; give a trained model's name or file"),
        ("nothing", "no trained model 'nothing' in out (available: conv-sample, two.dots)"),
        ("out/conv-simple", "did you mean conv-sample?"),
    ],
)
def test_what_is_no_checkpoint_is_named_and_says_what_to_give(name, message, out, mnistctl):
    ran = mnistctl("eval", name)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (5, "", 1)
    assert message in ran.stderr
    assert "train one with `mnistctl train MODEL` or use pretrained or pretrained-cgan" in ran.stderr


@pytest.mark.parametrize("out_dir", [".", "/", "out"])
def test_empty_name_is_that_of_no_model(out_dir, out, mnistctl):
    shutil.copy(CONV, "out.safetensors")
    ran = mnistctl("eval", "", "--out-dir", out_dir)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (5, "", 1)
    assert f"no trained model '' in {out_dir}" in ran.stderr


@pytest.mark.parametrize("command", ["eval", "generate"])
@pytest.mark.parametrize("name", [None, "two words"])
def test_unfinished_run_is_named_with_the_command_that_finishes_it(command, name, mnistctl):
    words = ("train", "logit", "--dataset", "sample", "--epochs", "2", *(("--name", name) if name else ()))
    assert mnistctl(*words, "--lr", "1e30").returncode == 4
    run = name or "logit-sample"
    ran = mnistctl(command, run)
    assert (ran.returncode, ran.stdout) == (5, "")
    quoted = f"'{run}'" if name else run
    assert ran.stderr == (
        f"mnistctl: out/{run}: unfinished run of logit, no trained model yet; "
        f"`mnistctl train logit --name {quoted} --resume` continues it\n"
    )


def test_recipe_file_of_several_runs_is_refused_with_what_to_name_where(out, mnistctl):
    Path("mine.py").write_text(classifier())
    for name in ("mine-own", "mine-sample"):
        (out / f"{name}.safetensors").touch()
    ran = mnistctl("eval", "mine.py")
    ways = "give the name of one in place of the file; name that file with --recipe"
    assert ran.stderr == f"mnistctl: out has several runs of mine.py: mine-own, mine-sample; {ways}\n"


def test_recipe_file_of_an_unfinished_run_is_named_with_the_command_that_finishes_it(mnistctl, tmp_path):
    (tmp_path / "my net.py").write_text(classifier())
    assert mnistctl("train", "my net.py", "--dataset", "sample", "--lr", "1e30").returncode == 4
    ran = mnistctl("eval", "my net.py")
    message = "mnistctl: out/my net-sample: unfinished run of my net.py, no trained model yet; "
    command = "mnistctl train 'my net.py' --name 'my net-sample' --resume"
    assert (ran.returncode, ran.stderr) == (5, f"{message}`{command}` continues it\n")
    again = mnistctl(*shlex.split(command)[1:])
    assert (again.returncode, "resuming after epoch 0 of 2" in again.stdout) == (4, True)


def test_folder_that_only_looks_like_an_unfinished_run_is_reported_without_its_model(out):
    (out / "half.unfinished").mkdir()
    (out / "half.unfinished/epoch-0001.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="out/half: unfinished run, no trained model yet"):
        load.find_checkpoint("half", out)


def test_damaged_checkpoint_is_reported_with_what_to_do(out, mnistctl):
    path = out / "conv-sample.safetensors"
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    ran = mnistctl("eval", "conv-sample", *EVAL)
    assert ran.returncode == 5
    assert ran.stderr.endswith("checksum; copy the file again or train the model again\n")
    path.write_bytes(b"junk")
    ran = mnistctl("eval", "conv-sample", *EVAL)
    assert ran.stderr.endswith("a damaged one; copy the file again or train the model again\n")


def test_reference_classifier_of_the_package_is_suggested_and_used(mnistctl, monkeypatch):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 2)
    words = ("eval", "pretrained-cgan", "--dataset", "sample", "-n", "100", "--quiet")
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stdout) == (5, "")
    assert "name another with --judge, for example --judge pretrained" in ran.stderr
    assert float(mnistctl(*words, "--judge", "pretrained").stdout) > 0


def test_image_or_record_in_the_place_of_a_model_is_called_so(out, mnistctl):
    Path("a.PNG").write_bytes(b"\x89PNG")
    Path("out/conv-sample.json").write_text("{}")
    ran = mnistctl("eval", "pretrained", "--image", "b.png", "a.PNG")
    assert ran.returncode == 5
    assert ran.stderr.startswith("mnistctl: a.PNG: an image, not a trained model; give each image with")
    weights = "not the weights of the run, which are in out/conv-sample.safetensors"
    assert mnistctl("eval", "out/conv-sample.json").stderr == f"mnistctl: out/conv-sample.json: {weights}\n"


@pytest.mark.parametrize(
    ("words", "advised", "unfit"),
    [
        ("generate nosuch", ["`mnistctl train cgan`", "use the name pretrained-cgan"], "pretrained or"),
        (
            "eval pretrained-cgan --judge nosuch",
            ["`mnistctl train conv`", "for example --judge pretrained"],
            "-cgan",
        ),
    ],
)
def test_advised_models_are_of_the_kind_that_is_needed(words, advised, unfit, mnistctl):
    ran = mnistctl(*words.split())
    assert ran.returncode == 5
    assert all(advice in ran.stderr for advice in advised)
    assert unfit not in ran.stderr


def test_paths_may_be_text(out):
    assert load.find_checkpoint(Path("conv-sample"), "out") == out / "conv-sample.safetensors"
    assert load.load_classifier("out/conv-sample.safetensors")[0] == "conv"
    generator = WEIGHTS / "pretrained-cgan.safetensors"
    assert load.load_generator(str(generator))[0] == "cgan"
    assert TrainedGenerator.load(str(generator)).name == "pretrained-cgan"
    records = CONV.parent
    assert read_summary(str(records / "trials-swa-8.json")) == read_summary(records / "trials-swa-8.json")


@pytest.mark.parametrize("load_net", [load.load_classifier, load.load_generator, TrainedGenerator.load])
def test_what_is_no_path_is_a_usage_error(load_net):
    with pytest.raises(UsageError, match="path 3: give a path, not int"):
        load_net(3)
