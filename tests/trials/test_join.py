"""Trials that ran apart become one record, if nothing but the seeds differs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import stubs

from mnistctl.artifacts.tables import TableFiles
from mnistctl.errors import CheckpointError, FailedTrialsError, UsageError
from mnistctl.trials import journal
from mnistctl.trials.events import TrialsFinished, TrialsJoined
from mnistctl.trials.join import join_parts, join_trials, read_parts

RECORDS = Path(__file__).parents[2] / "records"


@pytest.fixture
def parts(stub_trials):
    """Run stub trials of these first seeds and counts, and give the paths of their journals."""

    def run(*seeds, **changes):
        paths = []
        for seed, count in seeds:
            name = f"part-{seed}-{count}" + "".join(f"-{value}" for value in changes.values())
            stub_trials.run(count, changes={"seed": seed, "name": name, **changes})
            paths.append(stub_trials.folder / f"{name}.jsonl")
        return paths

    return run


def change_header(path, **changes):
    """Write the journal again with another header."""
    entries = journal.read(path)
    entries.header = replace(entries.header, **changes)
    journal.write(path, entries)


def results(path):
    body = json.loads(path.read_text())
    return {key: body[key] for key in ("arms", "comparisons", "distribution", "recipes", "seed", "count")}


def test_joined_parts_equal_one_run_of_all_seeds(parts, stub_trials, tmp_path):
    later, first = parts((2, 3), (0, 2))
    stub_trials.run(5)
    events = list(join_trials([later, first], stub_trials.folder / "all", command="mnistctl trials --join"))
    assert isinstance(events[-1], TrialsFinished)
    assert not events[-1].already
    (told,) = [event for event in events if isinstance(event, TrialsJoined)]
    assert (told.trials.models, told.trials.seed, told.trials.count) == (("logit",), 0, 5)
    assert told.parts == ((first, range(2)), (later, range(2, 5)))
    assert results(stub_trials.folder / "all.json") == results(stub_trials.folder / "t.json")
    joined = journal.read(stub_trials.folder / "all.jsonl")
    assert joined.trials == journal.read(stub_trials.folder / "t.jsonl").trials
    assert (joined.header.command, len(joined.header.parts)) == ("mnistctl trials --join", 2)
    written = sorted(path.suffix for path in stub_trials.folder.glob("all.*"))
    assert written == [".json", ".jsonl", ".png"]
    stub_trials.run(7, changes={"name": "all"}, resume=True)
    assert len(journal.read(stub_trials.folder / "all.jsonl").trials) == 7


def test_parts_that_overlap_must_agree(parts, stub_trials, own):
    one, other = parts((0, 3), (2, 3))
    assert len(join_parts(read_parts([one, other])).trials) == 5
    entries = journal.read(other)
    record = entries.trials["logit", 2]
    changed = replace(record, result=replace(record.result, accuracies={"logit": 12.0}))
    journal.append(other, entries, changed)
    with pytest.raises(CheckpointError, match=r"logit, seed 2: .*part-0-3.* and .*part-2-3.* have different"):
        join_parts(read_parts([one, other]))


def test_first_difference_of_the_parts_is_named(parts):
    (one,) = parts((0, 2))
    (other,) = parts((2, 2), epochs=2)
    message = r"the parts differ in settings\.recipes\.logit\.epochs: .* has 1, .* has 2"
    with pytest.raises(CheckpointError, match=message):
        join_parts(read_parts([one, other]))
    (other,) = parts((4, 2))
    settings = journal.read(other).header.settings
    change_header(other, settings=replace(settings, versions=settings.versions | {"torch": "9.9"}))
    with pytest.raises(CheckpointError, match=r"differ in settings\.versions\.torch"):
        join_parts(read_parts([one, other]))


def test_machine_of_each_part_stays_with_its_results(parts):
    one, other = parts((0, 2), (2, 2))
    machine = replace(journal.read(other).header.machine, processor="another")
    change_header(other, machine=machine)
    joined = join_parts(read_parts([one, other])).trials
    assert [joined["logit", seed].result.machine for seed in (1, 2)] == [None, machine]


def test_missing_seeds_and_unfinished_parts_are_refused(parts, stub_trials):
    one, other = parts((0, 2), (5, 2))
    with pytest.raises(CheckpointError, match="no part has seeds 2 to 4"):
        join_parts(read_parts([one, other]))
    first, second, third = parts((0, 1), (2, 1), (4, 1))
    with pytest.raises(CheckpointError, match="no part has seeds 1, 3; "):
        join_parts(read_parts([first, second, third]))
    with pytest.raises(CheckpointError, match="no part has seed 3; "):
        join_parts(read_parts([second, third]))
    stub_trials.stop_after(1, 3, changes={"seed": 2, "name": "unfinished"})
    with pytest.raises(CheckpointError, match=r"unfinished\.jsonl: unfinished trials \(1 of 3\)"):
        read_parts([one, stub_trials.folder / "unfinished.jsonl"])


def test_files_that_are_no_parts_are_refused(parts, tmp_path, stub_trials):
    (one,) = parts((0, 2))
    with pytest.raises(UsageError, match="two or more"):
        read_parts([one])
    with pytest.raises(UsageError, match="named twice"):
        read_parts([one, one])
    with pytest.raises(CheckpointError, match="earlier version cannot be joined"):
        read_parts([one, RECORDS / "trials-logit-20.jsonl"])
    with pytest.raises(CheckpointError, match="not a journal of trials"):
        read_parts([one, one.with_suffix(".json")])
    with pytest.raises(CheckpointError, match="no such journal"):
        read_parts([one, tmp_path / "none.jsonl"])
    stub_trials.run(2, changes={"seed": 2, "name": "mixed"}, models=("linear",))
    with pytest.raises(CheckpointError, match="the parts differ in models"):
        join_parts(read_parts([one, stub_trials.folder / "mixed.jsonl"]))


def test_existing_trials_are_replaced_only_on_request_and_never_a_part(parts, stub_trials, tmp_path):
    paths = parts((0, 2), (2, 2))
    stub_trials.run(1)
    with pytest.raises(UsageError, match=r"t\.jsonl: exists already") as error:
        list(join_trials(paths, stub_trials.folder / "t"))
    assert error.value.remedies == ("overwrite", "name", "out_dir")
    tables = TableFiles(csv=tmp_path / "t.csv")
    list(join_trials(paths, stub_trials.folder / "t", overwrite=True, tables=tables))
    assert len(stub_trials.journal().trials) == 4
    assert (tmp_path / "t.csv").read_text().count("\n") == 2
    with pytest.raises(UsageError, match="is one of the parts"):
        list(join_trials(paths, stub_trials.folder / paths[0].stem, overwrite=True))


def test_comparison_that_ends_when_it_is_settled_is_not_joined(parts, stub_trials, own):
    (one,) = parts((0, 2))
    options = replace(
        stub_trials.options(5, ("logit", "linear"), name="s", seed=2), until="settled", margin=50.0
    )
    from mnistctl.trials.run import run_trials

    list(run_trials(options, stubs.IN_PROCESS, run_trial=stubs.run_stub_trial))
    with pytest.raises(CheckpointError, match=r"s\.jsonl: ends when its comparison is settled"):
        read_parts([one, stub_trials.folder / "s.jsonl"])


def test_failed_trial_gives_exit_code_6_until_a_part_has_its_result(parts, stub_trials, own):
    (own / "raise-1").touch()
    with pytest.raises(FailedTrialsError):
        parts((0, 2))
    paths = [stub_trials.folder / "part-0-2.jsonl", *parts((2, 1))]
    (own / "raise-1").unlink()
    with pytest.raises(FailedTrialsError, match="1 of 3 trials gave no result") as error:
        list(join_trials(paths, stub_trials.folder / "all"))
    assert (error.value.exit_code, error.value.remedies) == (6, ("join_again",))
    assert results(stub_trials.folder / "all.json")["arms"][0]["n"] == 2
    repaired = [*paths, *parts((1, 1))]
    summary = list(join_trials(repaired, stub_trials.folder / "all", overwrite=True))[-1].summary
    assert (summary.failed, summary.arms[0].seeds) == ((), (0, 1, 2))
