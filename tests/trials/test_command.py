"""The command `trials`: what it prints, and how it words errors."""

import json

import pytest
import stubs

from mnistctl.trials import executors
from mnistctl.trials.run import run_trials


@pytest.fixture
def stub_command(mnistctl, own, tmp_path, monkeypatch):
    """Run `trials logit` with stub trials in this process."""
    monkeypatch.setitem(run_trials.__kwdefaults__, "run_trial", stubs.run_stub_trial)
    monkeypatch.setattr(executors, "get_backend", lambda *_, **__: stubs.IN_PROCESS)
    words = [
        "trials",
        "logit",
        "--dataset",
        "own",
        "--data-dir",
        str(own),
        "--out-dir",
        str(tmp_path / "out"),
    ]

    def command(*more):
        return mnistctl(*words, "--name", "t", *more)

    return command


def test_command_prints_rows_table_statistics_and_paths(stub_command):
    lines = stub_command("-n", "4", "--epochs", "1", "--reference", "ktorch").stdout.splitlines()
    assert lines[:4] == [
        "trials: logit; seeds 0 to 3",
        "data: own",
        "scored after every epoch: the 200 test images",
        "device: cpu, workers: 1, threads: 1 each",
    ]
    assert "logit         1      0.1  90.37 %" in lines
    table = lines.index("accuracy| logit")
    assert lines[table + 1 : table + 6] == [
        *("--------| -----", "90.00   | 1", "90.11   | 1", "90.37   | 1", "90.74   | 1")
    ]
    assert any(line.startswith("logit 4 90.3050") for line in lines)
    assert any("minus ktorch's logit: -2.0750 points" in line for line in lines)
    assert any("these trials have --epochs 1, --dataset own" in line for line in lines)
    assert "  test image 0, a 3: wrong in 1 of 4, predicted 5 (1)" in lines
    endings = [line.rpartition(".")[2] for line in lines if line.startswith("wrote ")]
    assert endings == ["jsonl", "png", "json"]
    body = json.loads(stub_command("-n", "4", "--epochs", "1", "--json").stdout)
    assert (body["version"], body["already"], body["arms"][0]["n"]) == (2, True, 4)
    assert body["command"] == "mnistctl trials logit -n 4 --epochs 1 --dataset own --name t"
    assert [path.rpartition("/")[2] for path in body["paths"]] == ["t.jsonl", "t.png", "t.json"]
    assert stub_command("-n", "4", "--epochs", "1", "--quiet").stdout == "90.3050\n"


def test_rows_of_long_names_are_below_their_headers(stub_command):
    lines = stub_command("-n", "2", "--epochs", "1", "--set", "label_smoothing=0.1").stdout.splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("model "))
    assert lines[head + 1].startswith("logit-label_smoothing=0.1      0 ")
    assert lines[head].index("seconds") + len("seconds") == lines[head + 1].index(" 0.1  ") + len(" 0.1")


@pytest.mark.parametrize("option", [(), ("--json",), ("--quiet",)])
def test_results_are_printed_before_the_exit_code_is_7(option, stub_command, tmp_path):
    stub_command("-n", "4", "--epochs", "1")
    ran = stub_command("-n", "4", "--epochs", "1", "--reference", "ktorch", "--require", "same", *option)
    assert ran.returncode == 7
    assert ran.stderr.startswith("mnistctl: --require same: logit is not shown to be as good: -2.0750 points")
    if not option:
        assert "95 % interval" in ran.stdout
        assert f"see {tmp_path}/out/trials/t.json" in ran.stdout
    elif option == ("--json",):
        assert json.loads(ran.stdout)["failed_requirements"]
    else:
        assert float(ran.stdout) > 0


def test_errors_have_the_commands_that_help(stub_command, own, tmp_path):
    again = f"mnistctl trials logit -n 4 --out-dir {tmp_path}/out --data-dir {own} --name t --resume"
    ran = stub_command("-n", "4", "--resume")
    assert ran.returncode == 5
    folders = f"--out-dir {tmp_path}/out --data-dir {own}"
    start = f"mnistctl trials logit -n N {folders} --dataset own --name t"
    assert ran.stderr.endswith(f"no trials to resume; `{start}` starts one\n")
    (own / "raise-1").touch()
    ran = stub_command("-n", "4")
    assert ran.returncode == 6
    assert ran.stderr == f"mnistctl: 1 of 4 trials gave no result; `{again}` runs the failed ones again\n"
    ran = stub_command("-n", "6")
    assert ran.returncode == 2
    assert f"`{again.replace('-n 4', '-n 6')}` continues it; use --overwrite" in ran.stderr
    ran = stub_command("-n", "4", "--epochs", "2", "--resume")
    assert ran.returncode == 5
    assert "now 2" in ran.stderr
    assert ran.stderr.endswith("use --allow-mixed or --overwrite\n")


