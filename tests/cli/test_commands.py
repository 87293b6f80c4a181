"""The commands from outside: what they print, the files they write, and their exit codes."""

import csv
import json
import shlex
import subprocess
import sys

import pytest
from PIL import Image

from mnistctl import models

TRAIN = ("train", "logit", "--dataset", "sample", "--epochs", "2")


@pytest.fixture
def trained(mnistctl):
    ran = mnistctl(*TRAIN)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_train_prints_header_epochs_accuracy_mismatches_and_paths(trained, tmp_path):
    lines = trained.stdout.splitlines()
    assert lines[0] == "model: logit, 7,850 parameters"
    assert "epochs: 2, batch size: 100, iterations per epoch: 40" in lines
    assert sum(line.lstrip().startswith(("1  0.0400", "2  0.0400")) for line in lines) == 2
    assert any(line.startswith("accuracy: ") for line in lines)
    assert any(line.startswith("mismatches (digit| wrong predictions") for line in lines)
    assert "\x1b" not in trained.stdout + trained.stderr
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        f"logit-sample{end}" for end in (".json", ".jsonl", ".png", ".safetensors", "-curves.png")
    }


def test_record_and_log_hold_the_results_of_the_run(trained, tmp_path):
    record = json.loads((tmp_path / "out/logit-sample.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "out/logit-sample.jsonl").read_text().splitlines()]
    assert [sorted(line) for line in lines] == [
        sorted(("epoch", "lr", "loss", "test_loss", "accuracy", "seconds"))
    ] * 2
    assert record["losses"] == [line["loss"] for line in lines]
    assert record["accuracy"] == lines[-1]["accuracy"] == 100 - len(record["mismatches"]) / 10
    assert record["dataset"]["name"] == "sample"
    assert len(record["dataset"]["sha256"]) == 4
    with Image.open(tmp_path / "out/logit-sample.png") as image:
        assert image.mode == "RGB"


def test_same_run_again_is_already_finished_and_a_different_one_is_refused(trained, mnistctl, tmp_path):
    before = (tmp_path / "out/logit-sample.json").read_bytes()
    again = mnistctl(*TRAIN)
    assert again.returncode == 0
    assert again.stdout.splitlines()[0] == "already finished; --overwrite trains again"
    other = mnistctl(*TRAIN, "--seed", "1")
    assert other.returncode == 2
    for word in ("2 epochs", "seed 0, now 1", "--overwrite", "--name", "--out-dir"):
        assert word in other.stderr
    other = mnistctl(*TRAIN, "--lr", "0.1", "--batch-size", "50")
    assert "; batch size 100, now 50, lr 0.04, now 0.1)" in other.stderr
    assert "lr schedule" not in other.stderr
    assert (tmp_path / "out/logit-sample.json").read_bytes() == before
    assert mnistctl(*TRAIN, "--seed", "1", "--overwrite").returncode == 0
    assert (tmp_path / "out/logit-sample.json").read_bytes() != before


def test_same_seed_gives_the_same_digest(mnistctl):
    digests = [json.loads(mnistctl(*TRAIN, "--json", "--name", name).stdout)["digest"] for name in ("a", "b")]
    assert digests[0] == digests[1]


def test_record_has_the_command_that_repeats_the_run(mnistctl, tmp_path):
    first = json.loads(mnistctl(*TRAIN, "--seed", "7", "--name", "two words", "--json").stdout)
    assert first["command"] == "mnistctl train logit --epochs 2 --seed 7 --dataset sample --name 'two words'"
    again = json.loads(mnistctl(*shlex.split(first["command"])[1:], "--overwrite", "--json").stdout)
    assert (again["digest"], again["already"]) == (first["digest"], False)
    assert again["paths"][-1] == "out/two words.json"


def test_quiet_prints_only_the_accuracy(mnistctl, tmp_path):
    ran = mnistctl(*TRAIN, "--quiet")
    assert ran.stderr == ""
    assert float(ran.stdout) == json.loads((tmp_path / "out/logit-sample.json").read_text())["accuracy"]


def test_eval_agrees_with_train(trained, mnistctl, tmp_path):
    ran = mnistctl("eval", "logit-sample", "--dataset", "sample", "--json", "--predictions", "p.csv")
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    record = json.loads((tmp_path / "out/logit-sample.json").read_text())
    assert result["accuracy"] == record["accuracy"]
    assert result["digest"] == record["digest"]
    assert sum(map(sum, result["confusion"])) == 1000
    assert all(row["support"] == 100 for row in result["per_digit"])
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = [int(row["index"]) for row in rows if row["label"] != row["predicted"]]
    assert wrong == [m["index"] for m in record["mismatches"]]
    assert max(range(10), key=lambda d: float(rows[0][f"logit{d}"])) == int(rows[0]["predicted"])
    text = mnistctl("eval", "logit-sample", "--dataset", "sample").stdout
    assert "confusion matrix" in text
    assert f"accuracy: {record['accuracy']:.2f} %" in text


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04" + bytes(100), (2**63).to_bytes(8, "little") + b"{}", b"\x80\x04cos\nsystem\n"],
)
def test_file_that_is_no_checkpoint_is_refused_with_exit_code_5(content, mnistctl, tmp_path):
    (tmp_path / "foreign.safetensors").write_bytes(content)
    ran = mnistctl("eval", "foreign.safetensors", "--dataset", "sample")
    assert ran.returncode == 5
    assert ran.stderr.count("\n") == 1
    assert "not a checkpoint" in ran.stderr


def test_flipped_bit_in_a_checkpoint_is_noticed(trained, mnistctl, tmp_path):
    path = tmp_path / "out/logit-sample.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    ran = mnistctl("eval", "logit-sample", "--dataset", "sample")
    assert (ran.returncode, "checksum" in ran.stderr) == (5, True)


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("train", "cnov"), 2, "did you mean conv"),
        ((*TRAIN, "--epochs", "0"), 2, "--epochs"),
        ((*TRAIN, "--batch-size", "70000"), 2, "--batch-size"),
        ((*TRAIN, "--lr", "-1"), 2, "--lr"),
        ((*TRAIN, "--lr", "nan"), 2, "--lr"),
        ((*TRAIN, "--threads", "1000"), 2, "--threads"),
        ((*TRAIN, "--device", "cuda:99"), 2, "--device"),
        ((*TRAIN, "--device", "tpu"), 2, "--device"),
        ((*TRAIN, "--name", "../x"), 2, "--name"),
        ((*TRAIN, "--resume", "--overwrite"), 2, "--overwrite"),
        ((*TRAIN, "--allow-inexact"), 2, "--resume"),
        ((*TRAIN, "--resume"), 5, "`mnistctl train logit --epochs 2 --dataset sample` starts one"),
        ((*TRAIN, "--dataset", "letters"), 2, "letters"),
        (("train", "logit"), 3, "--dataset sample"),
        (("show", "--dataset", "sample", "--index", "4000"), 2, "--index"),
        (("show", "--dataset", "sample", "--digit", "10"), 2, "--digit"),
        (("show", "--dataset", "sample", "-n", "0"), 2, "-n"),
        (("eval", "conv"), 5, "mnistctl train"),
        (("paint",), 2, "paint"),
    ],
)
def test_error_is_one_line_and_an_exit_code(words, code, part, mnistctl, tmp_path):
    ran = mnistctl(*words)
    assert ran.returncode == code, ran.stderr
    assert part in ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert not list(tmp_path.glob("out/*"))


