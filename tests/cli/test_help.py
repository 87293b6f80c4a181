"""Help, suggestions for misspelt words, shell completion, the list of models, details for a bug report."""

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
from mnistctl.cli.help import DESCRIPTIONS
from mnistctl.models.published import load_published

COMMANDS = get_command(app).commands
# The words of the titles of panels.
PANELS = {
    word
    for command in COMMANDS.values()
    for parameter in command.params
    for word in (getattr(parameter, "rich_help_panel", None) or "").split()
}
PAGES = [(), *((name,) for name in COMMANDS)]


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: " ".join(page) or "mnistctl")
def test_help_fits_the_terminal_and_shows_every_option_and_example(page, columns, mnistctl):
    ran = mnistctl(*page, "--help", COLUMNS=str(columns))
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "\u2026" not in ran.stdout  # Rich's mark for text that it cut
    if page:
        shown = set(re.findall(r"--[\w-]+", ran.stdout))
        assert {flag for p in COMMANDS[page[0]].params for flag in p.opts if flag.startswith("--")} <= shown
        for example, text in EXAMPLES[page[0]].items():
            assert [line.split() for line in lines].count([*example.split(), *text.split()]) == 1


def test_help_shows_plain_types_and_defaults(mnistctl):
    for page in PAGES:
        shown = mnistctl(*page, "--help", COLUMNS="100").stdout
        assert not re.search(r"<bool>|list\[|default: \(|\\\\", shown)
        assert "--seed" not in shown or "[default: " in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: " ".join(page) or "mnistctl")
def test_help_of_a_narrow_terminal_has_every_word_of_the_wide_one(page, mnistctl):
    narrow, wide = (mnistctl(*page, "--help", COLUMNS=str(columns)).stdout for columns in (40, 200))
    examples = [line for line in narrow.splitlines() if line.startswith("mnistctl ")]
    for line in narrow.splitlines():
        assert len(line) <= 40 or line in examples or len(line.split()) == 1

    def words(text):
        return set(re.findall(r"[\w./<>|-]+", text))

    assert words(wide) - words(narrow) <= {"Arguments", "Options", "Commands", "required", *PANELS}
    assert "\u2026" not in narrow


@pytest.mark.parametrize("columns", ["40", pytest.param("100", marks=pytest.mark.long)])
def test_help_does_not_need_docstrings(columns, tmp_path):
    """`python -OO` removes them."""
    for page in ("train", "eval"):
        command = [sys.executable, "-OO", "-m", "mnistctl", page, "--help"]
        environment = os.environ | {"COLUMNS": columns}
        ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        for word in DESCRIPTIONS[page].split():
            assert word in ran.stdout


@pytest.mark.parametrize("line", [line for examples in EXAMPLES.values() for line in examples])
def test_every_example_in_the_help_is_a_valid_command(line):
    program, command, *args = shlex.split(line)
    assert program == "mnistctl"
    assert {*args} & {*models.CLASSIFIERS, *models.GENERATORS, "--list"} or command in (
        "download",
        "import",
        "show",
    )
    COMMANDS[command].make_context(command, args)  # Typer raises if the command line is invalid


def test_every_command_has_a_description_and_examples():
    assert EXAMPLES.keys() == COMMANDS.keys() == DESCRIPTIONS.keys()