def test_fewer_trials_of_an_unfinished_journal_are_resumed_with_its_own_number(stub_command, own, tmp_path):
    stub_command("-n", "3")
    path = tmp_path / "out/trials/t.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    ran = stub_command("-n", "2", "--reference", "ktorch", "--require", "better", "--csv", "t.csv")
    location = f"--out-dir {tmp_path}/out --data-dir {own} --name t"
    again = f"mnistctl trials logit {location} --reference ktorch --require better --csv t.csv --resume"
    assert ran.returncode == 2
    assert f"unfinished trials (2 of 3); `{again}` continues it; use --overwrite\n" in ran.stderr


def test_resume_without_options_keeps_the_command(stub_command, own):
    (own / "raise-1").touch()
    assert stub_command("-n", "2", "--epochs", "3").returncode == 6
    (own / "raise-1").unlink()
    body = json.loads(stub_command("--resume", "--json").stdout)
    assert body["command"] == "mnistctl trials logit -n 2 --epochs 3 --dataset own --name t"


def test_comparison_that_is_settled_is_printed_with_its_error_rate(stub_command, own):
    (own / "gap").write_text("3")
    words = ("linear", "-n", "9", "--until", "settled", "--margin", "1.5", "--epochs", "1")
    lines = stub_command(*words).stdout.splitlines()
    assert lines[1] == "until settled: margin 1.5 points, checked after every pair, at most 9 pairs"
    assert [line.partition(":")[0] for line in lines if line.startswith("pair")] == [
        f"pair {seed + 1} (seed {seed})" for seed in range(5)
    ]
    result = lines.index(next(line for line in lines if line.startswith("linear minus logit")))
    assert "points after 5 pairs of at most 9, 95 % confidence sequence +" in lines[result]
    assert lines[result + 1].startswith("linear is 2.9")
    assert lines[result + 2].startswith("The probability of a wrong decision is at most 5 %, although")
    body = json.loads(stub_command(*words, "--json").stdout)
    command = (
        "mnistctl trials logit linear -n 9 --until settled --margin 1.5 --epochs 1 --dataset own --name t"
    )
    assert (body["command"], body["sequential"]["decision"]) == (command, "differ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cnov", "-n", "2"), "did you mean conv"),
        (("logit",), "missing number of trials of each model; use -n"),
        (("logit", "-n", "0"), "-n 0: give 1 to 1,000,000"),
        (("logit", "-n", "2", "--epochs", "0"), "--epochs 0"),
        (("logit", "-n", "2", "--seed", "-1"), "--seed -1"),
        (("logit", "logit", "-n", "2"), "named twice"),
        (("logit", "-n", "2", "--workers", "0"), "--workers 0"),
        (("logit", "-n", "2", "--name", "a/b"), "--name"),
        (("logit", "-n", "2", "--require", "same"), "--reference"),
        (("logit", "-n", "2", "--reference", "keras"), "ktorch"),
        (("logit", "-n", "2", "--allow-mixed"), "--resume"),
        (("logit", "-n", "2", "--resume", "--overwrite"), "--overwrite"),
        (("logit", "-n", "2", "--device", "tpu"), "--device"),
        (
            ("logit", "-n", "2", "--batch-size", "5000"),
            "--batch-size 5000: sample has 4,000 training images; give 4,000 or less",
        ),
        (("logit", "-n", "2", "--scheduler", "tcp://127.0.0.1:1"), "--scheduler tcp://127.0.0.1:1: only"),
        (("logit", "-n", "2", "--executor", "nowhere:at_all"), "nowhere"),
        (("logit", "-n", "2", "--executor", "elsewhere"), "module:factory"),
        (("swa", "-n", "9", "--until", "settled"), "--until settled: say which difference, in points, is"),
        (("swa", "-n", "9", "--margin", "0.05"), "--margin 0.05: applies only to trials that end when"),
        (("swa", "-n", "9", "--until", "settled", "--margin", "0"), "--margin 0: give a number of points"),
        (
            ("swa", "-n", "9", "--until", "settled", "--margin", "nan"),
            "--margin nan: give a number of points",
        ),
        (("swa", "-n", "4", "--until", "settled", "--margin", "1"), "-n 4: 5 pairs are the fewest"),
        (("swa", "--until", "settled", "--margin", "1"), "missing number of trials of each model; use -n"),
        (
            ("swa", "conv", "-n", "9", "--until", "settled", "--margin", "1"),
            "--until settled: compares two arms, and these trials have 3",
        ),
        (
            ("swa", "-n", "9", "--until", "settled", "--margin", "1", "--reference", "ktorch"),
            "--reference ktorch: its test needs a fixed number of trials",
        ),
        (("logit", "-n", "2", "--executor", "dask", "--scheduler", "tcp://10.0.0.1:8786"), "use --insecure"),
    ],
)
def test_wrong_option_is_a_usage_error_and_leaves_no_files(words, message, mnistctl, tmp_path):
    ran = mnistctl("trials", *words, "--dataset", "sample")
    assert ran.returncode == 2
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out/trials/*"))
