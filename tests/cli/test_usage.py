"""What the program says about commands, options and values that were typed wrongly."""

import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from mnistctl.cli import OLD_OPTIONS, app, usage

COMMANDS = get_command(app).commands


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("predict photo.jpg", "no command is called 'predict'; use `mnistctl eval NAME --image FILE`"),
        ("plot conv", "use `mnistctl eval NAME`"),
        ("models", "use `mnistctl train --list`"),
        ("help train", "use `mnistctl --help`"),
        ("Version", "use `mnistctl --version`"),
        ("trian conv", "no command is called 'trian'; did you mean train or trials? (mnistctl --help)"),
        ("paint", "no command is called 'paint'"),
        ("train conv --learning-rate 0.1", "no option is called --learning-rate; use --lr"),
        ("train conv --gpu", "no option is called --gpu; use --device cuda"),
        ("eval conv --learning-rate 0.1", "no option is called --learning-rate (mnistctl eval --help)"),
        ("train conv --epochs abc", "--epochs abc: give a whole number (mnistctl train --help)"),
        ("train conv --epochs 1.5", "--epochs 1.5: give a whole number"),
        ("train conv --lr fast", "--lr fast: give a number (mnistctl train --help)"),
        ("trials swa -n many", "-n many: give a whole number (mnistctl trials --help)"),
        ("trials swa --reference", "--reference: a value is missing (mnistctl trials --help)"),
        ("train conv --quiet=3", "--quiet takes no value (mnistctl train --help)"),
        ("train conv --dataset fashon", "--dataset fashon: did you mean fashion? choose one of mnist, "),
        ("show --style dots", "--style dots: choose one of stars, blocks (mnistctl show --help)"),
        ("train CONV", "no model is called 'CONV'; did you mean conv? choose one of"),
        ("train conv --dataset MNIST", "--dataset MNIST: did you mean mnist? choose one of"),
        ("trials conv -n 2 --insecure", "--insecure: only the executor dask connects"),
        ("show --dataset=", "--dataset '': choose one of mnist, "),
        ("eval", "missing argument NAME|FILE (mnistctl eval --help)"),
        ("trials", "missing argument MODEL|FILE.py (mnistctl trials --help)"),
        ("show first", "unexpected argument 'first' (mnistctl show --help)"),
        ("show conv", "unexpected argument 'conv'; use `mnistctl show --model conv`"),
        ("show fashion", "use `mnistctl show --dataset fashion`"),
        ("download fashion", "use `mnistctl download --dataset fashion`"),
        ("train conv lstm", "train takes one model; use `mnistctl trials conv lstm` for several"),
        ("train a$b.py lstm", "use `mnistctl trials 'a$b.py' lstm` for several"),
        ("train gan conv", "unexpected argument 'conv' (mnistctl train --help)"),  # no trials of generators
        (
            "train conv --rate 0",
            "--lr 0: give a number above 0; --rate is an earlier name of --lr",
        ),
    ],
)
def test_a_mistake_in_typing_gets_what_was_meant(line, expected, mnistctl):
    ran = mnistctl(*line.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert expected in ran.stderr


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [("MNISTCTL_THREADS", "two", "a whole number"), ("MNISTCTL_OFFLINE", "perhaps", "true or false")],
)
def test_wrong_value_of_an_environment_variable_names_the_variable(variable, value, wanted, mnistctl):
    ran = mnistctl("eval", "conv", **{variable: value})
    assert ran.stderr == f"mnistctl: {variable}={value}: give {wanted} (mnistctl eval --help)\n"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MNISTCTL_DEVICE", "gpu", "choose one of auto"),
        ("MNISTCTL_THREADS", "0", "this machine has"),
        ("MNISTCTL_OUT_DIR", "~nobody-of-this-name/a", "there is no home folder"),
    ],
)
def test_value_that_cannot_be_is_reported_as_it_was_given(variable, value, message, mnistctl):
    words = ("train", "logit", "--dataset", "sample")
    ran = mnistctl(*words, **{variable: value})
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"mnistctl: {variable}={value}: {message}")
    option = f"--{variable.removeprefix('MNISTCTL_').lower().replace('_', '-')}"
    typed = mnistctl(*words, option, value, **{variable: value})
    assert typed.stderr.startswith(f"mnistctl: {option} {value}: {message}")


def test_address_of_an_environment_variable_is_not_shown_and_its_variable_is(mnistctl):
    ran = mnistctl("download", MNISTCTL_MIRROR="me:password@there", MNISTCTL_OFFLINE="0")
    assert ran.stderr.startswith("mnistctl: MNISTCTL_MIRROR=...: not an http or https address")
    assert "password" not in ran.stderr