def test_without_arguments_the_help_is_printed_and_no_error(mnistctl):
    ran = mnistctl()
    assert (ran.returncode, ran.stderr) == (2, "")
    assert "Usage: mnistctl" in ran.stdout


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("trian conv", 2, "did you mean train or trials?"),
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
        ("train", 2, "choose one of logit, linear, conv"),
        ("train", 2, "see `mnistctl train --list`"),
        ("show --csv", 2, "--runs"),
    ],
)
def test_misspelt_word_gives_a_one_line_error_with_a_suggestion(command, code, expected, mnistctl, tmp_path):
    (tmp_path / "out/stopped.unfinished").mkdir(parents=True)
    (tmp_path / "out/first.safetensors").touch()
    ran = mnistctl(*command.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (code, "", 1)
    assert expected in ran.stderr
    assert "Value error" not in ran.stderr


def completions(mnistctl, line, shell="bash"):
    """Completions at the end of `line`: a list of words for bash, the raw output for zsh and fish."""
    words = line.split(" ")
    request = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": line}
    request |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_MNISTCTL_COMPLETE": f"complete_{shell}"}
    ran = mnistctl(**request)
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
        ("mnistctl eval ", ["conv", "two.dots", "pretrained", "pretrained-cgan"]),
        ("mnistctl eval conv --judge t", ["two.dots"]),
        ("mnistctl generate c", ["conv"]),
        ("mnistctl eval --out-dir other e", ["elsewhere"]),
        ("mnistctl train conv --resume --name ", ["long"]),
        ("mnistctl trials swa --resume --name ", ["ten"]),
        ("mnistctl trials --compare t", ["ten"]),
        ("mnistctl trials --join ten ", ["ten"]),
        ("mnistctl eval records/", []),  # the shell then offers files
    ],
)
def test_completion_offers_commands_models_options_and_runs(line, expected, mnistctl, tmp_path):
    for path in ("out/conv", "out/two.dots", "other/elsewhere"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / f"{path}.safetensors").touch()
    (tmp_path / "out/long.unfinished").mkdir()
    (tmp_path / "out/trials").mkdir()
    (tmp_path / "out/trials/ten.jsonl").touch()
    assert sorted(completions(mnistctl, line)) == sorted(expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_zsh_and_fish_shows_descriptions(shell, mnistctl):
    output = completions(mnistctl, "mnistctl train ls", shell)
    assert "lstm" in output
    assert models.CLASSIFIERS["lstm"] in output
    assert "conv" not in output


def test_completion_uses_the_results_folder_of_the_environment(mnistctl, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/net.safetensors").touch()
    request = {"COMP_WORDS": "mnistctl eval n", "COMP_CWORD": "2", "_MNISTCTL_COMPLETE": "complete_bash"}
    assert mnistctl(**request, MNISTCTL_OUT_DIR="there").stdout.split() == ["net"]


def test_bash_completion_script_works_without_loading_torch(tmp_path):
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


def test_list_has_every_model_with_its_recipe_and_published_mean(mnistctl):
    listed = json.loads(mnistctl("train", "--list", "--json").stdout)
    assert listed["version"] == 2
    assert [row["model"] for row in listed["models"]] == [*models.CLASSIFIERS, *models.GENERATORS]
    rows = {row["model"]: row for row in listed["models"]}
    for name, row in rows.items():
        recipe = models.load(name)
        assert (row["epochs"], row["batch_size"], row["peak_lr"]) == (
            recipe.epochs,
            recipe.batch_size,
            recipe.peak_lr,
        )
    assert rows["lstm"]["parameters"] == [214_282]
    assert rows["cgan"]["parameters"] == [878_564, 700_964]
    assert rows["conv"]["optimizer"] == "LAMB"
    assert rows["gan"]["published"] is None
    accuracies = load_published("ktorch").accuracies("simple")
    assert rows["simple"]["published"]["runs"] == len(accuracies)
    assert rows["simple"]["published"]["source"] == "ktorch"
    assert rows["lstm"]["description"] == models.CLASSIFIERS["lstm"]
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


def test_show_machine_reports_versions_devices_and_data_sets(mnistctl, own, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for path in own.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    (data / "t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "out/half.unfinished").mkdir(parents=True)
    (tmp_path / "out/net.safetensors").touch()
    ran = mnistctl("show", "--machine", "--json", MNISTCTL_THREADS="2")
    assert (ran.returncode, ran.stderr) == (0, "")
    shown = json.loads(ran.stdout)
    assert shown["version"] == 2
    assert shown["versions"]["mnistctl"] == __version__
    assert shown["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    required = {Requirement(line).name for line in metadata.requires("mnistctl") if "extra ==" not in line}
    assert required <= shown["versions"].keys()
    assert shown["devices"][0]["device"] == "cpu"
    assert shown["environment"]["MNISTCTL_THREADS"] == "2"
    states = {name: row["state"] for name, row in shown["data"]["datasets"].items()}
    assert states == {"mnist": "other", "fashion": "missing", "sample": "verified", "own": "missing"}
    assert shown["data"]["datasets"]["own"]["files"]["t10k-labels-idx1-ubyte"] == "missing"
    assert shown["data"]["datasets"]["own"]["files"]["train-labels-idx1-ubyte"] == "present"
    assert (shown["out"]["models"], shown["out"]["unfinished_runs"]) == (["net"], ["half"])
    text = mnistctl("show", "--machine").stdout
    assert f"mnistctl {__version__}" in text
    assert "own: missing in data: t10k-labels-idx1-ubyte\n" in text
    assert "  trained models: net\n" in text


def test_folder_that_does_not_exist_is_writable_if_it_can_be_created(mnistctl, tmp_path):
    (tmp_path / "file").touch()
    for folder, writable in (("new/deeper", True), ("file", False), ("file/below", False)):
        out = json.loads(mnistctl("show", "--machine", "--json", "--out-dir", folder).stdout)["out"]
        assert (out["exists"], out["writable"]) == (False, writable)
    assert "new, does not exist yet, writable" in mnistctl("show", "--machine", "--out-dir", "new").stdout


def test_show_machine_reports_why_bf16_is_unavailable(mnistctl, monkeypatch):
    from mnistctl.errors import UsageError
    from mnistctl.training import environment

    def refuse(name, device):
        raise UsageError("only emulated here")

    monkeypatch.setattr(environment, "autocast_for", refuse)
    assert "device: cpu; bf16: only emulated here\n" in mnistctl("show", "--machine").stdout


@pytest.mark.parametrize(
    ("command", "old", "field", "value"),
    [
        ("train", "--rate", "lr", 0.1),
        ("train", "--batch", "batch_size", 50),
        ("trials", "--batch", "batch_size", 50),
        ("trials", "--against", "reference", "ktorch"),
        ("eval", "--threshold", "min_confidence", 0.5),
    ],
)
@pytest.mark.parametrize("separator", ["=", " "])
def test_old_option_names_are_accepted_and_hidden_from_the_help(
    command, old, field, value, separator, mnistctl
):
    args = ["conv", *f"{old}{separator}{value}".split()]
    assert COMMANDS[command].make_context(command, args).params[field] == value
    assert not re.search(rf"{old}\b(?!-)", mnistctl(command, "--help", COLUMNS="100").stdout)


def test_old_option_names_are_unknown_to_other_commands(mnistctl):
    ran = mnistctl("show", "--rate", "1")
    assert ran.returncode == 2
    assert "no option is called --rate" in ran.stderr