def test_diverged_run_ends_with_exit_code_4_and_keeps_its_checkpoint(mnistctl, tmp_path):
    ran = mnistctl(*TRAIN, "--lr", "1e30", "--quiet")
    assert (ran.returncode, ran.stdout) == (4, "")
    for word in (
        "epoch 1",
        "use --overwrite with a lower --lr",
        "--lr",
        "checkpoint after epoch 0 is kept",
        "--overwrite",
    ):
        assert word in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["logit-sample.unfinished"]
    assert mnistctl(*TRAIN, "--overwrite").returncode == 0


@pytest.mark.parametrize("name", [(), ("--name", "two words")])
def test_unfinished_run_is_refused_with_the_command_that_resumes_it(name, mnistctl):
    assert mnistctl(*TRAIN, *name, "--lr", "1e30").returncode == 4
    ran = mnistctl(*TRAIN, *name)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    where = "--name 'two words'" if name else "--dataset sample"
    assert (
        f"unfinished run (after epoch 0 of 2); `mnistctl train logit {where} --resume` continues it"
        in ran.stderr
    )
    assert "use --overwrite or --name" in ran.stderr


def test_out_dir_that_is_a_file_is_an_error_before_training(mnistctl, tmp_path):
    (tmp_path / "out").write_text("a file")
    ran = mnistctl(*TRAIN)
    assert ran.returncode == 1
    assert ran.stdout == ""  # reported before training, not after it
    assert ran.stderr.count("\n") == 1
    assert "--out-dir" in ran.stderr
    assert (tmp_path / "out").read_text() == "a file"


