"""One process at a time uses the files of a run, on file systems with locks and without."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from mnistctl.artifacts.locks import run_lock
from mnistctl.errors import UsageError

HOLD = """
import fcntl, pathlib, sys, time
from mnistctl.artifacts.locks import run_lock
if sys.argv[2] != "0":
    def refuse(*_): raise OSError(int(sys.argv[2]), "no locks")
    fcntl.flock = refuse
with run_lock(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path):
    """A function that starts a process which holds the lock; flock fails there with the error number."""
    started = []

    def start(number):
        command = [sys.executable, "-c", HOLD, str(tmp_path / "run"), str(number)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "locked\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def without_locks(monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_second_process_is_refused_and_nothing_is_left(tmp_path, hold):
    process = hold(0)
    with pytest.raises(UsageError, match="in use by another process"), run_lock(tmp_path / "run"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with run_lock(tmp_path / "run") as warnings:
        assert warnings == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_of_the_file_system_a_file_takes_their_place(number, tmp_path, hold, monkeypatch):
    without_locks(monkeypatch, number)
    process = hold(number)
    with pytest.raises(UsageError, match=r"in use .*delete .*\.run\.mark"), run_lock(tmp_path / "run"):
        pass
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while True:  # the marker of a dead process is found at the next attempt
        try:
            with run_lock(tmp_path / "run") as (warning,):
                assert "has no locks" in warning.message
                assert [path.name for path in tmp_path.iterdir()] == [".run.mark"]
            break
        except UsageError:
            assert time.monotonic() < deadline
    assert list(tmp_path.iterdir()) == []


def test_run_is_trained_with_a_warning_where_there_are_no_locks(mnistctl, own, monkeypatch, tmp_path):
    without_locks(monkeypatch, errno.ENOLCK)
    words = ("--dataset", "own", "--data-dir", str(own), "--epochs", "1")
    ran = mnistctl("train", "logit", *words, "--quiet")
    assert (ran.returncode, ran.stderr.count("\n")) == (0, 1)
    assert ran.stderr.startswith(
        "mnistctl: warning: out: its file system has no locks, so out/.logit-own.mark"
    )
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
