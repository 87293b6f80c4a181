"""Executors: any that the user names will do, and arguments that do not go together are refused."""

import sys

import pytest
import stubs
import torch

from mnistctl.errors import FailedTrialsError, OutputError, UsageError
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
        ({"workers": "2"}, "workers", "give a whole number, not str"),
        ({"executor": None}, "executor", "give text, not NoneType"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "scheduler", "only the executor dask has a scheduler"),
        ({"scheduler_file": "file"}, "scheduler_file", "only the executor dask has a scheduler"),
        ({"insecure": True}, "insecure", "only the executor dask connects to other machines"),
        ({"executor": "elsewhere"}, "executor", "give local, dask or module:factory"),
        ({"executor": "nowhere:at_all"}, "executor", "No module named 'nowhere'"),
        ({"executor": "stubs:at_all"}, "executor", "at_all"),
        ({"executor": "stubs:IN_PROCESS"}, "executor", "IN_PROCESS is Backend, not a function"),
        ({"executor": "..stubs:factory"}, "executor", "cannot be imported .*relative import"),
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
    with pytest.raises(UsageError, match="pip install distributed"):
        get_backend("dask")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "import at_all_nowhere",
            "cannot be imported .ModuleNotFoundError: No module named 'at_all_nowhere'",
        ),
        ("def factory(:", "cannot be imported .SyntaxError: "),
        ("1 / 0", "cannot be imported .ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('not today')", "cannot be imported .SystemExit: not today"),
    ],
)
def test_module_that_cannot_be_imported_is_a_usage_error(content, message, tmp_path, monkeypatch):
    (tmp_path / "broken_factory.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_factory", raising=False)
    with pytest.raises(UsageError, match=message) as error:
        get_backend("broken_factory:factory")
    assert error.value.field == "executor"
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: 1 / 0, "the factory failed .ZeroDivisionError: division by zero"),
        (lambda: sys.exit(0), "the factory failed .SystemExit: 0"),
        (lambda needed: None, "the factory failed .TypeError: .* missing 1 required"),
        (dict, "returned dict, not a concurrent.futures.Executor"),
    ],
)
def test_factory_that_gives_no_executor_is_a_usage_error_and_leaves_no_files(
    factory, message, stub_trials, monkeypatch
):
    monkeypatch.setattr(stubs, "factory", factory, raising=False)
    with pytest.raises(UsageError, match=message):
        stub_trials.run(backend=get_backend("stubs:factory"))
    assert not list(stub_trials.folder.iterdir())


def test_executor_and_its_results_may_be_junk_and_the_trials_can_be_resumed(stub_trials, monkeypatch):
    class JunkExecutor(stubs.InProcessExecutor):
        """Gives no result, no future, or a result with a digit that does not exist."""

        def submit(self, fn, /, model, seed, settings):
            if seed == 1:
                return None
            future = super().submit(fn, model, seed, settings)
            if seed == 2:
                future._result.mismatches["logit"] = ((1, 2, 77),)
            return future

    monkeypatch.setattr(stubs, "factory", JunkExecutor, raising=False)
    with pytest.raises(FailedTrialsError, match="2 of 4"):
        stub_trials.run(backend=get_backend("stubs:factory"))
    reasons = {seed: record.reason for (_, seed), record in stub_trials.journal().trials.items()}
    assert reasons[0] == reasons[3] == ""
    assert "instead of a concurrent.futures.Future" in reasons[1]
    assert "the worker sent an invalid result: mismatches" in reasons[2]
    stub_trials.run(resume=True)
    assert stub_trials.results() == stub_trials.expected(4)
