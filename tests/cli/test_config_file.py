"""--config: what is wrong in a file ends with one line that names it; the command line has precedence."""

import json
from pathlib import Path

import pytest

from mnistctl.cli.config_file import OPTION_FIELDS, read_config
from mnistctl.models.sources import find

SMALL = ("--epochs", "1", "--batch-size", "100")


WRONG_FILES = {
    "hidden": "not a TOML file (Expected '='",
    "lr = 1\nlr = 2": "not a TOML file (Cannot overwrite a value",
    "a = " + "[" * 5000 + "]" * 5000: "not a TOML file (maximum recursion depth",
    "a." * 3000 + "b = 1": "not a TOML file (maximum recursion depth",
    "x = 1": "there is no setting or option 'x'",
    "hidden = 1": "there is no setting or option 'hidden'; did you mean net.hidden?",
    "net = 3": "there is no setting or option 'net'",
    '[net]\nhidden = "8"': "net.hidden=8: give a whole number, 1 to 10,000",
    "[net]\nhidden = true": "net.hidden=true: give a whole number, 1 to 10,000",
    "[net]\nhidden = 1979-05-27": "net.hidden=1979-05-27: give a whole number, 1 to 10,000",
    "[augment]\nshift = 29": "augment.shift=29: give a number, 0 to 28",
    "[augment]\nshfit = 1": "augment.shfit=1: there is no such setting; did you mean augment.shift?",
    "[optimizer]\nmomentum = nan": "optimizer.momentum=nan: give a number, 0 or more, below 1",
    '[optimizer]\nname = "adamw"\nmomentum = 0.1': "see `mnistctl show --model MODEL`",
    'epochs = "3"': "epochs=3: give a whole number, 1 to 1,000,000",
    "seed = 1.5": "seed: give a whole number",
    "threads = true": "threads: give a whole number",
    'out_dir = "~nobody-here/a"': "c.toml: out_dir: there is no home folder for ~nobody-here",
    "out_dir = 3": "out_dir: give text in quotes",
    'dataset = "mnits"': "c.toml: dataset=mnits: no data set has this name; did you mean mnist?",
    'precision = "fp8"': "c.toml: precision=fp8: choose one of float32, bf16",
    'schedule = ["cosine"]': "choose one of constant, cosine, cycle",
    '[schedule]\nname = "cycle"\nfractions = []': "give numbers with commas, each 0 or more",
    'name = "../x"': "c.toml: name='../x': give a plain file name",
    "seed = -1": "c.toml: seed=-1: give 0 or more",
    "threads = 0": "c.toml: threads=0: this machine has",
    "holdout = -1": "c.toml: holdout=-1: give 0 or more",
    'device = "gpu"': "c.toml: device=gpu: choose one of auto, cpu",
    'dataset = "sample"\nbatch_size = 70000': "c.toml: batch_size=70000: sample has",
    'executor = "os:system"': "there is no setting or option 'executor'",
    'recipe = "evil.py"': "there is no setting or option 'recipe'",
    'model = "evil.py"': "there is no setting or option 'model'",
    'init = "out/x"': "there is no setting or option 'init'",
    'entry_point = "os:system"': "there is no setting or option 'entry_point'",
}


@pytest.mark.parametrize("text", WRONG_FILES)
def test_wrong_configuration_is_one_line_that_names_the_file(text, run, tmp_path, mnistctl, own):
    (tmp_path / "c.toml").write_text(text)
    ran = mnistctl("train", "linear", "--config", "c.toml", "--data-dir", str(own))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert WRONG_FILES[text] in ran.stderr
    assert "c.toml" in ran.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "--config c.toml: cannot be read (No such file or directory)"),
        (b"a = '\xe9'", "--config c.toml: not a text file in UTF-8"),
        (b"#" * (2 << 20) + b"\nx = 1", "--config c.toml: larger than 1 MiB, so not a configuration file"),
    ],
)
def test_configuration_that_cannot_be_read_is_one_line(content, expected, run, tmp_path):
    if content is not None:
        (tmp_path / "c.toml").write_bytes(content)
    ran = run("train", "linear", "--config", "c.toml")
    assert (ran.returncode, ran.stderr) == (2, f"mnistctl: {expected}\n")


@pytest.mark.parametrize("model", ["logit", "linear", "conv", "swa", "lstm", "fast"])
def test_printed_configuration_changes_nothing(model, run, mnistctl, tmp_path):
    printed = mnistctl("show", "--model", model, "--toml")
    assert (printed.returncode, printed.stderr) == (0, "")
    (tmp_path / "c.toml").write_text("\ufeff" + printed.stdout, encoding="utf-8")  # as some editors write it
    assert run("train", model, *SMALL, "--name", "plain").returncode == 0
    ran = run("train", model, *SMALL, "--config", "c.toml", "--json")
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)
    assert (body["model"], body.get("origin")) == (model, None)
    assert body["digest"] == json.loads((tmp_path / "out/plain.json").read_text())["digest"]


def test_home_folder_is_expanded_in_a_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    (tmp_path / "c.toml").write_text('out_dir = "~/runs"\ndata_dir = "~/digits"\n')
    _, options = read_config(tmp_path / "c.toml", find("logit"), OPTION_FIELDS)
    assert options == {"out_dir": Path("/home/someone/runs"), "data_dir": Path("/home/someone/digits")}


def test_option_of_a_configuration_that_trials_do_not_have_is_refused(mnistctl, tmp_path):
    (tmp_path / "c.toml").write_text("threads = 2\n")
    ran = mnistctl("trials", "logit", "-n", "2", "--dataset", "sample", "--config", "c.toml")
    assert (ran.returncode, ran.stderr) == (2, "mnistctl: c.toml: this command has no option threads\n")


def test_typed_value_is_not_reported_as_that_of_the_configuration(mnistctl, tmp_path):
    (tmp_path / "c.toml").write_text("seed = -1\n")
    ran = mnistctl("train", "logit", "--dataset", "sample", "--config", "c.toml", "--seed", "-2")
    assert (ran.returncode, ran.stderr) == (2, "mnistctl: --seed -2: give 0 or more\n")


def test_command_line_wins_over_the_configuration(run, tmp_path):
    (tmp_path / "c.toml").write_text('seed = 4\nlr = 0.2\nname = "a"\n[optimizer]\nmomentum = 0.5\n')
    words = ("--config", "c.toml", "--seed", "5", "--set", "lr=0.3", "--set", "net.hidden=9", "--json")
    body = json.loads(run("train", "linear", *SMALL, *words).stdout)
    assert (body["seed"], body["recipe"]["settings"]["lr"]) == (5, 0.3)
    assert body["origin"]["settings"] == {"optimizer.momentum": 0.5, "net.hidden": 9}
    assert "--set optimizer.momentum=0.5" in body["command"]
    assert "--set net.hidden=9" in body["command"]
    assert body["model"] == "linear-net.hidden=9-optimizer.momentum=0.5"
