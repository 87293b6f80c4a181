"""Errors of the core as the command line words them."""

import pytest

from mnistctl.cli.errors import describe_error, with_commands
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
