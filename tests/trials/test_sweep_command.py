"""`trials --vary`: what it prints and writes, misuses, and a sweep whose process is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import stubs
from PIL import Image

from mnistctl.trials import executors

SMALL = ("--epochs", "1", "--batch-size", "100", "--name", "t", "--dataset", "own")


@pytest.fixture
def command(mnistctl, own, monkeypatch):
    """A function that runs a sweep of logit on `own` in this process."""
    monkeypatch.setattr(executors, "get_backend", lambda *_, **__: stubs.IN_PROCESS)

    def run(*words, **environment):
        return mnistctl("trials", "logit", "-n", "2", *SMALL, "--data-dir", str(own), *words, **environment)

    return run


def test_command_prints_the_arms_the_winner_and_the_score_on_the_test_set(command, tmp_path):
    ran = command("--vary", "lr=0.004,0.01")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[:6] == [
        "trials: sweep of logit; seeds 0 to 1",
        "vary lr: 0.004, 0.01",
        "arms: 3, with the unchanged recipe, logit",
        "the arm with the highest mean is then scored on the test set, once",
        "data: own",
        "scored after every epoch: 100 validation images, held out of training (the last of each class)",
    ]
    rows = [line.split() for line in lines]
    assert [row[:2] for row in rows if row[:1] in (["0.04"], ["0.004"], ["0.01"])] == [
        ["0.04", "2"],
        ["0.004", "2"],
        ["0.01", "2"],
    ]
    assert any("adjusted by Holm's method for 2 comparisons" in line for line in lines)
    assert "This figure is optimistic: it was picked as the highest of 3." in lines
    assert any(line.startswith("Its 2 nets on the 200 test images, scored once: ") for line in lines)
    assert lines[-4:] == [f"wrote out/trials/t.{ending}" for ending in ("jsonl", "png", "json", "nets")]
    body = json.loads(command("--vary", "lr=0.004,0.01", "--json").stdout)
    assert body["command"].startswith("mnistctl trials logit --vary lr=0.004,0.01 -n 2 --epochs 1")
    assert "--holdout 100" in body["command"]
    assert {row["first"] for row in body["comparisons"]} == {"logit"}
    image = np.asarray(Image.open(tmp_path / "out/trials/t.png"))
    assert image.shape[0] == 360  # a picture of one setting


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_each_part_of_a_wide_table_says_which_arm_a_row_is(columns, command):
    vary = ("--vary", "label_smoothing=0,0.01", "--vary", "optimizer.weight_decay=0,0.05")
    ran = command(*vary, COLUMNS=columns)
    lines = ran.stdout.splitlines()
    heads = [
        index
        for index, line in enumerate(lines)
        if line.startswith("label_smoothing optimizer.weight_decay ")
    ]
    assert (len(heads) == 1) == (columns == "200")
    for index in heads:
        arms = [line.split()[:2] for line in lines[index + 1 : index + 5]]
        assert arms == [["0.0", "0.0"], ["0.0", "0.05"], ["0.01", "0.0"], ["0.01", "0.05"]]


def test_sweep_of_one_value_adjusts_nothing_and_one_seed_has_no_test(command):
    two = command("--vary", "lr=0.01").stdout
    assert "paired t test by seed with the unchanged recipe\n" in two
    assert "adjusted" not in two
    one = command("--vary", "lr=0.01", "-n", "1", "--name", "one").stdout
    assert "t test" not in one
    assert next(line for line in one.splitlines() if line.lstrip().startswith("0.01 ")).endswith(" -")


@pytest.mark.parametrize(
    ("words", "height"),
    [(("--vary", "lr=0.01", "--vary", "seed_offset=5"), 230), (("--vary", "shuffle=false"), 360)],
)
def test_picture_is_a_grid_for_two_settings_and_values_may_be_words(words, height, command, tmp_path):
    assert command(*words, "--holdout", "0").returncode == 0
    assert np.asarray(Image.open(tmp_path / "out/trials/t.png")).shape[0] == height


def test_sweep_of_three_settings_has_a_table_and_no_picture(command, tmp_path):
    words = ("--vary", "lr=0.01", "--vary", "shuffle=false", "--vary", "seed_offset=5")
    ran = command(*words, "--holdout", "0")
    assert "no arm was chosen: the test set was scored in every trial" in ran.stdout
    assert not (tmp_path / "out/trials/t.png").exists()


def test_comparison_until_it_is_settled_may_be_of_a_varied_setting(command):
    ran = command("--vary", "seed_offset=1000", "--until", "settled", "--margin", "20", "--count", "6")
    assert ran.returncode == 0, ran.stderr
    assert "scored after every epoch: 100 validation images, held out of training" in ran.stdout
    assert "seed_offset=1000 minus logit" in ran.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("logit", "linear", "--vary", "lr=0.1"), "--vary lr=0.1: settings of one model can be varied"),
        (("logit", "--vary", "lr"), "--vary lr: give KEY=VALUE,VALUE"),
        (("logit", "--vary", "rate=0.1"), "--vary rate=0.1: there is no such setting"),
        (("logit", "--vary", "lr=-1"), "--vary lr=-1: give a number, above 0"),
        (("logit", "--vary", "lr=0.1,0.10"), "--vary lr=0.1,0.10: a value is given twice"),
        (("logit", "--vary", "lr=0.1", "--vary", "lr=0.2"), "--vary lr=0.2: lr is varied twice"),
        (("logit", "--vary", "lr=0.1", "--lr", "0.2"), "--vary lr: is given as an option of all arms, too"),
        (("logit", "--vary", "seed=1,2"), "--vary seed=1,2: seed is an option, not a setting; use --seed"),
        (
            ("logit", "--vary", "lr=0.1", "--reference", "ktorch"),
            "--reference ktorch: compares recipes",
        ),
        (
            ("logit", "--vary", "batch_size=10,3900"),
            "--vary batch_size=3900: sample has 3,340 training images without the 660 that are held out",
        ),
        (("logit", "--vary", "lr=0.1", "--holdout", "7"), "--holdout 7: give a multiple of 10"),
        (
            ("logit", "--vary", "lr=0.1", "--holdout", "4000"),
            "--holdout 4000: sample has 4,000",
        ),
        (("logit", "--vary", "lr=0.04"), "--vary lr=0.04: logit has these values already"),
        (("gan", "--vary", "lr=0.1"), "gan is a generator; classifiers are"),
        (
            ("logit", "--vary", "lr=0.1,0.2", "--until", "settled", "--margin", "1"),
            "--until settled: compares two arms, and these trials have 3",
        ),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(words, message, mnistctl, tmp_path):
    ran = mnistctl("trials", *words, "-n", "6", "--dataset", "sample")
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"mnistctl: {message}")
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out/trials/*"))


@pytest.mark.long
def test_killed_command_resumes_to_the_results_of_one_that_was_not(own, tmp_path):
    """With real processes: the command is killed under 1 and 2 workers and resumed under 2 and 1."""
    results = []
    for name, workers in (("whole", 2), ("one", 1), ("two", 2)):
        folders = ["--data-dir", str(own), "--out-dir", str(tmp_path / name)]
        words = ["trials", "logit", "--vary", "lr=0.004,0.01", "-n", "4", *SMALL, *folders]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
        start = [sys.executable, "-m", "mnistctl", *words]
        process = subprocess.Popen(
            [*start, "--workers", str(workers)], stdout=subprocess.PIPE, text=True, env=environment
        )
        if name != "whole":
            for line in process.stdout:
                if line.split()[:2] in (["logit", "1"], ["lr=0.01", "1"]):
                    break
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)
        assert process.returncode == (0 if name == "whole" else -signal.SIGKILL)
        if name != "whole":
            again = [*start, "--workers", str(3 - workers), "--resume"]
            subprocess.run(again, check=True, capture_output=True, env=environment, timeout=300)
        body = json.loads((tmp_path / name / "trials/t.json").read_text())
        results.append({key: body[key] for key in ("arms", "comparisons", "sweep", "holdout")})
        shutil.rmtree(tmp_path / name)
    assert results[0] == results[1] == results[2]
