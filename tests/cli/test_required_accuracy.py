"""The accuracy that `eval` prints with its interval, and the one that --require asks for."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from scipy import stats

from mnistctl.cli.errors import describe_error
from mnistctl.cli.evaluations import check_accuracy
from mnistctl.errors import UnmetError
from mnistctl.models.pretrained import WEIGHTS

IMAGE = Path(__file__).parents[2] / "docs/own-digit.jpg"
CONV = str(WEIGHTS / "pretrained.safetensors")


@pytest.fixture
def evaluate(mnistctl, own):
    """Evaluate a logit of one epoch on 200 digits, or other nets."""
    data = ("--dataset", "own", "--data-dir", str(own))
    words = ("train", "logit", "--name", "logit", "--epochs", "1", "--batch-size", "100")
    assert mnistctl(*words, *data).returncode == 0

    def run(*words, nets=("logit",)):
        return mnistctl("eval", *nets, *data, "--no-charts", *words)

    return run


def test_interval_of_the_accuracy_is_printed_and_in_the_json(evaluate):
    body = json.loads(evaluate("--json").stdout)
    right = round(body["accuracy"] * 2)
    found = stats.binomtest(right, 200).proportion_ci(method="wilson")
    low, high = 100 * found.low, 100 * found.high
    assert body["accuracy_interval"] == pytest.approx([low, high])
    line = f"accuracy: {right / 2:.2f} %, 95 % interval {low:.2f} to {high:.2f} %"
    assert line in evaluate().stdout.splitlines()
    nets = json.loads(evaluate("--json", nets=(CONV, "logit")).stdout)["nets"]
    assert nets[1]["accuracy_interval"] == body["accuracy_interval"]
    assert 0 < nets[0]["accuracy_interval"][0] < nets[0]["accuracy"]
    (row,) = (text for text in evaluate(nets=(CONV, "logit")).stdout.splitlines() if text[:5] == "logit")
    assert f"{right / 2:.2f} {low:.2f} to {high:.2f}" in " ".join(row.split())


@pytest.mark.parametrize("option", [(), ("--json",), ("--quiet",)])
def test_accuracy_below_the_required_one_ends_with_7_after_the_results(option, evaluate):
    accuracy = json.loads(evaluate("--json").stdout)["accuracy"]
    met = evaluate("--require", str(accuracy), *option)
    assert met.returncode == 0
    ran = evaluate("--require", "100", *option)
    assert (ran.returncode, ran.stdout) == (7, met.stdout)
    assert ran.stderr.removeprefix(met.stderr) == f"mnistctl: --require 100: logit has {accuracy:.2f} %\n"


@pytest.mark.parametrize(
    ("accuracy", "required", "message"),
    [
        (99.57, 99.58, "--require 99.58: conv has 99.57 %"),
        (99.5783, 99.58, "--require 99.58: conv has 99.578 %"),
        (100 * 59_999 / 60_000, 100, "--require 100: conv has 99.998 %"),
        (99.578, 99.5781234, "--require 99.5781234: conv has 99.578 %"),
    ],
)
def test_accuracy_that_is_too_low_is_not_rounded_to_the_required_one(accuracy, required, message):
    with pytest.raises(UnmetError) as unmet:
        check_accuracy(SimpleNamespace(require=required), {"conv": accuracy})
    assert describe_error(unmet.value) == message


def test_every_one_of_several_nets_must_have_the_required_accuracy(evaluate):
    nets = (CONV, "logit")
    accuracy = float(evaluate("--quiet", nets=nets).stdout.split()[1])
    assert accuracy < 90
    ran = evaluate("--require", "90", nets=nets)
    assert ran.returncode == 7
    assert ran.stderr.splitlines()[-1] == f"mnistctl: --require 90: logit has {accuracy:.2f} %"
    assert evaluate("--require", str(accuracy), nets=nets).returncode == 0


def test_image_without_a_known_digit_cannot_meet_a_required_accuracy(mnistctl):
    ran = mnistctl("eval", CONV, "--image", str(IMAGE), "--require", "90", "--quiet")
    assert (ran.returncode, ran.stdout) == (7, f"{IMAGE}: 4\n")
    message = "mnistctl: --require 90: no accuracy, because no digit of the images is known; use --labels\n"
    assert ran.stderr == message


@pytest.mark.parametrize("percent", ["0", "-1", "100.1", "nan", "inf"])
def test_percentage_that_no_accuracy_can_be_is_refused_before_any_work(percent, mnistctl):
    ran = mnistctl("eval", CONV, "--require", percent)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"mnistctl: --require {percent}: give a percentage above 0, at most 100\n"


def test_generator_has_no_accuracy_to_require(mnistctl):
    ran = mnistctl("eval", "pretrained-cgan", "--judge", "pretrained", "--require", "90")
    assert (ran.returncode, ran.stderr) == (
        2,
        "mnistctl: --require is only for classifiers, not for a generator\n",
    )