def test_old_option_is_named_as_it_was_typed(mnistctl, tmp_path):
    assert mnistctl("train", "logit", "--dataset", "sample", "--epochs", "1").returncode == 0
    ran = mnistctl("eval", "logit-sample", "--threshold", "0.4")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.endswith("--threshold is an earlier name of --min-confidence\n")
    ran = mnistctl("eval", "logit-sample", "--min-confidence", "0.4")
    assert "--threshold" not in ran.stderr


def test_suggested_commands_and_options_exist():
    for line in usage._MEANT_COMMANDS.values():
        _, command, *words = shlex.split(line)
        assert command in {*COMMANDS, "--help", "--version"}
        options = (
            {flag for p in COMMANDS[command].params for flag in p.opts} if command in COMMANDS else set()
        )
        assert {word for word in words if word.startswith("--")} <= options
    options = {flag for command in COMMANDS.values() for p in command.params for flag in p.opts}
    for wrong, meant in usage._MEANT_OPTIONS.items():
        assert wrong not in {flag for p in COMMANDS["train"].params for flag in p.opts} | OLD_OPTIONS.keys()
        assert meant.split()[0] in options | {"--set"}
    assert not usage._MEANT_COMMANDS.keys() & COMMANDS.keys()


CONV, CGAN = (str(Path(__file__).parents[2] / f"records/{name}.safetensors") for name in ("conv", "cgan"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("show", "--digit", "11"), "--digit 11: give 0 to 9"),
        (("show", "--index", "-1"), "--index -1: give 0 or more"),
        (("show", "-n", "0"), "-n 0: give 1 or more"),
        (("show", "--png", "a.png", "--scale", "500"), "--scale 500: give 1 to 32"),
        (("show", "--glyphs", "--png", "a.png", "--scale", "0"), "--scale 0: give 1 to 32"),
        (("show", "--seed", "-1"), "--seed -1: give 0 or more"),
        (("train", "logit", "--epochs", "0"), "--epochs 0: give 1 to 1,000,000"),
        (("train", "logit", "--device", "cuda:99"), "--device cuda:99: "),
        (("train", "logit", "--threads", "0"), "--threads 0: "),
        (("train", "logit", "--name", "a/b"), "--name 'a/b': "),
        (("train", "logit", "--resume", "--overwrite"), "--overwrite: "),
        (
            ("train", "logit", "--allow-inexact"),
            "--allow-inexact: applies only to a resumed run; use it with",
        ),
        (("trials", "logit"), "missing number of trials"),
        (("trials", "logit", "-n", "0"), "-n 0: give 1 to 1,000,000"),
        (("trials", "logit", "-n", "2", "--seed", str(2**63 - 1)), "give 9,223,372,036,854,775,805 or less"),
        (("trials", "logit", "-n", "2", "--lr", "0"), "--lr 0: give a number above 0"),
        (("trials", "logit", "-n", "2", "--device", "tpu"), "--device tpu: "),
        (("trials", "logit", "-n", "2", "--require", "same"), "--require same: "),
        (("trials", "logit", "-n", "2", "--allow-mixed"), "--allow-mixed: applies only to resumed trials"),
        (("eval", CONV, "--device", "cuda:99"), "--device cuda:99: "),
        (("eval", CONV, CONV, "--threads", "0"), "--threads 0: "),
        (("eval", CGAN, "--judge", CONV, "-n", "5"), "-n 5: give 100 to "),
        (("eval", CGAN, "--judge", CONV, "--seed", "-1"), "--seed -1: give 0 or more"),
        (("download", "--from", "missing"), "--from missing: no such folder"),
        (("download", "--mirror", "ftp://a.example/"), "--mirror ftp://a.example/: "),
        (("download", "--timeout", "0"), "--timeout 0: "),
    ],
)
def test_arguments_are_checked_before_the_data_are_looked_for(words, expected, mnistctl, tmp_path):
    """There are no data, and downloads are turned off, which would be an error with exit code 3."""
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert expected in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_option_leaves_its_range_to_the_command_line_library():
    """Its messages do not say what to give."""
    for command in COMMANDS.values():
        for parameter in command.params:
            owners = parameter, getattr(parameter, "type", None)  # by the version of Typer
            bounds = [getattr(owner, name, None) for owner in owners for name in ("min", "max")]
            assert bounds == [None] * 4, parameter.name


def test_name_of_a_space_is_quoted_once(mnistctl):
    assert "--name ' ': give a plain file name" in mnistctl("train", "conv", "--name", " ").stderr
