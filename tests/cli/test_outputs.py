"""What commands write: nothing of the user's is replaced, and stdout, links and pipes can be outputs."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.models.pretrained import WEIGHTS

RECORDS = Path(__file__).parents[2] / "records"
CONV, CGAN = RECORDS / "conv.safetensors", RECORDS / "cgan.safetensors"
EVAL = ("eval", str(CONV), "--dataset", "own")
SHOW = ("show", "--dataset", "sample", "--index", "0")
GENERATE = ("generate", str(CGAN), "--digits", "12")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def full(tmp_path, own):
    """A folder with a run, its record, its log and its picture, the digits, and a picture of the user's."""
    (tmp_path / "out").mkdir()
    for ending in ("safetensors", "json", "jsonl"):
        (tmp_path / f"out/conv.{ending}").write_bytes((RECORDS / f"conv.{ending}").read_bytes())
    for name in ("out/conv.png", "mine.png", "mine.gif", "mine.csv", "mine.onnx"):
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "data").mkdir()
    for path in own.iterdir():
        (tmp_path / "data" / path.name).write_bytes(path.read_bytes())
    for name in ("net.png", "net.csv", "net.onnx"):
        (tmp_path / name).symlink_to("out/conv.safetensors")
    for name in ("digits.png", "digits.csv"):
        (tmp_path / name).symlink_to("data/train-images-idx3-ubyte")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        *((*EVAL, "--onnx", name) for name in ("out/conv.safetensors", "net.onnx", "mine.onnx", "a.txt")),
        *((*EVAL, "--predictions", name) for name in ("out/conv.json", "net.csv", "digits.csv", "mine.csv")),
        (*EVAL, "--predictions", "out/conv.jsonl"),
        (*EVAL, "--predictions", "a.csv", "--onnx", "mine.onnx"),
        *((*SHOW, "--png", name) for name in ("out/conv.png", "net.png", "digits.png", "mine.png", "s.jpg")),
        *((*GENERATE, "--out", name) for name in ("out/conv.png", "net.png", "mine.png", "mine.gif")),
        (*GENERATE, "--morph", "--out", "mine.gif"),
        (*GENERATE, "--idx", "data"),
        (*GENERATE, "--idx", "-"),
    ],
)
def test_no_output_replaces_another_file_unasked(words, full, mnistctl):
    before = contents(full)
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert contents(full) == before
    if "mine." in words[-1] and "--out mine.gif" not in " ".join(words):
        assert "--overwrite" in ran.stderr


def test_overwrite_replaces_a_named_picture_and_never_a_file_of_a_run(full, mnistctl):
    assert mnistctl(*SHOW, "--png", "mine.png", "--overwrite").stdout == "wrote mine.png\n"
    with Image.open(full / "mine.png") as image:
        assert image.size == (32, 32)
    assert mnistctl(*GENERATE, "--out", "mine.png", "--overwrite").returncode == 0
    assert mnistctl(*EVAL, "--predictions", "mine.csv", "--overwrite").returncode == 0
    before = contents(full)
    for words in ((*SHOW, "--png"), (*GENERATE, "--out")):
        for name in ("out/conv.png", "net.png", "digits.png"):
            ran = mnistctl(*words, name, "--overwrite")
            assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert contents(full) == before


def test_same_command_replaces_its_default_files_and_other_options_give_other_names(full, mnistctl):
    for words, name in (
        (GENERATE, "cgan-generated-12.png"),
        ((*GENERATE, "--seed", "3"), "cgan-generated-12-seed3.png"),
        ((*GENERATE[:2], "--each", "2", "--columns", "5"), "cgan-generated-each2-columns5.png"),
        ((*GENERATE, "--morph", "-n", "1"), "cgan-morph-12-n1.gif"),
        ((*EVAL, "--split", "train"), "conv-eval-own-train.png"),
    ):
        for _ in range(2):
            ran = mnistctl(*words)
            assert ran.returncode == 0, ran.stderr
            assert f"wrote out/{name}" in ran.stdout


def test_default_name_that_is_the_picture_of_a_run_is_refused_before_the_work(full, mnistctl):
    (full / "out/conv-eval-own-test.safetensors").write_bytes(CONV.read_bytes())
    (full / "out/conv-eval-own-test.png").write_bytes(b"of that run")
    ran = mnistctl(*EVAL)
    assert ran.returncode == 2
    assert "belongs to the run conv-eval-own-test; use --out-dir" in ran.stderr
    assert (full / "out/conv-eval-own-test.png").read_bytes() == b"of that run"


@pytest.mark.long
def test_figures_of_twelve_nets_with_long_names_have_a_name_that_fits(full, mnistctl):
    names = [chr(97 + number) * 200 for number in range(12)]
    for name in names:
        weights = models.load_classifier("logit").net().state_dict()
        path = full / f"out/{name}.safetensors"
        checkpoint.save(path, checkpoint.NET, {"model": "logit"}, weights)
    ran = mnistctl("eval", *names, "--dataset", "own", "--json")
    assert ran.returncode == 0, ran.stderr
    paths = json.loads(ran.stdout)["paths"]
    assert paths
    assert all(len(Path(path).name) < 255 and Path(full, path).exists() for path in paths)


