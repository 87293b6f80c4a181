"""Trials: every result is written once, whatever happens, and the workers do not change it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import stubs

from mnistctl.artifacts import files
from mnistctl.errors import FailedTrialsError, OutputError, UnmetError, UsageError
from mnistctl.training.environment import versions
from mnistctl.training.options import RunOptions
from mnistctl.trials import worker
from mnistctl.trials.events import TrialEnded, TrialsFinished, TrialsStarted
from mnistctl.trials.executors import Backend
from mnistctl.trials.local import WorkerSlot
from mnistctl.trials.options import TrialsOptions


def test_every_trial_is_reported_and_written_once(stub_trials):
    events = stub_trials.run(4)
    assert isinstance(events[0], TrialsStarted)
    assert [event.seed for event in events if isinstance(event, TrialEnded)] == [0, 1, 2, 3]
    assert isinstance(events[-1], TrialsFinished)
    assert stub_trials.results() == stub_trials.expected(4)
    assert sorted(path.name for path in stub_trials.folder.iterdir()) == ["t.json", "t.jsonl", "t.png"]
    content = (stub_trials.folder / "t.json").read_bytes()
    assert files.verify_checksum(content)
    (arm,) = json.loads(content)["arms"]
    assert arm["accuracies"] == [stubs.stub_result(seed).accuracies["logit"] for seed in range(4)]
    assert arm["errors"][0] == {"index": 0, "true": 3, "errors": 1, "predicted": {"5": 1}}
    assert arm["confusion"][3][5] == 4
    assert sum(map(sum, arm["confusion"])) == 4 * 200


def test_results_do_not_depend_on_the_number_of_workers(stub_trials):
    """With real trials in threads. They take turns, because the random generators are global."""
    results = []
    for workers in (1, 2, 4):
        backend = Backend(
            lambda device, count, workers=workers: [
                WorkerSlot(lambda: ThreadPoolExecutor(workers), workers, device)
            ]
        )
        stub_trials.run(real=True, backend=backend, overwrite=True)
        results.append(stub_trials.results())
    assert results[0] == results[1] == results[2]
    assert len({line["result"]["digests"]["logit"] for line in results[0].values()}) == 4


def test_refusal_by_a_worker_stops_all_trials(stub_trials, monkeypatch):
    ours = versions()
    monkeypatch.setattr(worker, "versions", lambda: ours | {"numpy": "0"})

    def refuse(model, seed, settings):
        worker._check_versions(settings.versions)

    with pytest.raises(UsageError, match="other versions: numpy"):
        stub_trials.run(real=True, run_trial=refuse)
    assert stub_trials.journal().trials == {}


def test_diverging_trial_leaves_the_others_and_the_exit_code_is_6(stub_trials, own):
    (own / "diverge-1").touch()
    with pytest.raises(FailedTrialsError, match="1 of 4 trials gave no result") as error:
        stub_trials.run()
    assert error.value.exit_code == 6
    assert error.value.remedies == ()
    expected = stub_trials.expected(4)
    expected["logit", 1] |= {"state": "diverged", "reason": "the loss is nan", "result": None}
    assert stub_trials.results() == expected
    with pytest.raises(FailedTrialsError):
        stub_trials.run(resume=True)
    assert stubs.read_starts(own)[0][1] == 1  # it would diverge again
    assert json.loads((stub_trials.folder / "t.json").read_text())["arms"][0]["n"] == 3


def test_failed_trials_run_again_on_resume_and_no_others(stub_trials, own):
    (own / "raise-2").touch()
    with pytest.raises(FailedTrialsError) as error:
        stub_trials.run()
    assert error.value.remedies == ("retry",)
    assert "RuntimeError: out of luck" in stub_trials.journal().trials["logit", 2].reason
    (own / "raise-2").unlink()
    with pytest.raises(FailedTrialsError):  # without resume it only reports the results
        stub_trials.run()
    stub_trials.run(resume=True)
    assert stub_trials.results() == stub_trials.expected(4)
    assert stubs.read_starts(own)[0] == {0: 1, 1: 1, 2: 2, 3: 1}


def test_finished_trials_are_not_repeated(stub_trials, own):
    stub_trials.run()
    for arguments in ({}, {"resume": True}):
        events = stub_trials.run(**arguments)
        assert events[-1].already
        assert not [event for event in events if isinstance(event, TrialEnded)]
    assert stubs.read_starts(own)[0] == {0: 1, 1: 1, 2: 1, 3: 1}


def test_existing_trials_are_refused_with_the_remedies(stub_trials):
    stub_trials.stop_after(2)
    with pytest.raises(UsageError, match=r"unfinished trials .*2 of 4") as error:
        stub_trials.run()
    assert error.value.remedies == ("resume", "overwrite")
    stub_trials.run(overwrite=True)
    stub_trials.stop_after(2, overwrite=True)  # the summary of the overwritten trials is deleted
    assert [path.name for path in stub_trials.folder.iterdir()] == ["t.jsonl"]
    stub_trials.run(resume=True)
    with pytest.raises(UsageError, match="has 4 trials") as error:
        stub_trials.run(6)
    assert (error.value.field, error.value.value, error.value.remedies) == (
        "count",
        6,
        ("resume", "overwrite"),
    )
    with pytest.raises(UsageError, match="has 4 trials") as error:
        stub_trials.run(3)
    assert error.value.remedies == ("overwrite", "name")  # resume would refuse a smaller number
    with pytest.raises(UsageError, match=r"has other trials .*epochs 1, now 2"):
        stub_trials.run(changes={"epochs": 2})
    assert stub_trials.results() == stub_trials.expected(4)


def test_second_process_is_refused_at_once(stub_trials):
    first = stub_trials.start()
    next(first)
    for arguments in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="in use by another process"):
            next(stub_trials.start(**arguments))
    list(first)
    assert stub_trials.results() == stub_trials.expected(4)


def test_unwritable_folder_is_an_output_error(stub_trials, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/trials").write_text("a file")
    with pytest.raises(OutputError) as error:
        stub_trials.run()
    assert error.value.remedies == ("out_dir",)


def test_unmet_requirement_is_raised_after_the_results(stub_trials):
    events = []
    with pytest.raises(UnmetError, match="logit is not shown to be as good") as error:
        for event in stub_trials.start(reference="ktorch", require="same"):
            events.append(event)
    assert (error.value.exit_code, error.value.field, error.value.value) == (7, "require", "same")
    assert isinstance(events[-1], TrialsFinished)


def test_several_models_share_their_seeds_and_are_paired(stub_trials):
    summary = stub_trials.run(3, real=True, models=("logit", "linear"))[-1].summary
    assert [arm.label for arm in summary.arms] == ["logit", "linear"]
    assert all(arm.seeds == (0, 1, 2) for arm in summary.arms)
    (comparison,) = summary.comparisons
    assert (comparison.first, comparison.second) == ("logit", "linear")
    assert (comparison.method, comparison.n) == ("paired", (3, 3))


def test_command_is_made_from_the_completed_options(stub_trials):
    def command(options):
        return f"{options.count} trials of {options.options.dataset}"

    stub_trials.stop_after(2, command=command)
    bare = {"epochs": None, "dataset": None, "data_dir": None}
    summary = stub_trials.run(None, changes=bare, resume=True, command=command)[-1].summary
    assert summary.command == stub_trials.journal().header.command == "4 trials of own"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"models": "logit"}, "models 'logit': give a list of one model or more"),
        ({"models": ()}, r"models \(\): give a list of one model or more"),
        ({"models": ("logit", 3)}, "model 3: give a model, its name or the path of its recipe file, not int"),
        ({"count": "2"}, "count '2': give a whole number, not str"),
        ({"options": {}}, "options {}: give RunOptions, not dict"),
        ({"until": True}, "until True: give 'settled' or None"),
        ({"margin": "0.1"}, "margin '0.1': give a number, not str"),
        ({"sweep": {}}, "sweep {}: give Sweep, not dict"),
    ],
)
def test_option_of_another_type_is_a_usage_error_that_names_it(wrong, message):
    with pytest.raises(UsageError, match=message):
        TrialsOptions(**{"models": ("logit",), "count": 1, "options": RunOptions()} | wrong)
