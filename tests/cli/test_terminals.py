"""Terminals, pipes, closed streams and odd file names: whole rows, no escape codes, no traceback."""

import os
import pty
import re
import subprocess
import sys

import pytest

PROGRAM = f"{sys.executable} -m mnistctl"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TRAIN = "train logit --dataset sample --epochs 2"


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


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"COLUMNS": "40"},
        pytest.param({"TERM": "dumb", "NO_COLOR": "1"}, marks=pytest.mark.long),
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
    ],
)
def test_output_fits_limited_terminals(environment, tmp_path):
    ran = shell(f"{PROGRAM} {TRAIN}", tmp_path, **environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout
    rows = [line for line in ran.stdout.splitlines() if re.match(r" +[12]  ?0\.04", line)]
    assert len(rows) == 2
    blocks = shell(f"{PROGRAM} show --dataset sample --style blocks", tmp_path, **environment)
    assert blocks.returncode == 0, blocks.stderr
    assert "Traceback" not in blocks.stderr
    if "COLUMNS" in environment:
        assert max(map(len, rows)) <= 40
        evaluated = shell(f"{PROGRAM} eval logit-sample --dataset sample", tmp_path, **environment)
        assert evaluated.returncode == 0, evaluated.stderr
        assert "recall    F1" in evaluated.stdout


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
    failed = shell(f"{PROGRAM} {TRAIN} --epochs 0 {closed}", tmp_path)
    assert failed.returncode == 2
    assert failed.stdout == ""


def test_closed_pipe_stops_the_run_and_the_error_says_how_to_resume(tmp_path):
    ran = shell(f"{PROGRAM} {TRAIN} | head -1", tmp_path)
    assert ran.stdout == "model: logit, 7,850 parameters\n"
    assert ran.stderr.count("\n") <= 1  # none if the run ends before head does
    if ran.stderr:
        resume = "`mnistctl train logit --dataset sample --resume` continues"
        assert f"the output was closed; {resume}" in ran.stderr
        assert shell(f"{PROGRAM} train logit --dataset sample --resume", tmp_path).returncode == 0


def test_closed_pipe_gives_no_traceback(tmp_path):
    ran = shell(f"{PROGRAM} show --dataset sample -n 200 | head -1", tmp_path)
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "folder", ["two\nlines, \U0001f58a and quo'te", pytest.param("\udcff", marks=pytest.mark.long)]
)
def test_folder_may_have_any_name(folder, tmp_path):
    environment = ASCII if folder == "\udcff" else {}
    out_dir = tmp_path / os.fsencode(folder).decode("utf-8", "surrogateescape")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")} | environment
    command = [sys.executable, "-m", "mnistctl", *TRAIN.split(), "--out-dir", os.fsencode(out_dir)]
    ran = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert (out_dir / "logit-sample.json").exists()
    lines = ran.stdout.splitlines()
    assert len([line for line in lines if line.startswith(b"wrote ")]) == 5  # one line per file
    failed = subprocess.run(
        [*command, "--name", "a", "--resume"], cwd=tmp_path, env=clean, capture_output=True
    )
    assert failed.returncode == 5
    assert failed.stderr.count(b"\n") == 1


def test_name_with_a_line_break_is_refused(mnistctl):
    ran = mnistctl(*TRAIN.split(), "--name", "two\nlines")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def test_progress_bars_leave_the_rows_whole_on_a_terminal(tmp_path, monkeypatch):
    """On a pseudo-terminal, progress bars appear and disappear between the rows."""
    output = bytearray()

    def read(descriptor):
        content = os.read(descriptor, 1 << 16)
        output.extend(content)
        return content

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    stdout = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # pty.spawn copies what it reads to stdout
    try:
        code = pty.spawn([*PROGRAM.split(), *TRAIN.split()], read)
    finally:
        os.dup2(stdout, 1)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.decode())
    rows = re.findall(r"^ +[12]  0\.0400 .* %  .*$", plain.replace("\r", "\n"), re.M)
    assert len(rows) == 2
