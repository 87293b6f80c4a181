"""Comparisons of recorded trials: which test is used, and what is refused."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mnistctl.artifacts import files
from mnistctl.artifacts.tables import to_csv
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.evaluation import statistics
from mnistctl.trials.recorded import compare_recorded, find_recorded, read_recorded, read_summary
from mnistctl.trials.tables import comparison_table, trials_table

RECORDS = Path(__file__).parents[2] / "records"
SWA8, SWA10 = RECORDS / "trials-swa-8.jsonl", RECORDS / "trials-swa-10.jsonl"
LOGIT, LINEAR = RECORDS / "trials-logit-20.jsonl", RECORDS / "trials-linear-5.jsonl"


def changed(record, **changes):
    return replace(record, summary=replace(record.summary, **changes))


def compare_with(**changes):
    """The comparison of linear with logit, of whose record something is changed."""
    linear, logit = read_recorded([LINEAR, LOGIT])
    (row,) = compare_recorded([linear, changed(logit, **changes)]).comparisons
    return row


def test_shared_seeds_of_two_records_are_paired():
    linear, logit = read_recorded([LINEAR, LOGIT])
    found = compare_recorded([linear, logit])
    (row,) = found.comparisons
    assert (row.first, row.second) == ("trials-linear-5", "trials-logit-20")
    assert (row.method, row.n) == ("paired", (5, 5))
    expected = statistics.paired(linear.summary.arms[0].accuracies, logit.summary.arms[0].accuracies[:5])
    assert (row.difference, row.p, row.p_adjusted) == (expected.difference, expected.p, expected.p)
    assert row.reason.startswith(
        "paired: 5 shared seeds, the same digits and the same settings; the other 15"
    )
    assert found.scored == "test digits of mnist"
    assert [record.command for record in found.records] == [linear.summary.command, logit.summary.command]


def test_all_arms_of_different_records_are_compared_and_adjusted():
    found = compare_recorded(read_recorded([SWA8, SWA10, LINEAR]))
    assert [arm.label for arm in found.arms][1:4] == [
        "trials-swa-8 averaged",
        "trials-swa-10 baseline",
        "trials-swa-10 averaged",
    ]
    assert len(found.comparisons) == 2 * 2 + 2 + 2
    p = [row.p for row in found.comparisons]
    assert [row.p_adjusted for row in found.comparisons] == statistics.holm(p)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"precision": "bf16"}, "precision float32 and bf16, so that a seed does not mean the same random"),
        ({"device": "cuda"}, "device cpu and cuda"),
        ({"versions": {"torch": "2.6.0"}}, "torch 2.13.0+cpu and 2.6.0"),
        ({"mismatched_settings": ("recipes.logit.epochs",)}, "trials of one record differ in recipes.logit"),
    ],
)
def test_records_with_other_random_numbers_are_independent_samples(changes, reason):
    row = compare_with(**changes)
    assert (row.method, row.n, row.permutation_p) == ("welch", (5, 20), None)
    assert row.reason.startswith(f"independent samples: {reason}")


def test_records_without_shared_seeds_are_independent_samples():
    _, logit = read_recorded([LINEAR, LOGIT])
    (arm,) = logit.summary.arms
    for shift, reason in ((100, "they share no seed"), (4, "they share only one seed")):
        moved = replace(arm, seeds=tuple(seed + shift for seed in arm.seeds))
        row = compare_with(arms=(moved,))
        assert (row.method, row.reason) == ("welch", f"independent samples: {reason}")


def test_other_training_digits_are_no_pairs_and_other_scored_digits_are_refused():
    _, logit = read_recorded([LINEAR, LOGIT])
    dataset = logit.summary.dataset
    other = {name: "0" * 64 for name in dataset.sha256 if name.startswith("train")}
    row = compare_with(dataset=replace(dataset, sha256=dataset.sha256 | other))
    assert row.reason == "independent samples: they were trained on different digits"
    other = {name: "0" * 64 for name in dataset.sha256 if name.startswith("t10k")}
    with pytest.raises(CheckpointError, match="accuracies of different digits cannot be compared") as error:
        compare_with(dataset=replace(dataset, name="own", sha256=dataset.sha256 | other))
    assert "trials-logit-20.jsonl: test digits of own" in error.value.message


def test_journal_and_summary_give_the_same_comparison():
    linear = LINEAR.with_suffix(".json")
    journals, summaries = (compare_recorded(read_recorded([SWA8, path])) for path in (LINEAR, linear))
    assert [row.p for row in journals.comparisons] == pytest.approx([row.p for row in summaries.comparisons])


def test_records_are_found_by_name_or_path_and_named_apart(tmp_path):
    folder = tmp_path / "out/trials"
    folder.mkdir(parents=True)
    shutil.copy(LOGIT, folder / "mine.jsonl")
    shutil.copy(LINEAR.with_suffix(".json"), folder / "only.json")
    assert find_recorded("mine", tmp_path / "out") == folder / "mine.jsonl"
    assert find_recorded("only", tmp_path / "out") == folder / "only.json"
    assert find_recorded("trials/mine", tmp_path / "out") == folder / "mine.jsonl"  # as in `show --runs`
    assert find_recorded(str(LOGIT), tmp_path) == LOGIT
    with pytest.raises(
        CheckpointError, match=r"no recorded trials 'mime' .*\(available: mine\); did you mean"
    ):
        find_recorded("mime", tmp_path / "out")
    with pytest.raises(CheckpointError, match="no such file of trials"):
        find_recorded(str(tmp_path / "none.jsonl"), tmp_path)
    shutil.copy(LINEAR, folder / "trials-logit-20.jsonl")
    names = [each.name for each in read_recorded([LOGIT, folder / "trials-logit-20.jsonl"])]
    assert names == [str(LOGIT), str(folder / "trials-logit-20.jsonl")]


def test_journal_and_summary_of_the_same_trials_are_refused(tmp_path):
    copied = shutil.copy(LOGIT, tmp_path / f"copy{LOGIT.suffix}")
    other = LOGIT.with_suffix(".json" if LOGIT.suffix == ".jsonl" else ".jsonl")
    for again in (other, copied):
        with pytest.raises(UsageError, match="have the same trials; name different ones"):
            read_recorded([LOGIT, LINEAR, again])


def test_one_record_and_a_record_twice_are_refused():
    with pytest.raises(UsageError, match="two or more"):
        compare_recorded(read_recorded([LOGIT]))
    with pytest.raises(UsageError, match="named twice"):
        read_recorded([LOGIT, LOGIT])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-20], "damaged"),
        (lambda content: content.replace(b"99.", b"98.", 1), "the contents do not match the checksum"),
        (lambda content: b"{}", "not a file of trials"),
    ],
)
def test_damaged_record_is_named(change, message, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(change(SWA8.with_suffix(".json").read_bytes()))
    with pytest.raises(CheckpointError, match=message):
        read_summary(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seeds", [0, 1], "2 different seeds, 5 accuracies"),
        ("seeds", [0, 1, 2, 3, 3], "4 different seeds"),
        ("accuracies", [], "0 accuracies"),
        ("accuracies", [99.0, 99.0, 99.0, 99.0, 1e308], "<= 100"),
        ("n", 4, "n: 4 trials"),
    ],
)
def test_summary_whose_seeds_and_accuracies_do_not_belong_together_is_refused(name, value, message, tmp_path):
    body = read_summary(LINEAR).to_json()
    body["arms"][0][name] = value
    body["checksum"] = files.CHECKSUM_PLACEHOLDER
    path = tmp_path / "a.json"
    path.write_bytes(files.add_checksum(json.dumps(body, indent=1).encode()))
    with pytest.raises(CheckpointError, match=message):
        read_summary(path)


def test_record_of_a_later_version_is_refused(tmp_path):
    body = json.loads(LINEAR.with_suffix(".json").read_text())
    body |= {"version": 9, "checksum": files.CHECKSUM_PLACEHOLDER}
    body = {"version": 9, "models": body.pop("models")} | body
    path = tmp_path / "a.json"
    path.write_bytes(files.add_checksum(json.dumps(body, indent=1).encode()))
    with pytest.raises(CheckpointError, match="version 9"):
        read_summary(path)


def test_tables_have_an_arm_per_row_and_its_difference_from_the_first():
    records = read_recorded([LINEAR, LOGIT])
    comparison = compare_recorded(records)
    linear, logit = csv.DictReader(to_csv(comparison_table(comparison)).splitlines())
    assert (linear["arm"], linear["difference"], linear["test"]) == ("trials-linear-5", "", "")
    (row,) = comparison.comparisons
    assert float(logit["difference"]) == row.difference
    assert (float(logit["difference_low"]), float(logit["difference_high"])) == row.interval
    assert (logit["test"], float(logit["p"]), logit["n"]) == ("paired", row.p, "20")
    assert not {"lr", "epochs"} & set(linear)  # no setting is varied
    baseline, averaged = csv.DictReader(to_csv(trials_table(read_summary(SWA8))).splitlines())
    assert (baseline["recipe"], averaged["recipe"]) == ("conv", "swa")
    assert float(averaged["mean"]) == pytest.approx(99.58625)
    assert float(averaged["difference"]) == pytest.approx(-0.00125)


def test_record_with_too_many_brackets_is_damaged_and_no_failure_of_the_program(tmp_path):
    end = f'{"[" * 100_000}{"]" * 100_000}, "checksum": "{files.CHECKSUM_PLACEHOLDER}"}}\n'
    texts = {
        "t.json": f'{{\n "version": 2,\n "models": {end}',
        "t.jsonl": f'{{"version": 2, "command": "", "started": {end}',
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.write_bytes(files.add_checksum(text.encode()))
        with pytest.raises(CheckpointError, match="nested too deeply"):
            read_summary(path)
