"""docs/trials.md: its statistics and figures are those of the records."""

import json
from pathlib import Path

import pytest

from mnistctl.cli.output.trials import print_conclusions
from mnistctl.trials.journal import read
from mnistctl.trials.summary import TrialsSummary, summarize_trials

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/trials.md").read_text()
TEXT = " ".join(PAGE.split())
JOURNALS = sorted((ROOT / "records").glob("trials-*.jsonl"))


def recorded_command(path):
    return TrialsSummary.from_json(json.loads(path.with_suffix(".json").read_text())).command


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_journal_and_summary_are_of_the_same_command(path):
    """tests/trials/test_summary.py compares their numbers."""
    assert recorded_command(path) == read(path).header.command


def test_recorded_command_is_the_one_that_the_results_page_shows():
    command = recorded_command(ROOT / "records/trials-swa-10.json")
    assert command == "mnistctl trials swa -n 10 --epochs 10"
    assert f"`{command}`" in (ROOT / "docs/results.md").read_text()


def test_statistics_of_the_page_are_what_the_command_prints(capsys):
    print_conclusions(summarize_trials(read(ROOT / "records/trials-swa-8.jsonl"), "ktorch"))
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    end = next(index for index, line in enumerate(printed) if "wrong predictions" in line)
    assert "```text\n" + "\n".join(printed[:end]) + "\n```" in PAGE


def test_speed_of_two_workers_is_the_recorded_one():
    trials = json.loads((ROOT / "records/trials-speed.json").read_text())
    conv, swa = (trials["ratios"][f"{name}_training"] for name in ("conv", "swa"))
    assert f"were {conv:.2f} times as fast" in TEXT
    assert f"and {swa:.2f} times for both arms of swa" in TEXT
    assert f"of which {100 * (1 - trials['work']):.0f} % are shared" in TEXT
