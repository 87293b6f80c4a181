"""Journals and summaries of trials whose values are wrong, with checksums that fit."""

import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import stubs
from warping import VALUES, places, with_value

from mnistctl.artifacts import files
from mnistctl.artifacts.drawing import Chart
from mnistctl.cli.output.conclusions import print_conclusions
from mnistctl.errors import CheckpointError
from mnistctl.trials import executors, journal
from mnistctl.trials.entries import ResumeNote, TrialRecord
from mnistctl.trials.run import run_trials
from mnistctl.trials.summarize import summarize_trials
from mnistctl.trials.summary import TrialsSummary

RECORDS = Path(__file__).parents[2] / "records"
CASES = [20, pytest.param(1000, marks=pytest.mark.long)]


def sign(body):
    if isinstance(body, dict):
        body = body | {"checksum": files.CHECKSUM_PLACEHOLDER}
    return files.add_checksum(json.dumps(body).encode() + b"\n")


def warped(bodies, cases, seed=0):
    """So many of the (number of the body, place, value) that change one value of one of these bodies."""
    changes = [
        (n, place, value) for n, body in enumerate(bodies) for place in places(body) for value in VALUES
    ]
    random.Random(seed).shuffle(changes)
    return changes[:cases]


@pytest.fixture
def ended(stub_trials, tmp_path):
    """The lines of a journal with every kind of line, and its summary; its folder can be copied."""
    stub_trials.run(2)
    path = stub_trials.folder / "t.jsonl"
    entries = journal.read(path)
    journal.append(path, entries, ResumeNote(after=2, count=4, mismatched_settings={"threads": (1, 2)}))
    for seed, state in ((2, "diverged"), (3, "failed")):
        journal.append(path, entries, TrialRecord(model="logit", seed=seed, state=state, reason="bad luck"))
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def commands(mnistctl, own, tmp_path, monkeypatch):
    """A function that runs the commands which read the files of trials, with stub trials in this process."""
    monkeypatch.setitem(run_trials.__kwdefaults__, "run_trial", stubs.run_stub_trial)
    monkeypatch.setattr(executors, "get_backend", lambda *_, **__: stubs.IN_PROCESS)
    monkeypatch.setattr(Chart, "write", lambda *_: None)  # for speed
    shared = ["--out-dir", str(tmp_path / "out")]
    trials = ["trials", "logit", "--name", "t", *shared]

    def run(write):
        """The runs of the commands, each after `write` has changed a copy of the folder."""
        lines = (
            ["show", "--runs", "--json", *shared],
            [*trials, "-n", "4", "--epochs", "1", "--dataset", "own", "--data-dir", str(own)],
            [*trials, "--resume", "--allow-mixed"],
        )
        for line in lines:
            shutil.rmtree(tmp_path / "out")
            shutil.copytree(tmp_path / "before", tmp_path / "out")
            write()
            yield mnistctl(*line)

    return run


def check(runs, seen, case):
    """Each command ends in a right answer, or in an error of one line. Those of `trials` name the file."""
    listed, *trials = runs
    assert listed.returncode == 0, (case, listed.stderr)
    assert len(json.loads(listed.stdout)["runs"]) <= 1, case  # none if the first bytes are of no journal
    for ran in trials:
        seen[ran.returncode] += 1
        # 2: trials of other options, 3: a data set that is missing, 6: trials that diverged
        assert ran.returncode in (0, 2, 3, 5, 6), (case, ran.stderr)
        lines = [line for line in ran.stderr.splitlines() if not line.startswith("mnistctl: warning")]
        assert ran.returncode == 0 or len(lines) == 1, (case, ran.stderr)


def report(kind, seen, capsys):
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{kind}: exit {code}: {count}" for code, count in sorted(seen.items())))


@pytest.mark.parametrize("cases", CASES)
def test_warped_journal_of_trials_ends_in_one_line_or_a_right_answer(
    cases, ended, commands, tmp_path, capsys
):
    path, seen = tmp_path / "out/trials/t.jsonl", Counter()
    for case in warped(ended, cases):
        number, place, value = case
        lines = [*ended]
        lines[number] = with_value(lines[number], place, value)
        check(commands(lambda lines=lines: path.write_bytes(b"".join(map(sign, lines)))), seen, case)
    assert seen[5]
    if cases > 100:
        report("journal", seen, capsys)


@pytest.mark.parametrize("cases", [20, pytest.param(500, marks=pytest.mark.long)])
def test_warped_summary_of_trials_is_refused_or_replaced(cases, ended, commands, tmp_path, capsys):
    path, seen = tmp_path / "out/trials/t.json", Counter()
    body = json.loads((tmp_path / "before/trials/t.json").read_bytes())
    for case in warped([body], cases):
        _, place, value = case
        changed = with_value(body, place, value)
        try:
            TrialsSummary.from_json(changed)
            seen["read"] += 1
        except ValueError:
            seen["refused"] += 1
        check(commands(lambda changed=changed: path.write_bytes(sign(changed))), seen, case)
    if cases > 100:
        report("summary", Counter({str(code): count for code, count in seen.items()}), capsys)


@pytest.mark.parametrize("cases", CASES)
def test_warped_journal_of_version_1_is_refused_or_summarised(cases, tmp_path, capsys):
    lines = [json.loads(line) for line in (RECORDS / "trials-swa-8.jsonl").read_bytes().splitlines()[:3]]
    for line in lines[1:]:
        line["wrong"] = {arm: rows[:2] for arm, rows in line["wrong"].items()}
    path, seen = tmp_path / "old.jsonl", Counter()
    for number, place, value in warped(lines, cases):
        changed = [*lines]
        changed[number] = with_value(lines[number], place, value)
        path.write_bytes(b"".join(map(sign, changed)))
        try:
            print_conclusions(summarize_trials(journal.read(path), "ktorch"))
            seen[0] += 1
        except CheckpointError as error:
            assert str(path) in str(error)
            seen[5] += 1
    assert seen[5]
    if cases > 100:
        report("journal of version 1", seen, capsys)
