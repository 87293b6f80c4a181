"""Trials on a Dask cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import stubs
from trials.processes import Session, running

from mnistctl.errors import FailedTrialsError, MnistctlError
from mnistctl.trials import cluster as cluster_module
from mnistctl.trials.cluster import is_safe_address
from mnistctl.trials.events import TrialEnded
from mnistctl.trials.executors import get_backend

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("localhost:8786", True),
        ("tls://10.1.2.3:8786", True),
        ("tcp://10.1.2.3:8786", False),
        ("head-node:8786", False),
        ("ws://10.1.2.3:1", False),
        ("tcp://127.0.0.1.evil.example:8786", False),
    ],
)
def test_address_is_safe_on_this_machine_or_with_tls(address, safe):
    assert is_safe_address(address) is safe


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers on 127.0.0.1, without nannies: address, scheduler file, workers."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    started = []

    def start(*words):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([sys.executable, *words], env=environment, cwd=tmp_path, **quiet))

    scheduler_file = tmp_path / "scheduler.json"
    start(
        *("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"),
        *("--no-dashboard", "--scheduler-file", str(scheduler_file)),
    )
    for _ in range(300):
        if scheduler_file.exists() and scheduler_file.stat().st_size:
            break
        time.sleep(0.1)
    address = json.loads(scheduler_file.read_text())["address"]
    for _ in range(2):
        start(
            *("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"),
            *("--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(tmp_path / "dask")),
        )
    yield address, scheduler_file, started[1:]
    for process in started:
        process.kill()
        process.wait()


def test_cluster_gives_the_same_results_when_a_worker_is_killed(cluster, stub_trials, own):
    address, scheduler_file, workers = cluster
    stubs.set_seconds(own, 0.2)
    events = []
    for event in stub_trials.start(8, backend=get_backend("dask", scheduler=address)):
        events.append(event)
        if isinstance(event, TrialEnded) and event.seed and workers[0].poll() is None:
            _, pids = stubs.read_starts(own)
            if len(pids) == 2:
                workers[0].kill()
    assert workers[0].poll() is not None
    assert stub_trials.results() == stub_trials.expected(8)
    assert sum(isinstance(event, TrialEnded) for event in events) == 8
    again = stub_trials.run(9, backend=get_backend("dask", scheduler_file=scheduler_file), resume=True)
    assert sum(isinstance(event, TrialEnded) and not event.from_previous_session for event in again) == 1


@pytest.mark.long
def test_cluster_has_the_bits_of_this_machine(cluster, stub_trials):
    address, _, workers = cluster
    trials = {"models": ("logit", "swa"), "changes": {"epochs": 3, "batch_size": 100}, "real": True}
    stub_trials.run(6, backend=get_backend(workers=2), **trials)
    local = stub_trials.results()
    for event in stub_trials.start(
        6, backend=get_backend("dask", scheduler=address), overwrite=True, **trials
    ):
        if isinstance(event, TrialEnded) and workers[0].poll() is None:
            workers[0].kill()
    assert stub_trials.results() == local


@pytest.mark.long
def test_local_cluster_ends_with_the_trials_and_with_ctrl_c(stub_trials, own, tmp_path):
    with socket.socket() as other:
        with suppress(OSError):  # it is in use already
            other.bind(("127.0.0.1", 8787))  # the default port of another cluster on this machine
            other.listen()
        stub_trials.run(backend=get_backend("dask", workers=2))
    assert stub_trials.results() == stub_trials.expected(4)
    assert not running(stubs.read_starts(own)[1])
    stubs.set_seconds(own, 60)
    session = Session(own, tmp_path, "-n", "8", "--executor", "dask", "--workers", "2", "--overwrite")
    while sum(stubs.read_starts(own)[0].values()) < 6:
        time.sleep(0.1)
    stopped = time.monotonic()
    os.killpg(session.process.pid, signal.SIGINT)
    code, _, err = session.end()
    assert time.monotonic() - stopped < 20
    assert (code, err.count("\n")) == (130, 1)
    assert "--executor dask --workers 2 --resume`" in err
    time.sleep(0.5)
    assert not running(stubs.read_starts(own)[1])


@pytest.mark.long
@pytest.mark.parametrize("deaths", [3, 4])
def test_cluster_starts_the_trial_of_a_dead_worker_again_three_times(deaths, stub_trials, own):
    (own / "die-1").write_text(str(deaths))
    events = stub_trials.start(backend=get_backend("dask", workers=2))
    if deaths == 3:
        list(events)
        assert stub_trials.results() == stub_trials.expected(4)
    else:
        with pytest.raises(FailedTrialsError, match="1 of 4"):
            list(events)
        results, expected = stub_trials.results(), stub_trials.expected(4)
        assert results.pop(("logit", 1))["reason"].startswith("KilledWorker")
        del expected["logit", 1]
        assert results == expected


def test_unreachable_scheduler_is_reported_in_one_line(stub_trials, monkeypatch):
    monkeypatch.setattr(cluster_module, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(MnistctlError, match=r"tcp://127\.0\.0\.1:9") as error:
        stub_trials.run(backend=get_backend("dask", scheduler="tcp://127.0.0.1:9"))
    assert "\n" not in str(error.value)
