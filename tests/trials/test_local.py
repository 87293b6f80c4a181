"""Trials in worker processes: one that dies costs nothing else, and none outlives the command."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import stubs
from trials.processes import Session, running

from mnistctl.trials import cluster, local
from mnistctl.trials.events import TrialEnded, WorkerDied
from mnistctl.trials.executors import get_backend


def test_killed_worker_costs_only_its_own_trial(stub_trials, own):
    (own / "die-1").write_text("3")
    events = stub_trials.run(backend=get_backend(workers=2))
    assert sum(isinstance(event, WorkerDied) for event in events) == 3
    assert stub_trials.results() == stub_trials.expected(4)
    starts, pids = stubs.read_starts(own)
    assert starts == {0: 1, 1: 4, 2: 1, 3: 1}
    assert not running(pids)


def test_worker_process_has_the_bits_of_this_process(stub_trials):
    stub_trials.run(1, real=True, changes={"seed": 2}, backend=get_backend(workers=1))
    in_worker = stub_trials.results()
    stub_trials.run(1, real=True, changes={"seed": 2}, overwrite=True)
    assert stub_trials.results() == in_worker
    assert in_worker["logit", 2]["result"]["machine"] is None  # it is that of the header


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_stopped_command_leaves_no_processes_and_can_be_resumed(number, stub_trials, own, tmp_path):
    stubs.set_seconds(own, 0.15)
    session = Session(own, tmp_path, "-n", "8", "--workers", "2")
    session.wait_for_line("logit", "2")
    stubs.set_seconds(own, 60)
    time.sleep(0.5)  # both workers are in a trial that would take a minute
    stopped = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(session.process.pid, number)  # as a terminal does
    else:
        session.process.send_signal(number)
    code, _, err = session.end()
    assert time.monotonic() - stopped < 20
    _, pids = stubs.read_starts(own)
    assert not running(pids)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    if number != signal.SIGKILL:
        assert err.count("\n") == 1
        assert "--name t --workers 2 --resume` continues from the trials that have ended" in err
    else:
        path = stub_trials.folder / "t.jsonl"
        path.write_bytes(path.read_bytes()[:-9])  # cut off the end of the last line
    ended = {seed for _, seed in stub_trials.journal().trials}  # the slower worker may not have ended one
    assert 2 <= len(ended) < 8
    (own / "slow").unlink()
    events = stub_trials.run(None, backend=get_backend(workers=1), resume=True)
    assert sum(event.from_previous_session for event in events if isinstance(event, TrialEnded)) == len(ended)
    assert stub_trials.results() == stub_trials.expected(8)
    starts, _ = stubs.read_starts(own)
    assert all(starts[seed] == 1 for seed in ended)
    assert max(starts.values()) == 2


@pytest.mark.long
def test_results_are_the_same_for_1_2_and_4_processes_and_one_killed(stub_trials, tmp_path):
    results = []
    for workers in (1, 2, 4):
        deaths = 0
        events = stub_trials.start(
            8,
            real=True,
            models=("logit", "swa"),
            changes={"batch_size": 100},
            backend=get_backend(workers=workers),
        )
        for number, event in enumerate(events):
            deaths += isinstance(event, WorkerDied)
            if (workers, number) == (4, 3):
                multiprocessing.active_children()[0].kill()
        assert deaths <= 1  # none if it was idle
        results.append(stub_trials.results())
        shutil.rmtree(tmp_path / "out")
    assert results[0] == results[1] == results[2]
    assert len(results[0]) == 16


def test_trials_run_without_the_signals_that_windows_lacks(stub_trials, monkeypatch):
    missing = {"pthread_sigmask", "SIGKILL", "SIG_BLOCK", "SIG_SETMASK"}
    of_windows = {name: value for name, value in vars(signal).items() if name not in missing}
    for module in (local, cluster):
        monkeypatch.setattr(module, "signal", SimpleNamespace(**of_windows))
    stub_trials.run(backend=get_backend(workers=2))
    assert stub_trials.results() == stub_trials.expected(4)
    stopped = []
    monkeypatch.setattr(cluster.os, "kill", lambda pid, number: stopped.append((pid, number)))
    executor = object.__new__(cluster.DaskExecutor)
    executor._cluster = SimpleNamespace(workers={0: SimpleNamespace(pid=7)}, close=lambda timeout: None)
    executor._close_cluster()
    assert stopped == [(7, signal.SIGTERM)]


SCRIPT = """
import sys
from mnistctl.training.options import RunOptions
from mnistctl.trials.executors import get_backend
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.run import run_trials
from mnistctl.trials.worker import run_trial

def own(*arguments):
    return run_trial(*arguments)

def run(**arguments):
    options = RunOptions(dataset="own", data_dir=sys.argv[1], out_dir="out", epochs=1)
    trials = TrialsOptions(models=("logit",), count=1, options=options)
    *_, finished = run_trials(trials, get_backend(workers=1), **arguments)
    print(finished.summary.arms[0].seeds)

"""


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("run()", id="no guard"),
        pytest.param(
            "if __name__ == '__main__':\n    run(run_trial=own)", id="own function", marks=pytest.mark.long
        ),
    ],
)
def test_script_may_run_trials(call, own, tmp_path):
    """Its workers do not run it again, unless they need a function of it."""
    (tmp_path / "script.py").write_text(SCRIPT + call)
    words = [sys.executable, str(tmp_path / "script.py"), str(own)]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "(0,)\n", "")
