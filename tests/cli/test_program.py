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


def test_unexpected_error_keeps_its_traceback(monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(program, "app", broken)
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        program.run()