def test_show_prints_a_label_and_28_rows_of_stars(mnistctl):
    ran = mnistctl("show", "--dataset", "sample", "--split", "test", "--index", "3")
    lines = ran.stdout.splitlines()
    assert lines[0] == "3"
    assert len(lines) == 29
    assert set("".join(lines[1:])) == {" ", "*"}


def test_show_draws_the_same_images_for_the_same_seed(mnistctl):
    words = ("show", "--dataset", "sample", "--digit", "7", "-n", "3", "--seed", "5")
    first = mnistctl(*words).stdout
    assert first == mnistctl(*words).stdout
    assert [line for line in first.splitlines() if line.isdigit()] == ["7"] * 3
    assert mnistctl(*words, "--png", "grid.png").returncode == 0


def test_check_lists_missing_files_and_ends_with_exit_code_3(mnistctl):
    ran = mnistctl("download", "--check")
    assert ran.returncode == 3
    assert ran.stdout.count("missing") == 4
    assert ran.stderr.count("\n") == 1
    assert mnistctl("download", "--check", "--dataset", "sample").returncode == 0


@pytest.mark.parametrize("name", [*models.CLASSIFIERS, *models.GENERATORS])
def test_show_prints_the_layers_and_the_recipe_of_each_model(name, mnistctl):
    lines = mnistctl("show", "--model", name).stdout.splitlines()
    assert lines[0] == f"{name}: {(models.CLASSIFIERS | models.GENERATORS)[name]}"
    recipe, begin = models.load(name), 2
    for net in ("generator", "discriminator") if name in models.GENERATORS else ("net",):
        end = next(n for n in range(begin, len(lines)) if lines[n].split()[0] in ("all", net))
        *counts, total = (int(line.split()[-1].replace(",", "")) for line in lines[begin : end + 1])
        assert sum(counts) == total == sum(p.numel() for p in getattr(recipe, net)().parameters())
        begin = end + 2
    assert lines[end + 1].startswith(f"epochs: {recipe.epochs}, batch size: {recipe.batch_size}, ")
    assert lines[end + 2].startswith("optimizer: ")


def test_show_tells_of_a_learning_rate_that_changes_in_every_step(mnistctl):
    shown = mnistctl("show", "--model", "fast").stdout
    rate = "OneCycle(warmup=0.2, start=0.04), in every step; tables show 0.00691342 in every epoch"
    assert f"learning rate: {rate}" in shown.splitlines()
    assert "every step" not in mnistctl("show", "--model", "conv").stdout


def test_run_with_weight_averaging_reports_both_scores_and_saves_the_average(mnistctl, own, tmp_path):
    data = ("--dataset", "own", "--data-dir", str(own))
    words = ("train", "swa", *data, "--epochs", "3", "--batch-size", "200")
    ran = mnistctl(*words)
    assert ran.returncode == 0, ran.stderr
    record = json.loads((tmp_path / "out/swa-own.json").read_text())
    (average,) = record["swa"]
    assert (average["first"], average["last"], average["recomputed"]) == (3, 3, False)
    assert record["accuracy"] == average["accuracy"]
    assert f"last epoch's weights: test loss {record['test_losses'][-1]:.4f}" in ran.stdout
    assert f"average of epochs 3-3: test loss {average['test_loss']:.4f}" in ran.stdout
    last = json.loads((tmp_path / "out/swa-own.jsonl").read_text().splitlines()[-1])
    assert last == {"event": "swa"} | average
    result = mnistctl("eval", "swa-own", *data, "--quiet")
    assert float(result.stdout) == pytest.approx(record["accuracy"], abs=0.005)


def test_precision_is_recorded_and_an_unknown_one_refused(mnistctl, trained, tmp_path):
    assert json.loads((tmp_path / "out/logit-sample.json").read_text())["precision"] == "float32"
    assert mnistctl(*TRAIN, "--precision", "float16").returncode == 2


def test_no_run_loads_the_compiler_and_torch_is_left_unchanged(own, tmp_path):
    """Loading the compiler takes a second. A resumed run also restores an optimizer."""
    code = """
import sys
from pathlib import Path
from torch.optim import Optimizer
from mnistctl.training import options, run
for again in (False, True):
    data = Path(sys.argv[1])
    choices = options.RunOptions(dataset="own", data_dir=data, epochs=2, batch_size=100)
    events = run.train("linear", choices, resume=again)
    for event in events:
        if not again and type(event).__name__ == "Epoch":
            events.close()
            break
assert type(event).__name__ == "Finished", event
assert "torch._dynamo" not in sys.modules
assert "__dynamo_disable" not in vars(Optimizer.state_dict.__wrapped__)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(own)], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
