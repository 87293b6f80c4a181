"""Fixtures and functions for tests of trials."""

import shutil
from types import SimpleNamespace

import pytest
import stubs
import torch

from mnistctl.training.options import RunOptions
from mnistctl.trials import journal
from mnistctl.trials.entries import TrialRecord
from mnistctl.trials.events import TrialEnded
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.run import run_trials


@pytest.fixture
def own(own, tmp_path):
    """A copy of the data folder, in which a test may leave files for the stub trials."""
    return shutil.copytree(own, tmp_path / "own")


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def stub_trials(own, tmp_path):
    """Functions that run trials of `own` under the name t in out/, without training unless they are real."""

    def options(count=4, models=("logit",), **changes):
        defaults = {"epochs": 1, "dataset": "own", "data_dir": own, "out_dir": tmp_path / "out", "name": "t"}
        values = {field: value for field, value in (defaults | changes).items() if value is not None}
        return TrialsOptions(models=models, count=count, options=RunOptions(**values))

    def start(count=4, *, backend=stubs.IN_PROCESS, real=False, models=("logit",), changes=None, **arguments):
        if not real:
            arguments["run_trial"] = stubs.run_stub_trial
        return run_trials(options(count, models, **changes or {}), backend, **arguments)

    def stop_after(ended, *args, **arguments):
        """Stop when this many trials have ended."""
        events = start(*args, **arguments)
        for event in events:
            if isinstance(event, TrialEnded) and not event.from_previous_session:
                ended -= 1
                if not ended:
                    break
        events.close()

    def read_journal():
        return journal.read(tmp_path / "out/trials/t.jsonl")

    def results():
        """The journal's line of each trial, without the times."""
        return _without_times(read_journal().trials)

    return SimpleNamespace(
        options=options,
        start=start,
        run=lambda *args, **arguments: list(start(*args, **arguments)),
        stop_after=stop_after,
        journal=read_journal,
        results=results,
        expected=_stub_results,
        folder=tmp_path / "out/trials",
    )


def _without_times(records):
    lines = {key: record.to_json() for key, record in records.items()}
    for line in lines.values():
        if line["result"] is not None:
            line["result"] |= {"seconds": 0, "processor_seconds": 0}
    return lines


def _stub_results(count):
    """What `results` gives for this number of stub trials."""
    records = {
        ("logit", seed): TrialRecord(model="logit", seed=seed, result=stubs.stub_result(seed))
        for seed in range(count)
    }
    return _without_times(records)
