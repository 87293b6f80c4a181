"""Errors of the core as the command line words them."""

import pytest

from mnistctl.cli.errors import describe_error, with_commands
from mnistctl.data import datasets
from mnistctl.errors import CheckpointError, DataError, MnistctlError, UsageError, suggest


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("give 1 or more", field="batch_size", value=0), "--batch-size 0: give 1 or more"),
        (UsageError("give 1 or more", field="count", value=0), "-n 0: give 1 or more"),
        (UsageError("not with another", field="resume"), "--resume: not with another"),
        (UsageError("choose one", field="reference", value="foo"), "--reference foo: choose one"),
        (UsageError("choose one", field="reference", value=""), "--reference '': choose one"),
        (UsageError("choose one", field="reference", value="a b"), "--reference 'a b': choose one"),
        (UsageError("exists", remedies=["overwrite"]), "exists; use --overwrite"),
        (
            UsageError("exists", remedies=["overwrite", "name", "out_dir"]),
            "exists; use --overwrite, --name or --out-dir",
        ),
        (
            DataError("missing", field="dataset", value="fashion", remedies=["download", "data_dir"]),
            "--dataset fashion: missing; run `mnistctl download --dataset fashion` or use --data-dir",
        ),
        (
            UsageError("no such setting; did you mean lr?", remedies=["list_settings"]),
            "no such setting; did you mean lr? see `mnistctl show --model MODEL`",
        ),
        (
            MnistctlError("no trained model", remedies=["train"]),
            "no trained model; train one with `mnistctl train MODEL`",
        ),
    ],
)
def test_fields_become_options_and_remedies_become_commands(error, line):
    assert describe_error(error) == line


def test_error_has_the_command_of_its_remedy():
    with pytest.raises(CheckpointError) as caught, with_commands(resume="mnistctl train conv --resume"):
        raise CheckpointError("unfinished run", remedies=["resume", "overwrite"])
    line = "unfinished run; `mnistctl train conv --resume` continues it; use --overwrite"
    assert describe_error(caught.value) == line


def test_error_of_the_core_names_its_field_without_the_command_line():
    error = UsageError("give 1 or more", field="batch_size", value=0, remedies=["batch_size"])
    assert str(error) == "batch_size 0: give 1 or more; try batch_size"
    assert error.exit_code == 2


def test_close_name_is_suggested():
    assert suggest("cnov", ["conv", "lstm"]) == "; did you mean conv?"
    assert suggest("resnet", ["conv", "lstm"]) == ";"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("show",), "mnistctl download --dataset mnist --data-dir 'a b'"),
        (("download", "--check"), "mnistctl download --dataset mnist --data-dir 'a b'"),
        (("download", "--from", "src"), "mnistctl download --dataset mnist --data-dir 'a b'"),
        (
            ("train", "logit", "--dataset", "fashion"),
            "mnistctl download --dataset fashion --data-dir 'a b' --from DIR",
        ),
    ],
)
def test_remedy_is_for_the_folder_that_the_command_uses(words, remedy, mnistctl, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "a b").mkdir()
    for file in datasets.get_dataset("mnist").files:
        (tmp_path / "a b" / file.name).write_text("damaged")
    assert f"`{remedy}`" in mnistctl(*words, "--data-dir", "a b").stderr
    assert "--data-dir 'a b'" not in mnistctl(*words, MNISTCTL_DATA_DIR="a b").stderr


def test_remedy_of_a_net_that_is_missing_names_its_folder(mnistctl):
    assert "`mnistctl train MODEL --out-dir runs`" in mnistctl("eval", "conv", "--out-dir", "runs").stderr
    words = ("eval", "pretrained-cgan", "--out-dir", "runs")
    assert "`mnistctl train conv --out-dir runs`" in mnistctl(*words).stderr


@pytest.mark.parametrize("command", [("train", "logit"), ("trials", "logit")])
def test_command_that_is_advised_names_a_folder_that_the_environment_does_not(command, mnistctl):
    words = (*command, "--dataset", "sample", "--resume")
    typed = mnistctl(*words, "--out-dir", "out", MNISTCTL_OUT_DIR="elsewhere")
    assert " --out-dir out" in typed.stderr
    assert "starts one" in typed.stderr
    assert "--out-dir" not in mnistctl(*words).stderr


@pytest.mark.parametrize("command", [("train", "logit"), ("trials", "logit")])
def test_advised_command_that_starts_a_run_has_the_options_of_this_one(command, mnistctl):
    words = (*command, "--dataset", "sample", "--epochs", "2", "--name", "mine", "--resume")
    ran = mnistctl(*words)
    assert ran.returncode == 5
    advised = ran.stderr.split("`")[1]
    assert " --epochs 2" in advised
    assert " --dataset sample" in advised
    assert " --name mine" in advised


def test_folder_of_an_unknown_user_in_the_environment_does_not_matter_if_another_is_typed(mnistctl):
    ran = mnistctl("show", "--data-dir", "there", MNISTCTL_DATA_DIR="~nobody-here/x")
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)
    assert "--data-dir there" in ran.stderr


def test_source_without_the_files_is_what_the_error_is_about(mnistctl, tmp_path):
    (tmp_path / "src").mkdir()
    ran = mnistctl("download", "--from", "src")
    assert ran.returncode == 3
    assert ran.stderr.startswith("mnistctl: --from src: has no sound copy of train-images-idx3-ubyte, ")
    assert ran.stderr.endswith("; run `mnistctl download --dataset mnist`\n")
