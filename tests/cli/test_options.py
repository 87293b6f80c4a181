"""Options that would be ignored are refused, unless they come from the environment."""

import pytest


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("show --model conv --glyphs", "--glyphs cannot be combined with --model"),
        ("show --model conv --seed 1", "--seed cannot be combined with --model"),
        ("show --machine -n 3", "-n cannot be combined with --machine"),
        ("show --glyphs --digit 3", "--digit cannot be combined with --glyphs"),
        ("show --dataset sample --out-dir a", "--out-dir cannot be combined with images of a data set"),
        ("show --dataset sample --png a.png --style blocks", "--style cannot be combined with --png"),
        ("download --check --mirror http://a", "--mirror cannot be combined with --check"),
        ("download --check --from a", "--from cannot be combined with --check"),
        ("download --check --overwrite", "--overwrite cannot be combined with --check"),
        ("download --from a --mirror http://a", "--mirror cannot be combined with --from"),
        ("download --from a --timeout 9", "--timeout cannot be combined with --from"),
        ("show --dataset sample --index 1 --seed 2", "--seed cannot be combined with --index"),
        ("show --dataset sample --json --style blocks", "--style cannot be combined with --json"),
        ("train --list --quiet", "--quiet cannot be combined with --list"),
        ("train conv --list", "'conv' cannot be combined with --list"),
        ("train conv --copy logit --epochs 3", "--epochs cannot be combined with --copy"),
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
