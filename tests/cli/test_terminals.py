"""Terminals, pipes, closed streams and odd file names: whole rows, no escape codes, no traceback."""

import os
import re
import subprocess
import sys

import pytest
import screens

PROGRAM = f"{sys.executable} -m mnistctl"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TRAIN = "train logit --dataset sample --epochs 2"
ROW = re.compile(r" +[12]  ?0\.04")  # of the table of epochs


def shell(command, tmp_path, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
    return subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "40"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_piped_output_fits_the_columns_and_has_no_escape_codes(environment, mnistctl):
    ran = mnistctl(*TRAIN.split(), **environment)
    assert_rows_are_whole(ran)
    columns = int(environment.get("COLUMNS", 1000))
    assert max(len(line) for line in ran.stdout.splitlines() if ROW.match(line)) <= columns
    blocks = mnistctl("show", "--dataset", "sample", "--style", "blocks", **environment)
    assert (blocks.returncode, blocks.stderr) == (0, "")
    evaluated = mnistctl("eval", "logit-sample", "--dataset", "sample", **environment)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "recall    F1" in evaluated.stdout


@pytest.mark.parametrize("words", ["show --runs --json", "show --runs --csv", "show --model conv --toml"])
def test_output_for_programs_is_the_same_on_a_narrow_terminal(words, mnistctl, tmp_path):
    assert mnistctl(*TRAIN.split(), "--quiet", "--name", "two words").returncode == 0
    expected = mnistctl(*words.split(), MNISTCTL_OFFLINE="1").stdout
    seen = screens.run(*words.split(), columns=40, folder=tmp_path)
    assert (seen.code, seen.written) == (0, [line for line in expected.splitlines() if line])


def test_output_fits_a_locale_without_unicode(tmp_path):
    environment = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}
    assert_rows_are_whole(shell(f"{PROGRAM} {TRAIN}", tmp_path, **environment))
    blocks = shell(f"{PROGRAM} show --dataset sample --style blocks", tmp_path, **environment)
    assert (blocks.returncode, blocks.stderr) == (0, "")


def assert_rows_are_whole(ran):
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\x1b" not in ran.stdout
    assert sum(ROW.match(line) is not None for line in ran.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "closed",
    [
        pytest.param(">&-", marks=pytest.mark.long),
        pytest.param("2>&-", marks=pytest.mark.long),
        "<&- >&- 2>&-",
    ],
)
def test_run_succeeds_with_closed_streams(closed, tmp_path):
    ran = shell(f"{PROGRAM} {TRAIN} {closed}", tmp_path)
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {
        ".json",
        ".jsonl",
        ".png",
        ".safetensors",
    }
    failed = shell(f"{PROGRAM} show --dataset sample -n 0 {closed}", tmp_path)
    assert failed.returncode == 2
    assert failed.stdout == ""


def test_closed_pipe_stops_the_run_and_the_error_says_how_to_resume(tmp_path, mnistctl):
    ran = shell(f"{PROGRAM} {TRAIN} | head -1", tmp_path)
    assert ran.stdout == "model: logit, 7,850 parameters\n"
    assert ran.stderr.count("\n") <= 1  # none if the run ends before head does
    if ran.stderr:
        resume = "`mnistctl train logit --dataset sample --resume` continues"
        assert f"the output was closed; {resume}" in ran.stderr
        assert mnistctl("train", "logit", "--dataset", "sample", "--resume").returncode == 0


def test_closed_pipe_gives_no_traceback(tmp_path):
    ran = shell(f"{PROGRAM} show --dataset sample -n 200 | head -1", tmp_path)
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == 1


def test_folder_may_have_a_name_with_a_line_break(mnistctl, tmp_path):
    out_dir = tmp_path / "two\nlines, \U0001f58a and quo'te"
    ran = mnistctl(*TRAIN.split(), "--out-dir", str(out_dir))
    assert ran.returncode == 0, ran.stderr
    assert (out_dir / "logit-sample.json").exists()
    assert len([line for line in ran.stdout.splitlines() if line.startswith("wrote ")]) == 5
    failed = mnistctl(*TRAIN.split(), "--out-dir", str(out_dir), "--name", "a", "--resume")
    assert (failed.returncode, failed.stderr.count("\n")) == (5, 1)


@pytest.mark.long
def test_folder_may_have_a_name_that_is_no_unicode(tmp_path):
    out_dir = tmp_path / os.fsdecode(b"\xff")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")} | ASCII
    command = [sys.executable, "-m", "mnistctl", *TRAIN.split(), "--out-dir", os.fsencode(out_dir)]
    ran = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert (out_dir / "logit-sample.json").exists()
    lines = ran.stdout.splitlines()
    assert len([line for line in lines if line.startswith(b"wrote ")]) == 5  # one line per file
    again = [*command, "--name", "a", "--resume"]
    failed = subprocess.run(again, cwd=tmp_path, env=clean, capture_output=True)
    assert (failed.returncode, failed.stderr.count(b"\n")) == (5, 1)


def test_name_with_a_line_break_is_refused(mnistctl):
    ran = mnistctl(*TRAIN.split(), "--name", "two\nlines")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
