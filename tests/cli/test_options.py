"""Options that would be ignored are refused, unless they come from the environment."""

import pytest


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("show --model conv --glyphs", "--glyphs does not go together with --model"),
        ("show --model conv --seed 1", "--seed does not go together with --model"),
        ("show --machine -n 3", "-n does not go together with --machine"),
        ("show --glyphs --digit 3", "--digit does not go together with --glyphs"),
        ("show --dataset sample --out-dir a", "--out-dir does not go together with images of a data set"),
        ("show --dataset sample --png a.png --style blocks", "--style does not go together with --png"),
        ("download --check --mirror http://a", "--mirror does not go together with --check"),
        ("download --check --from a", "--from does not go together with --check"),
        ("download --check --overwrite", "--overwrite does not go together with --check"),
        ("download --from a --mirror http://a", "--mirror does not go together with --from"),
        ("download --from a --timeout 9", "--timeout does not go together with --from"),
        ("show --dataset sample --index 1 --seed 2", "--seed does not go together with --index"),
        ("show --dataset sample --json --style blocks", "--style does not go together with --json"),
        ("train --list --quiet", "--quiet does not go together with --list"),
        ("train conv --list", "'conv' does not go together with --list"),
        ("train conv --copy logit --epochs 3", "--epochs does not go together with --copy"),
    ],
)
def test_option_that_would_be_ignored_is_refused(command, message, mnistctl, tmp_path):
    ran = mnistctl(*command.split())
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"mnistctl: {message}\n")
    assert not list(tmp_path.iterdir())


def test_option_of_the_environment_may_be_ignored(mnistctl):
    ran = mnistctl("show", "--model", "conv", MNISTCTL_DATA_DIR="there", MNISTCTL_OUT_DIR="here")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_mirror_of_the_environment_may_be_ignored(mnistctl):
    ran = mnistctl("download", "--check", "--dataset", "sample", MNISTCTL_MIRROR="http://a")
    assert (ran.returncode, ran.stderr) == (0, "")
