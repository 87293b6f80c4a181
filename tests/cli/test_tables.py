"""Tables of `trials` and `eval`, and the comparison of recorded trials on the command line."""

import csv
import json
from pathlib import Path

import pytest
from stubs import IN_THREAD

from mnistctl.models.pretrained import WEIGHTS

RECORDS = Path(__file__).parents[2] / "records"
TWO = tuple(str(RECORDS / f"trials-{name}.jsonl") for name in ("linear-5", "logit-20"))
TRIALS = ("trials", "logit", "-n", "2", "--epochs", "1", "--batch-size", "100", "--dataset", "sample")


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def test_comparison_names_the_records_the_test_and_the_reason(mnistctl, tmp_path):
    ran = mnistctl("trials", "--compare", *TWO, "--csv", "t.csv", "--latex", "t.tex")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "accuracies of the test digits of mnist, %"
    assert lines[1].startswith("trials-linear-5: mnistctl trials linear -n 5")
    assert any(line.startswith("trials-logit-20 20 92.1170") for line in lines)
    reason = lines.index(next(line for line in lines if line.startswith("(paired: 5 shared seeds")))
    assert lines[reason - 1].startswith("trials-logit-20 minus trials-linear-5: -6.3640 points")
    assert lines[reason + 1].startswith("trials-logit-20 is 6.3640 points below trials-linear-5")
    assert lines[-2:] == ["wrote t.csv", "wrote t.tex"]
    body = json.loads(mnistctl("trials", "--compare", *TWO, "--json").stdout)
    assert (body["version"], body["paths"], body["comparisons"][0]["method"]) == (1, [], "paired")
    arms = [row["arm"] for row in rows((tmp_path / "t.csv").read_text())]
    assert arms == ["trials-linear-5", "trials-logit-20"]
    assert mnistctl("trials", "--compare", *TWO, "--quiet").stdout == "98.5180\n92.1170\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((TWO[0],), 2, "name two or more recorded trials to compare"),
        ((TWO[0], TWO[0]), 2, "a file of trials is named twice"),
        ((*TWO, "-n", "3"), 2, "-n cannot be combined with --compare"),
        ((*TWO, "--set", "lr=1"), 2, "--set cannot be combined with --compare"),
        ((*TWO, "--resume"), 2, "--resume cannot be combined with --compare"),
        ((*TWO, "--until", "settled"), 2, "--until cannot be combined with --compare"),
        ((*TWO, "--csv", "a.md"), 2, "--csv a.md: a table needs a name that ends in .csv"),
        ((*TWO, "--csv", "-", "--json"), 2, "--csv -: stdout is taken by --json"),
        ((*TWO, "--csv", "-", "--latex", "-"), 2, "is the same file as -"),
        ((TWO[0], "nothing"), 5, "no recorded trials 'nothing' in out/trials"),
        ((TWO[0], str(RECORDS / "conv.json")), 5, "conv.json: not a file of trials"),
        ((TWO[0], "none.jsonl"), 5, "no recorded trials 'none.jsonl' in out/trials"),
    ],
)
def test_wrong_comparison_is_one_sentence(words, code, message, mnistctl):
    ran = mnistctl("trials", "--compare", *words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (code, "", 1)
    assert message in ran.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (TWO, 2, "--join: the joined trials need a name; use --name"),
        ((*TWO, "--name", "a/b"), 2, "--name 'a/b': give a plain file name"),
        ((TWO[0], "--name", "all"), 2, "name two or more recorded trials to join"),
        ((*TWO, "--name", "all", "--epochs", "3"), 2, "--epochs cannot be combined with --join"),
        ((*TWO, "--name", "all", "--compare"), 2, "cannot be combined with --compare"),
        ((*TWO, "--name", "all"), 5, "trials of an earlier version cannot be joined"),
        (("one", "two", "--name", "all"), 5, "no recorded trials 'one' in out/trials"),
    ],
)
def test_wrong_joining_is_one_sentence_and_leaves_no_file(words, code, message, mnistctl, tmp_path):
    ran = mnistctl("trials", "--join", *words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (code, "", 1)
    assert message in ran.stderr
    assert not list(tmp_path.glob("out/trials/*.json*"))


def test_trials_that_ran_apart_are_joined_and_compared(mnistctl):
    for seed in ("0", "2"):
        assert mnistctl(*TRIALS, *IN_THREAD, "--seed", seed, "--name", f"part{seed}").returncode == 0
    ran = mnistctl("trials", "--join", "part2", "part0", "--name", "all")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[:7] == [
        "trials: logit; seeds 0 to 3",
        "data: sample",
        "scored after every epoch: the 1,000 test images",
        "device: cpu, threads: 1 each",
        "joined from",
        "  out/trials/part0.jsonl, seeds 0 to 1",
        "  out/trials/part2.jsonl, seeds 2 to 3",
    ]
    assert "logit 4 " in ran.stdout
    assert ran.stdout.endswith("wrote out/trials/all.json\n")
    body = json.loads(mnistctl("trials", "--compare", "all", "part0", "--json").stdout)
    (row,) = body["comparisons"]
    assert (row["method"], row["n"], row["difference"]) == ("paired", [2, 2], 0)
    assert body["records"][0]["command"] == "mnistctl trials --join part2 part0 --name all"


def test_trials_write_their_tables_and_never_advise_to_train_again(mnistctl, tmp_path, capfd):
    ran = mnistctl(*TRIALS, *IN_THREAD, "--csv", "-", "--markdown", "t.md")
    assert ran.returncode == 0
    (row,) = rows(capfd.readouterr().out)  # past the stdout that the program thinks it has
    assert (row["arm"], row["n"]) == ("logit", "2")
    assert ran.stderr.endswith("wrote t.md\n")
    assert (tmp_path / "t.md").read_text().startswith("| arm | recipe | n | mean |")
    again = mnistctl(*TRIALS, "--markdown", "t.md")
    message = "mnistctl: --markdown t.md: exists already; name another file\n"
    assert (again.returncode, again.stderr) == (2, message)
    assert mnistctl(*TRIALS, *IN_THREAD, "--csv", "t.csv", "--quiet").returncode == 0
    assert rows((tmp_path / "t.csv").read_text()) == [row]
    other = mnistctl("trials", "--compare", "logit-sample", TWO[1])
    assert other.returncode == 5
    message = (
        "accuracies of different digits cannot be compared (out/trials/logit-sample.jsonl: test digits of"
    )
    assert message in other.stderr


def test_nets_are_compared_in_a_table(mnistctl, own, tmp_path, capfd):
    data = ("--dataset", "own", "--data-dir", str(own))
    words = ("train", "logit", "--name", "a", "--epochs", "1", "--batch-size", "100")
    assert mnistctl(*words, *data).returncode == 0
    nets = ("eval", str(WEIGHTS / "pretrained.safetensors"), "a", *data, "--no-charts")
    body = json.loads(mnistctl(*nets, "--json", "--latex", "t.tex").stdout)
    assert body["paths"] == ["t.tex"]
    ran = mnistctl(*nets, "--csv", "-")
    table = rows(capfd.readouterr().out)
    assert [row["name"] for row in table] == ["pretrained", "a", "ensemble"]
    net = body["nets"][1]
    assert float(table[1]["accuracy"]) == net["accuracy"]
    assert [float(table[1]["low"]), float(table[1]["high"])] == net["accuracy_interval"]
    assert float(table[1]["p_adjusted"]) == body["pairs"][0]["p_adjusted"]
    assert "errors common to all" in ran.stderr
    assert (tmp_path / "t.tex").read_text().count("\\\\") == 4
    single = mnistctl("eval", "a", *data, "--csv", "a.csv")
    message = "mnistctl: --csv is only for several classifiers, not for a single classifier\n"
    assert (single.returncode, single.stderr) == (2, message)
