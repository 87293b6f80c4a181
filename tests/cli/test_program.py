"""Ctrl-C at any time: one line and exit code 130; nothing after the last line. Help without docstrings."""

import os
import signal
import subprocess
import sys

import pytest

from mnistctl.cli import program


def start(*words, tmp_path, options=()):
    return subprocess.Popen(
        [sys.executable, *options, "-m", "mnistctl", *words],
        cwd=tmp_path,
        env=os.environ | {"MNISTCTL_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_import(process, module):
    """Read the messages of `-v` until the process imports the module."""
    for line in process.stderr:
        if line.startswith(f"import '{module}'") or f"import {module!r} #" in line:
            return
    raise AssertionError(module)


@pytest.mark.parametrize("module", ["mnistctl", "typer", "mnistctl.cli", "numpy", "torch._C", "torch.nn"])
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_signal_during_an_import_gives_one_line(module, number, tmp_path):
    process = start("train", "logit", "--dataset", "sample", tmp_path=tmp_path, options=["-v"])
    wait_for_import(process, module)
    if module == "mnistctl":
        wait_for_import(
            process, "mnistctl.cli.output.terminal"
        )  # the package itself is before our first line
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    said = "interrupted" if number == signal.SIGINT else "terminated"
    assert [line for line in err.splitlines() if line.startswith("mnistctl: ")] == [f"mnistctl: {said}"]
    assert "Traceback" not in err
    assert not list(tmp_path.glob("out/*"))


def test_signal_after_the_last_line_keeps_the_exit_code(monkeypatch):
    handlers, codes = {}, []
    monkeypatch.setattr(program, "app", lambda **_: 7)
    monkeypatch.setattr(program.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(program.os, "_exit", codes.append)
    with pytest.raises(SystemExit) as exited:
        program.run()
    assert exited.value.code == 7
    for number in (signal.SIGINT, signal.SIGTERM):
        handlers[number](number, None)
    assert codes == [7, 7]


def test_stop_that_a_library_turns_into_another_error_is_one_line(monkeypatch, capsys):
    def stopped(**_):
        program._stopped.append(signal.SIGINT)
        raise ImportError("numpy failed to import")

    monkeypatch.setattr(program, "app", stopped)
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as exited:
        program.run()
    assert exited.value.code == 130
    assert capsys.readouterr().err == "mnistctl: interrupted\n"


@pytest.mark.parametrize("words", [("eval", "a" * 256), ("show", "--runs", "--out-dir", "a" * 256)])
def test_name_that_no_file_can_have_is_an_error_of_usage(mnistctl, words):
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"mnistctl: {'a' * 256}: File name too long\n"


def test_unexpected_error_keeps_its_traceback(monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(program, "app", broken)
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        program.run()


def run_in_shell(line, tmp_path, **environment):
    """The exit codes of a pipeline's commands, and what it prints; `mnistctl` is this program."""
    shell = f'mnistctl() {{ "{sys.executable}" -m mnistctl "$@"; }}; {line}; echo "${{PIPESTATUS[*]}}" >codes'
    environment = os.environ | {"PYTHONUNBUFFERED": ""} | environment
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return (tmp_path / "codes").read_text().split(), done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("mnistctl train --list 2>&1 | head -c 0", ["1", "0"]),
        ("mnistctl train nosuch 2>&1 | head -c 0", ["2", "0"]),
        ("mnistctl train nosuch 2>/dev/full", ["2"]),
        ("mnistctl --version >/dev/full 2>/dev/full", ["1"]),
        ("mnistctl train logit --dataset sample --epochs 10 2>&1 | head -1", ["1", "0"]),
    ],
)
def test_streams_that_cannot_be_written_keep_the_exit_code(line, codes, tmp_path):
    assert run_in_shell(line, tmp_path)[0] == codes


def test_full_disk_under_stdout_gives_one_line_and_the_command_that_resumes(tmp_path):
    codes, _, err = run_in_shell("mnistctl train logit --dataset sample --epochs 1 >/dev/full", tmp_path)
    assert codes == ["1"]
    (line,) = err.splitlines()
    assert line.startswith("mnistctl: the output cannot be written: No space left on device; free space")
    assert line.endswith(
        "`mnistctl train logit --dataset sample --resume` continues from the last finished epoch"
    )


@pytest.mark.parametrize(
    "columns", ["-4", *(pytest.param(text, marks=pytest.mark.long) for text in ("0", "wide", ""))]
)
def test_width_that_no_terminal_has_is_measured_again(columns, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.safetensors").touch()
    assert "mine" in run_in_shell("mnistctl show --runs", tmp_path, COLUMNS=columns)[1]


BOTH_SIGNALS = """
import os, signal
from mnistctl.cli import program

def stop(**_):
    both = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for number in both:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

program.app = stop
program.run()
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_two_signals_at_once_give_one_line():
    """As from Ctrl-C while torch computes, and SIGTERM before that has ended."""
    ran = subprocess.run([sys.executable, "-c", BOTH_SIGNALS], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (130, "mnistctl: interrupted\n")
