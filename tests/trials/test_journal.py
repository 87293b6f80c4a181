"""The journal: damage is reported, and version 1 is read with the names of version 2."""

import json
from pathlib import Path

import pytest
import stubs

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, OutputError
from mnistctl.trials import journal
from mnistctl.trials.entries import VERSION, JournalHeader, ResumeNote, TrialRecord

RECORDS = Path(__file__).parents[2] / "records"


RESULT = stubs.stub_result(0).to_json()


def encode(body):
    line = json.dumps(body | {"checksum": files.CHECKSUM_PLACEHOLDER}) + "\n"
    return files.add_checksum(line.encode())


def test_damaged_line_is_refused_with_its_number(stub_trials):
    stub_trials.run()
    path = stub_trials.folder / "t.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"90.", b"99.")
    path.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match="line 3 is damaged") as error:
        stub_trials.run(resume=True)
    assert error.value.remedies == ("overwrite", "name", "out_dir")
    path.write_bytes(b"not a record\n")
    with pytest.raises(CheckpointError, match="not a journal of trials"):
        stub_trials.run()
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="the file is empty"):
        stub_trials.run()


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (1, {"version": 99}, "version 99"),
        (1, {"models": "logit"}, "models: Expected"),
        (1, {"settings": {}}, "recipes"),
        (1, {"support": [5]}, "support: 1 counts instead of 10"),
        (2, {"seed": "0"}, "line 2 .*seed: Expected"),
        (2, {"result": None}, "done without a result"),
        (2, {"state": "lost"}, "state"),
        (1, {"models": ["linear"]}, "models: not those of settings.arms"),
        (2, {"model": "linear"}, "line 2 .*model 'linear': the trials are of logit"),
        (2, {"seed": 1}, "line 2 .*seed 1: the seeds are 0 to 0"),
        (2, {"seed": -1}, "line 2 .*seed -1: the seeds are 0 to 0"),
        (2, {"result": RESULT | {"mismatches": {"logit": [[0, 3, 77]]}}}, "mismatches"),
        (2, {"result": RESULT | {"mismatches": {"logit": [[200, 3, 5]]}}}, "image 200 of 200"),
        (2, {"result": RESULT | {"accuracies": {"logit": float("inf")}}}, "accuracies.logit: not a finite"),
        (2, {"result": RESULT | {"accuracies": {"logit": float("nan")}}}, "accuracies.logit: not a finite"),
    ],
)
def test_wrong_field_is_refused_by_name(number, change, message, stub_trials):
    stub_trials.run(1)
    path = stub_trials.folder / "t.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = encode(json.loads(lines[number - 1]) | change)
    path.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match=message):
        journal.read(path)


def test_journal_is_read_as_it_was_written(stub_trials):
    stub_trials.run(2)
    path = stub_trials.folder / "t.jsonl"
    entries = journal.read(path)
    note = ResumeNote(after=2, count=3, mismatched_settings={"threads": (1, 2)})
    failed = TrialRecord(model="logit", seed=2, state="failed", reason="its worker died 4 times")
    journal.append(path, entries, note)
    journal.append(path, entries, failed)
    again = journal.read(path)
    assert again == entries
    assert (again.count, again.resumed, again.trials["logit", 2]) == (3, [note], failed)
    assert again.remaining([("logit", seed) for seed in range(4)]) == [("logit", 2), ("logit", 3)]
    assert again.header == JournalHeader.from_json(again.header.to_json())
    assert again.size == path.stat().st_size


def test_deleted_journal_is_not_created_again(stub_trials):
    stub_trials.run(1)
    path = stub_trials.folder / "t.jsonl"
    entries = journal.read(path)
    path.unlink()
    with pytest.raises(OutputError, match="cannot be written"):
        journal.append(path, entries, ResumeNote(after=1, count=1))
    assert not path.exists()


def test_journal_has_no_folders_but_that_of_the_data(stub_trials, own):
    stub_trials.run(1)
    header = json.loads((stub_trials.folder / "t.jsonl").read_text().splitlines()[0])
    assert header["version"] == VERSION == 2
    assert header["options"]["data_dir"] == str(own)
    assert "out_dir" not in header["options"]
    assert header["settings"]["arms"] == {"logit": {"logit": "logit"}}


VERSION_1 = [
    path for path in sorted(RECORDS.glob("trials-*.jsonl")) if '"version": 2' not in path.read_text()[:99]
]


@pytest.mark.parametrize("path", VERSION_1, ids=lambda path: path.stem)
def test_journals_of_version_1_are_read_with_the_new_names(path):
    old = [json.loads(line) for line in path.read_text().splitlines()]
    entries = journal.read(path)
    assert entries.header.version == old[0]["version"] == 1
    assert (entries.header.command, entries.count) == (old[0]["command"], old[0]["count"])
    assert entries.header.options.epochs == old[0]["asked"]["epochs"]
    assert len(entries.trials) == len(old) - 1
    new_names = {"regular": "baseline", "averaging": "averaged"}
    for model, columns in old[0]["setting"]["columns"].items():
        expected = {new_names.get(column, column): recipe for column, recipe in columns.items()}
        assert entries.header.settings.arms[model] == expected
    for name, recipe in old[0]["setting"]["recipes"].items():
        assert entries.header.settings.recipes[name].batch_size == recipe["batch"]
        assert list(entries.header.settings.recipes[name].lr_schedule) == recipe["rates"]
    for line in old[1:]:
        result = entries.trials[line["model"], line["seed"]].result
        assert list(result.accuracies.values()) == list(line["results"].values())
        assert list(result.digests.values()) == list(line["digests"].values())
        assert [[list(row) for row in rows] for rows in result.mismatches.values()] == list(
            line["wrong"].values()
        )
        assert result.seconds == line["seconds"]
        assert result.processor_seconds == line.get("processor_seconds")


def test_lines_of_version_1_without_a_result_are_read():
    line = {"model": "logit", "seed": 3, "diverged": "the loss is nan"}
    expected = TrialRecord(model="logit", seed=3, state="diverged", reason="the loss is nan")
    assert TrialRecord.from_json(line) == expected
    note = ResumeNote.from_json({"after": 2, "count": 4, "mixed": {"threads": [1, 2]}})
    assert note == ResumeNote(after=2, count=4, mismatched_settings={"threads": (1, 2)})
