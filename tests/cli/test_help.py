"""The first hour: help that fits its terminal, words that were meant, and what the shell offers."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from typer.main import get_command

from mnistctl import __version__, models
from mnistctl.cli import EXAMPLES, app
from mnistctl.models import summary
from mnistctl.models.published import load_published
from mnistctl.models.summary import list_models

COMMANDS = get_command(app).commands
PAGES = [(), *((name,) for name in COMMANDS)]


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: " ".join(page) or "mnistctl")
def test_help_fits_its_columns_with_every_option_whole_and_every_example_in_a_line(page, columns, mnistctl):
    ran = mnistctl(*page, "--help", COLUMNS=str(columns))
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "\u2026" not in ran.stdout  # with which rich cuts short
    if page:
        shown = set(re.findall(r"--[\w-]+", ran.stdout))
        assert {flag for p in COMMANDS[page[0]].params for flag in p.opts if flag.startswith("--")} <= shown
        for words, what in EXAMPLES[page[0]].items():
            assert [line.split() for line in lines].count([*words.split(), *what.split()]) == 1


def test_help_says_of_no_flag_that_it_takes_a_value(mnistctl):
    for name in COMMANDS:
        for line in mnistctl(name, "--help", COLUMNS="100").stdout.splitlines():
            assert "<bool>" not in line or "--help" in line


@pytest.mark.parametrize("line", [words for told in EXAMPLES.values() for words in told])
def test_every_example_of_the_help_is_a_command_with_its_options(line):
    program, command, *words = shlex.split(line)
    assert program == "mnistctl"
    assert {*words} & {*models.CLASSIFIERS, *models.GENERATORS, "--list"} or command in ("download", "show")
    COMMANDS[command].make_context(command, words)  # raises what Typer finds wrong


def test_every_command_has_examples():
    assert EXAMPLES.keys() == COMMANDS.keys()


def test_without_a_word_the_help_is_shown_and_nothing_complained_of(mnistctl):
    ran = mnistctl()
    assert (ran.returncode, ran.stderr) == (2, "")
    assert "Usage: mnistctl" in ran.stdout


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        ("trian conv", 2, "Did you mean 'train'"),
        ("train cnov", 2, "did you mean conv?"),
        ("trials swaa", 2, "did you mean swa?"),
        ("show --model lsmt", 2, "did you mean lstm?"),
        ("train conv --epoch 3", 2, "did you mean --epochs?"),
        ("train conv --datset sample", 2, "did you mean --dataset?"),
        ("train conv --dataset smaple", 2, "did you mean sample?"),
        ("train conv --precision bf61", 2, "did you mean bf16?"),
        ("show --style block", 2, "did you mean blocks?"),
        ("trials swa --require sme", 2, "did you mean same?"),
        ("eval frist", 5, "did you mean first?"),
        ("eval out/frist.safetensors", 5, "did you mean out/first.safetensors?"),
        ("generate frist", 5, "did you mean first?"),
        ("train logit --resume --name stopedd", 5, "did you mean stopped?"),
        ("train", 2, "there are logit, linear, conv"),
        ("train conv --epochs many", 2, "(mnistctl train --help)"),
        ("show --json", 2, "--machine"),
    ],
)
def test_a_word_that_is_mistyped_is_told_in_one_line_with_the_word_that_was_meant(
    words, code, meant, mnistctl, tmp_path
):
    (tmp_path / "out/stopped.unfinished").mkdir(parents=True)
    (tmp_path / "out/first.safetensors").touch()
    ran = mnistctl(*words.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (code, "", 1)
    assert meant in ran.stderr
    assert "Value error" not in ran.stderr


def offered(mnistctl, line, shell="bash"):
    """What is offered where `line` ends: of bash the words, of zsh and fish whatever they are told."""
    words = line.split(" ")
    told = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": line}
    told |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_MNISTCTL_COMPLETE": f"complete_{shell}"}
    ran = mnistctl(**told)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split() if shell == "bash" else ran.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mnistctl tr", ["train", "trials"]),
        ("mnistctl train l", ["logit", "linear", "lstm"]),
        ("mnistctl train ", [*models.CLASSIFIERS, *models.GENERATORS]),
        ("mnistctl trials conv ", [*models.CLASSIFIERS]),
        ("mnistctl show --model c", ["conv", "cgan"]),
        ("mnistctl train conv --dataset ", ["mnist", "fashion", "sample", "own"]),
        ("mnistctl train conv --over", ["--overwrite"]),
        ("mnistctl eval ", ["conv", "two.dots"]),
        ("mnistctl eval conv --judge t", ["two.dots"]),
        ("mnistctl generate c", ["conv"]),
        ("mnistctl eval --out-dir other ", ["elsewhere"]),
        ("mnistctl train conv --resume --name ", ["long"]),
        ("mnistctl trials swa --resume --name ", ["ten"]),
        ("mnistctl eval records/", []),  # for which the shell then offers files
    ],
)
def test_the_shell_is_offered_commands_models_nets_and_runs(line, expected, mnistctl, tmp_path):
    for path in ("out/conv", "out/two.dots", "other/elsewhere"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / f"{path}.safetensors").touch()
    (tmp_path / "out/long.unfinished").mkdir()
    (tmp_path / "out/trials").mkdir()
    (tmp_path / "out/trials/ten.jsonl").touch()
    assert sorted(offered(mnistctl, line)) == sorted(expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_sentences_too(shell, mnistctl):
    told = offered(mnistctl, "mnistctl train ls", shell)
    assert "lstm" in told
    assert models.CLASSIFIERS["lstm"] in told
    assert "conv" not in told


def test_a_results_folder_of_the_environment_is_heeded(mnistctl, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/net.safetensors").touch()
    told = {"COMP_WORDS": "mnistctl eval ", "COMP_CWORD": "2", "_MNISTCTL_COMPLETE": "complete_bash"}
    assert mnistctl(**told, MNISTCTL_OUT_DIR="there").stdout.split() == ["net"]


def test_bash_completes_by_the_script_that_show_completion_prints_without_loading_torch(tmp_path):
    program = tmp_path / "mnistctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -X importtime -m mnistctl "$@"\n')
    program.chmod(0o755)
    script = 'eval "$(mnistctl --show-completion bash 2>/dev/null)"; COMP_WORDS=(mnistctl train cg); '
    script += 'COMP_CWORD=2; _mnistctl_completion mnistctl; echo "${COMPREPLY[@]}"'
    clean = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    ran = subprocess.run(["bash", "--norc", "-c", script], env=clean, capture_output=True, text=True)
    assert ran.stdout == "cgan\n"
    loaded = {line.split("|")[-1].strip() for line in ran.stderr.splitlines()}
    assert "mnistctl.cli.completion" in loaded
    assert not {"torch", "numpy"} & loaded


def test_the_list_has_every_model_with_its_recipe_and_the_published_mean(mnistctl):
    told = json.loads(mnistctl("train", "--list", "--json").stdout)
    assert told["version"] == 1
    assert [row["model"] for row in told["models"]] == [*models.CLASSIFIERS, *models.GENERATORS]
    rows = {row["model"]: row for row in told["models"]}
    for name, row in rows.items():
        recipe = models.load(name)
        assert (row["epochs"], row["batch"], row["rate"]) == (
            recipe.epochs,
            recipe.batch_size,
            recipe.peak_lr,
        )
    assert rows["lstm"]["parameters"] == [214_282]
    assert rows["cgan"]["parameters"] == [878_564, 700_964]
    assert rows["conv"]["optimizer"] == "LAMB"
    assert rows["gan"]["published"] is None
    theirs = load_published("ktorch")["models"]["simple"]["accuracies"]
    assert rows["simple"]["published"]["runs"] == len(theirs)
    lines = mnistctl("train", "--list").stdout.splitlines()
    assert max(map(len, lines[: 1 + len(rows)])) <= 80
    (simple,) = (line for line in lines if line.startswith("simple "))
    assert simple.split()[1:] == [
        "1,022,656",
        "50",
        "100",
        "AdamW",
        "0.01",
        "99.691",
        "%,",
        "mean",
        "of",
        "8",
    ]
    assert f"lstm: {models.CLASSIFIERS['lstm']}" in lines


def test_a_model_of_which_nothing_is_published_is_listed_without(monkeypatch):
    monkeypatch.setattr(summary, "load_published", lambda _: {"models": {}})
    assert {row["published"] for row in list_models()} == {None}


def test_show_machine_tells_versions_devices_and_how_the_digits_stand(mnistctl, own, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for path in own.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    (data / "t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "out/half.unfinished").mkdir(parents=True)
    (tmp_path / "out/net.safetensors").touch()
    ran = mnistctl("show", "--machine", "--json", MNISTCTL_THREADS="2")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["version"] == 1
    assert told["versions"]["mnistctl"] == __version__
    assert told["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    needed = {Requirement(line).name for line in metadata.requires("mnistctl") if "extra ==" not in line}
    assert needed <= told["versions"].keys()
    assert told["devices"][0]["device"] == "cpu"
    assert told["environment"]["MNISTCTL_THREADS"] == "2"
    states = {name: row["state"] for name, row in told["data"]["sets"].items()}
    assert states == {"mnist": "damaged", "fashion": "missing", "sample": "sound", "own": "missing"}
    assert told["data"]["sets"]["own"]["files"]["t10k-labels-idx1-ubyte"] == "missing"
    assert told["data"]["sets"]["own"]["files"]["train-labels-idx1-ubyte"] == "present"
    assert (told["out"]["nets"], told["out"]["unfinished_runs"]) == (["net"], ["half"])
    text = mnistctl("show", "--machine").stdout
    assert f"mnistctl {__version__}" in text
    assert "own: missing in data: t10k-labels-idx1-ubyte\n" in text
    assert "  nets: net\n" in text


def test_show_machine_says_what_bf16_would_do(mnistctl, monkeypatch):
    from mnistctl.errors import UsageError
    from mnistctl.training import environment

    def refuse(name, device):
        raise UsageError("only emulated here")

    monkeypatch.setattr(environment, "autocast_for", refuse)
    assert "device: cpu; bf16: only emulated here\n" in mnistctl("show", "--machine").stdout