def test_dash_writes_the_file_to_stdout_and_the_tables_to_stderr(full, mnistctl, capfdbinary):
    """Past the stdout that the program thinks it has in this process, except for one process of its own."""
    command = [sys.executable, "-m", "mnistctl", *SHOW, "--png", "-"]
    with Image.open(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)) as image:
        assert image.size == (32, 32)
    assert mnistctl(*GENERATE, "--out", "-").stdout == ""
    with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as image:
        assert image.size == (62, 32)
    predicted = mnistctl(*EVAL, "--predictions", "-")
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert len(rows) == 200
    assert (predicted.stdout, "accuracy: " in predicted.stderr) == ("", True)
    both = mnistctl(*EVAL, "--predictions", "-", "--json")
    assert (both.returncode, both.stdout, capfdbinary.readouterr().out) == (2, "", b"")
    assert "stdout is taken by --json" in both.stderr
    assert not (full / "-").exists()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_each_name_of_stdout_leaves_it_to_the_file(name, mnistctl):
    for words in ((*SHOW, "--png"), (*GENERATE, "--out")):
        ran = mnistctl(*words, name)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert "stdout is taken by --json" in mnistctl(*GENERATE, "--json", "--out", name).stderr
    assert "charts are several files" in mnistctl(*EVAL, "--charts", name).stderr


@pytest.mark.parametrize("name", [".", "/", "", "a.txt", "out/"])
@pytest.mark.parametrize("nets", [(str(CONV),), (str(CONV), str(WEIGHTS / "pretrained.safetensors"))])
def test_charts_need_a_name_with_their_ending(nets, name, mnistctl, tmp_path):
    ran = mnistctl("eval", *nets, "--dataset", "sample", "--charts", name)
    message = f"--charts {Path(name)}: a chart needs a name that ends in .png or .svg or .pdf"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"mnistctl: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_picture_may_be_called_only_as_the_charts_of_runs_end(mnistctl, tmp_path):
    ran = mnistctl(*SHOW, "--png", "./-curves.png")
    assert (ran.returncode, ran.stdout) == (0, "wrote -curves.png\n")


def test_device_stays_a_device_and_a_full_one_is_an_error(mnistctl):
    assert mnistctl(*SHOW, "--png", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    ran = mnistctl(*SHOW, "--png", "/dev/full")
    assert ran.returncode == 1
    error = "mnistctl: /dev/full: cannot be written (No space left on device)"
    assert ran.stderr == f"{error}; free space on the disk, or write to another\n"


def test_comparison_of_trials_is_printed_before_a_table_that_cannot_be_written_is_reported(mnistctl):
    records = (str(RECORDS / f"trials-{name}.jsonl") for name in ("swa-8", "linear-5"))
    ran = mnistctl("trials", "--compare", *records, "--csv", "/dev/full")
    assert "accuracies of the " in ran.stdout
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)


def test_full_device_as_the_output_is_an_error_with_what_helps():
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "mnistctl", "train", "--list"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.returncode == 1
    error = b"mnistctl: the output cannot be written: No space left on device"
    assert ran.stderr == error + b"; free space on the disk, or write to another\n"


def test_sample_is_never_an_output(mnistctl):
    path = datasets.find_file(datasets.dataset_folder("sample", None), datasets.DATASETS["sample"].files[0])
    before = path.read_bytes()
    assert mnistctl(*SHOW, "--png", str(path), "--overwrite").returncode == 2
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "environment"),
    [(("--out-dir=~/runs",), {}), ((), {"MNISTCTL_OUT_DIR": "~/runs"})],
    ids=["option", "variable"],
)
def test_home_folder_is_expanded_in_options_and_variables(words, environment, tmp_path, own, mnistctl):
    data = ("--dataset", "own", "--epochs", "1", "-q")
    shutil.copytree(own, tmp_path / "home/digits")
    environment |= {"HOME": str(tmp_path / "home"), "MNISTCTL_DATA_DIR": "~/digits"}
    assert mnistctl("train", "logit", *data, *words, **environment).returncode == 0
    assert (tmp_path / "home/runs/logit-own.json").exists()
    assert not (tmp_path / "~").exists()
    net = "~/runs/logit-own.safetensors"
    evaluation = ("eval", net, "--dataset", "own", "--predictions=~/p.csv", *words)
    assert mnistctl(*evaluation, **environment).returncode == 0
    assert (tmp_path / "home/p.csv").exists()
    assert not (tmp_path / "~").exists()


def test_home_folder_of_nobody_is_an_error(mnistctl, tmp_path):
    ran = mnistctl(*SHOW, "--png=~nobody-here/a.png")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "--png ~nobody-here/a.png: there is no home folder for ~nobody-here" in ran.stderr
    for command in ("import", "eval"):
        ran = mnistctl(command, "~nobody-here/a")
        message = "mnistctl: ~nobody-here/a: there is no home folder for ~nobody-here\n"
        assert (ran.returncode, ran.stderr) == (2, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out-dir=photo.jpg", "--out=photo.jpg/a.png", "--idx=photo.jpg"])
def test_file_in_the_place_of_a_folder_is_named(option, mnistctl, tmp_path):
    (tmp_path / "photo.jpg").touch()
    ran = mnistctl("generate", "pretrained-cgan", option)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path}/photo.jpg is not a folder" in ran.stderr
