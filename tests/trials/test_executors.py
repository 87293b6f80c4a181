"""Executors: any that the user names will do, and arguments that do not go together are refused."""

import sys

import pytest
import stubs
import torch

from mnistctl.errors import OutputError, UsageError
from mnistctl.trials.executors import get_backend


def test_any_executor_gives_the_same_results(stub_trials, monkeypatch):
    monkeypatch.setattr(stubs, "factory", stubs.InProcessExecutor, raising=False)
    backend = get_backend("stubs:factory")
    assert not backend.local
    stub_trials.run(backend=backend)
    assert stub_trials.results() == stub_trials.expected(4)
    monkeypatch.setattr(stubs, "factory", dict)
    with pytest.raises(UsageError, match=r"returned dict, not a concurrent\.futures\.Executor"):
        stub_trials.run(backend=get_backend("stubs:factory"), overwrite=True)


def test_workers_are_distributed_over_the_cuda_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [slot.device for slot in get_backend().slots("cuda", 9)] == ["cuda:0", "cuda:1"]
    more = get_backend(workers=3).slots("cuda", 9)
    assert [slot.device for slot in more] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [slot.device for slot in get_backend(workers=2).slots("cuda:1", 9)] == ["cuda:1"] * 2
    assert len(get_backend(workers=5).slots("cpu", 3)) == 3


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        ({"workers": 0}, "workers", "give 1 or more"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "scheduler", "only the executor dask has a scheduler"),
        ({"scheduler_file": "file"}, "scheduler_file", "only the executor dask has a scheduler"),
        ({"executor": "elsewhere"}, "executor", "give local, dask or module:factory"),
        ({"executor": "nowhere:at_all"}, "executor", "No module named 'nowhere'"),
        ({"executor": "stubs:at_all"}, "executor", "at_all"),
        ({"executor": "dask", "scheduler": "tcp://10.0.0.1:8786"}, "scheduler", "neither .* nor encrypted"),
        ({"executor": "dask", "scheduler": "tcp://127.0.0.1:1", "workers": 2}, None, "exclude each other"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, field, message):
    with pytest.raises(UsageError, match=message) as error:
        get_backend(**arguments)
    assert error.value.field == field


def test_insecure_connection_is_allowed_on_request():
    with pytest.raises(UsageError) as error:
        get_backend("dask", scheduler="tcp://10.0.0.1:8786")
    assert error.value.remedies == ("insecure",)
    assert not get_backend("dask", scheduler="tcp://10.0.0.1:8786", insecure=True).local


def test_scheduler_file_must_be_one(tmp_path):
    path = tmp_path / "scheduler.json"
    with pytest.raises(OutputError, match="cannot be read"):
        get_backend("dask", scheduler_file=path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="not the file of a Dask scheduler"):
        get_backend("dask", scheduler_file=path)


def test_missing_dask_is_reported_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'mnistctl\[cluster\]'"):
        get_backend("dask")
