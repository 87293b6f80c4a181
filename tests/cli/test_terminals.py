"""Wherever the output goes and whatever the files are called: whole rows, no escapes, no traceback."""

import os
import pty
import re
import subprocess
import sys

import pytest

PROGRAM = f"{sys.executable} -m mnistctl"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TRAIN = "train logit --dataset sample --epochs 2"


def shell(line, tmp_path, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
    return subprocess.run(
        line, shell=True, cwd=tmp_path, env=clean | environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"COLUMNS": "40"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
    ],
)
def test_hard_terminals_are_served(environment, tmp_path):
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
        judged = shell(f"{PROGRAM} eval logit-sample --dataset sample", tmp_path, **environment)
        assert judged.returncode == 0, judged.stderr
        assert "recall    F1" in judged.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_cost_the_run(closed, tmp_path):
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


def test_a_reader_that_leaves_stops_the_run_which_says_how_to_go_on(tmp_path):
    ran = shell(f"{PROGRAM} {TRAIN} | head -1", tmp_path)
    assert ran.stdout == "model: logit, 7,850 parameters\n"
    assert ran.stderr.count("\n") <= 1  # none if it was done before head was
    if ran.stderr:
        assert "nobody reads on; `mnistctl train logit --dataset sample --resume` goes on" in ran.stderr
        assert shell(f"{PROGRAM} train logit --dataset sample --resume", tmp_path).returncode == 0


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path):
    ran = shell(f"{PROGRAM} show --dataset sample -n 200 | head -1", tmp_path)
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == 1


@pytest.mark.parametrize("folder", ["two\nlines, \U0001f58a and quo'te", "\udcff"])
def test_folders_may_be_called_anything(folder, tmp_path):
    environment = ASCII if folder == "\udcff" else {}
    place = tmp_path / os.fsencode(folder).decode("utf-8", "surrogateescape")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")} | environment
    words = [sys.executable, "-m", "mnistctl", *TRAIN.split(), "--out-dir", os.fsencode(place)]
    ran = subprocess.run(words, cwd=tmp_path, env=clean, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert (place / "logit-sample.json").exists()
    lines = ran.stdout.splitlines()
    assert len([line for line in lines if line.startswith(b"wrote ")]) == 4  # a line each
    lost = subprocess.run([*words, "--name", "a", "--resume"], cwd=tmp_path, env=clean, capture_output=True)
    assert lost.returncode == 5
    assert lost.stderr.count(b"\n") == 1


def test_a_name_that_no_line_can_show_is_refused(mnistctl):
    ran = mnistctl(*TRAIN.split(), "--name", "two\nlines")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def test_on_a_terminal_the_rows_stay_whole_beside_the_bar(tmp_path, monkeypatch):
    """A real terminal, as a pseudo one: bars come and go, the rows are those of a file."""
    told = bytearray()

    def read(descriptor):
        content = os.read(descriptor, 1 << 16)
        told.extend(content)
        return content

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    kept = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where pty writes what was read
    try:
        code = pty.spawn([*PROGRAM.split(), *TRAIN.split()], read)
    finally:
        os.dup2(kept, 1)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told.decode())
    rows = re.findall(r"^ +[12]  0\.0400 .* %  .*$", plain.replace("\r", "\n"), re.M)
    assert len(rows) == 2
