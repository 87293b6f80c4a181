"""Trials of a user's recipe file: workers get its text, and an edited file is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from recipe_files import classifier, module
from stubs import IN_THREAD

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models.sources import find
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.trials import journal
from mnistctl.trials.executors import get_backend
from mnistctl.trials.run import run_trials
from mnistctl.trials.task import TrialSettings
from mnistctl.trials.worker import run_trial

PATCHES = Path(__file__).parents[2] / "docs/examples/patches.py"


@pytest.fixture
def mine(tmp_path):
    """A recipe file."""
    path = tmp_path / "mine.py"
    path.write_text(classifier(epochs="2"))
    return path


def run(stub_trials, count, models, **arguments):
    return stub_trials.run(count, real=True, models=models, **arguments)


def test_trials_have_the_bits_of_train_and_the_journal_has_the_text(mine, stub_trials, own, tmp_path):
    run(stub_trials, 2, ("logit", find(str(mine))))
    entries = stub_trials.journal()
    assert entries.header.models == ("logit", "mine")
    assert entries.header.settings.origins["mine"].text == mine.read_text()
    options = RunOptions(
        dataset="own", data_dir=own, out_dir=tmp_path / "one", threads=1, epochs=1, seed=1, device="cpu"
    )
    *_, finished = train(find(str(mine)), options)
    assert entries.trials["mine", 1].result.digests == {"mine": finished.record.digest}


def test_edited_file_is_refused_and_the_journal_says_so_when_it_is_allowed(mine, stub_trials):
    run(stub_trials, 1, (find(str(mine)),))
    before = find(str(mine)).sha256
    mine.write_text(mine.read_text() + "# edited\n")
    with pytest.raises(CheckpointError, match=r"its trials have other settings \(origins\.mine") as caught:
        run(stub_trials, 2, (find(str(mine)),), resume=True)
    assert caught.value.exit_code == 5
    run(stub_trials, 2, (find(str(mine)),), resume=True, allow_mixed=True)
    notes = json.dumps([note.to_json() for note in stub_trials.journal().resumed])
    assert before in notes
    assert find(str(mine)).sha256 in notes


def test_resumed_trials_execute_the_named_file_and_never_the_text_of_the_journal(
    mine, stub_trials, tmp_path, mnistctl, own
):
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()\n" + classifier()
    run(stub_trials, 1, (find(str(mine)),))
    path = stub_trials.folder / "t.jsonl"
    header, *lines = path.read_text().splitlines()
    body = json.loads(header)
    body["settings"]["origins"]["mine"]["text"] = code
    body["command"] = code
    body["checksum"] = files.CHECKSUM_PLACEHOLDER
    signed = files.add_checksum((json.dumps(body) + "\n").encode()).decode()
    path.write_text(signed + "".join(f"{line}\n" for line in lines))
    where = ("--dataset", "own", "--data-dir", str(own), "--name", "t", "--resume", "--workers", "1")
    for model in ("mine", "conv", "t"):
        ran = mnistctl("trials", model, "-n", "2", *where)
        assert ran.returncode in (2, 5)
        assert ran.stderr.count("\n") == 1
    run(stub_trials, 2, (find(str(mine)),), resume=True)
    assert len(stub_trials.journal().trials) == 2
    assert not canary.exists()


def settings_for(own, model, **changes):
    from trials.test_worker import make_settings

    sent = make_settings(own, epochs=1, models={model.name: model}, recipe_sha256={model.name: model.sha256})
    return replace(sent, **changes)


def test_worker_refuses_a_text_with_another_digest(mine, own):
    model = find(str(mine))
    sent: TrialSettings = settings_for(own, model, recipe_sha256={"mine": "0" * 64})
    with pytest.raises(UsageError, match=r"mine\.py: the text that arrived here has another SHA-256"):
        run_trial("mine", 0, sent)


def test_worker_needs_no_file(mine, own):
    model = find(str(mine))
    mine.unlink()
    assert run_trial("mine", 0, settings_for(own, model)).accuracies.keys() == {"mine"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0\n", "mine.py, line 1: ZeroDivisionError"),
        (classifier("def net():\n    return nn.Linear(1, 1)\n"), "mine.py, line 7: net's forward pass"),
    ],
)
def test_broken_file_ends_trials_before_there_is_a_journal(text, expected, mnistctl, own, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    ran = mnistctl("trials", "conv", "mine.py", "-n", "2", "--dataset", "own", "--data-dir", str(own))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith(f"mnistctl: {expected}")
    assert not (tmp_path / "out").exists()


LATE = "def forward(self, x):\n    assert len(x) in (2, 100), 'late'\n    return self.l(x.flatten(1))"


def test_error_in_a_worker_is_one_line_with_the_file_and_the_line(mnistctl, own, tmp_path):
    (tmp_path / "late.py").write_text(classifier(module(LATE), batch_size="128"))
    where = ("--dataset", "own", "--data-dir", str(own), "--workers", "1")
    ran = mnistctl("trials", "late.py", "-n", "2", *where)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == "mnistctl: late.py, line 12: AssertionError: late"


def test_settings_apply_to_every_model_of_trials(mine, mnistctl, own):
    ran = mnistctl(
        *(
            "trials",
            "linear",
            "mine.py",
            "-n",
            "1",
            "--set",
            "net.hidden=6",
            "--epochs",
            "1",
            *IN_THREAD,
        ),
        *("--dataset", "own", "--data-dir", str(own), "--json"),
    )
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)
    assert [arm["label"] for arm in body["arms"]] == ["linear-net.hidden=6", "mine-net.hidden=6"]
    assert "--set net.hidden=6" in body["command"]


@pytest.mark.long
@pytest.mark.parametrize("executor", ["local", "dask"])
def test_transformer_is_tried_by_local_workers_and_on_a_cluster(executor, own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patches.py").write_text(PATCHES.read_text())
    options = four_trials(own, tmp_path)
    backend = get_backend(executor, workers=2)
    list(run_trials(options, backend))
    trials = journal.read(options.journal_path).trials
    assert len(trials) == 4
    assert all(trial.state == "done" for trial in trials.values())
    *_, finished = train("patches.py", replace(options.options, out_dir=tmp_path / "one", threads=1, seed=1))
    assert trials["patches", 1].result.digests == {"patches": finished.record.digest}


def four_trials(own, tmp_path):
    from mnistctl.trials.options import TrialsOptions

    options = RunOptions(dataset="own", data_dir=own, out_dir=tmp_path / "out", epochs=1, device="cpu")
    return TrialsOptions(models=("linear", "patches.py"), count=2, options=options)
