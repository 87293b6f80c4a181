"""docs/trials.md: its statistics and figures are those of the records."""

import json
from pathlib import Path

import pytest

from mnistctl.cli.output.conclusions import print_conclusions
from mnistctl.trials.journal import read
from mnistctl.trials.summarize import summarize_trials
from mnistctl.trials.summary import TrialsSummary

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
    print_conclusions(summarize_trials(read(ROOT / "records/trials-swa-40.jsonl"), "ktorch"))
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    end = next(index for index, line in enumerate(printed) if "wrong predictions" in line)
    assert "```text\n" + "\n".join(printed[:end]) + "\n```" in PAGE


def test_sweep_of_the_page_is_the_recorded_one():
    record = json.loads((ROOT / "records/search/sweep-conv-10.json").read_text())
    sweep, arms = record["sweep"], {arm["label"]: arm for arm in record["arms"]}
    labels = {tuple(settings.values()): label for label, settings in sweep["settings"].items()}
    smoothings, decays = sweep["values"].values()
    for smoothing in smoothings:
        row = [arms[labels[smoothing, decay]] for decay in decays]
        cells = " | ".join(f"{arm['mean']:.3f} ({arm['sd']:.3f})" for arm in row)
        assert f"| {smoothing:g} | {cells} |" in PAGE
    winner, compared = sweep["winner"], [row["p_adjusted"] for row in record["comparisons"]]
    assert f"The highest mean, {winner['mean']:.3f}," in TEXT
    assert f"a mean of {winner['test']['mean']:.3f} % of the test images" in TEXT
    assert f"    {record['command']}\n" in PAGE
    assert f"(lowest adjusted p {min(compared):.2f})" in TEXT
    assert min(compared) >= 0.05
    assert (ROOT / "docs/sweep-conv.png").read_bytes() == (
        ROOT / "records/search/sweep-conv-10.png"
    ).read_bytes()


@pytest.mark.parametrize(
    ("name", "setting", "decision"),
    [
        ("settled-dropout-10", "net.dropout=0", "they differ"),
        ("settled-seeds-10", "seed_offset=1000", "they differ by less than the margin"),
    ],
)
def test_settled_comparison_of_the_page_is_the_recorded_one(name, setting, decision):
    record = json.loads((ROOT / f"records/search/{name}.json").read_text())
    result = record["sequential"]
    low, high = result["interval"]
    cells = f"{result['n']} | {result['difference']:+.4f} | {low:+.4f} to {high:+.4f} | {decision}"
    assert f"| `{setting}` | {cells} |" in PAGE
    assert result["decision"] == {"they differ": "differ"}.get(decision, "equivalent")
    assert f"    {record['command']}\n" in PAGE
    # The journal gives the same decision.
    assert summarize_trials(read(ROOT / f"records/search/{name}.jsonl")).sequential.n == result["n"]


def test_speed_of_two_workers_is_the_recorded_one():
    trials = json.loads((ROOT / "records/trials-speed.json").read_text())
    conv, swa = (trials["ratios"][f"{name}_training"] for name in ("conv", "swa"))
    assert f"were {conv:.2f} times as fast" in TEXT
    assert f"For both arms of swa they were {swa:.2f} times as fast" in TEXT
    assert f"of which {100 * (1 - trials['work']):.0f} % are shared" in TEXT


def test_simulations_of_the_page_are_the_recorded_ones():
    record = json.loads((ROOT / "records/sequential.json").read_text())
    null, margin = record["without_difference"], record["difference_of_the_margin"]
    assert max(row["differ"] for row in null) <= 0.06
    assert max(row["equivalent"] for row in margin) <= 0.06
    for name, title in (("Gaussian", "normal"), ("resampled from our trials, five kinds", "trials-")):
        errors = [100 * row["differ"] for row in null if row["source"].startswith(title)]
        wrong = [100 * row["equivalent"] for row in margin if row["source"].startswith(title)]
        first = f"{errors[0]:.2f}" if len(errors) == 1 else f"{min(errors):.2f} to {max(errors):.2f}"
        assert f"| {name} | {first} | {min(wrong):.2f} to {max(wrong):.2f} |" in PAGE
    for row in record["with_difference"]:
        pairs = f"{row['mean_pairs']} | {row['pairs_of_80_percent']} | {row['fixed_n_pairs']}"
        assert f"| {row['true_difference']:g} | {pairs} |" in PAGE
    half, one, two = (row["mean_pairs"] for row in record["equal_arms"])
    assert f"{half} pairs on average" in TEXT
    assert f"a margin of 0.5, {one} for 1, and {two} for 2." in TEXT
    assert f"in {100 * record['repeated_t_test']['differ']:.0f} % of the comparisons of equal arms" in TEXT
    savvi = record["savvi"]
    assert f"compares {savvi['looks']:,} e-values with those of the package savvi {savvi['version']}" in TEXT
    assert f"differ by at most {savvi['largest_difference']:.1e}" in TEXT
    assert f"`{record['command']} --out records/sequential.json`" in TEXT
