"""What the README and the contract say is so."""

import json
import re
import shlex
import signal
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from mnistctl import cli, datasets, errors, ledger, models, report, tally

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs/contract.md").read_text()
COMMANDS = get_command(cli.app).commands


def options(command):
    return {flag: p for p in COMMANDS[command].params for flag in p.opts if flag.startswith("-")}


SHOWN = sorted({line.split("#")[0].strip() for line in re.findall(r"\bmnistctl [a-z][^\n`&|(]*", README)})


@pytest.mark.parametrize("line", SHOWN)
def test_every_command_that_the_readme_shows_is_a_command_with_its_options(line):
    _, command, *words = shlex.split(line)
    assert command in COMMANDS
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options(command).keys()
    if command == "train":
        assert words[0] in models.CLASSIFIERS | models.GENERATORS


def test_the_figures_are_the_records():
    rows = re.findall(r"^\| (\w+) \| ([\d,]+) \| .*? \| ([\d.]+) % \| (\d+) \| `(.*?)` \|$", README, re.M)
    unrun = re.findall(r"^\| (\w+) \| ([\d,]+) \| .*? \| not run yet \| \| \|$", README, re.M)
    assert sorted([row[0] for row in rows] + [row[0] for row in unrun]) == sorted(models.CLASSIFIERS)
    assert not [model for model, _ in unrun if (ROOT / f"records/{model}.json").exists()]
    for model, parameters, accuracy, seconds, path in rows:
        record = json.loads((ROOT / path).read_text())
        assert record["model"] == model
        assert record["command"] == f"mnistctl train {model}"
        assert record["dataset"]["name"] == "mnist"
        assert f"{record['parameters']:,}" == parameters
        assert f"{record['accuracy']:.2f}" == accuracy
        assert f"{record['seconds']:.0f}" == seconds


def test_the_speed_is_the_record():
    record = json.loads((ROOT / "records/speed.json").read_text())
    for name, row in record["recipes"].items():
        us, times = row["microseconds_per_image"], row["times_as_long_as_ours"]
        cells = [f"{us[way]:.1f}" for way in ("ours", "plain", "loader", "pictures")]
        cells += [f"{times[way]:.2f}" for way in ("plain", "loader", "pictures")]
        cells += [f"{row['plain_over_bf16']:.2f}", f"{row['share_of_mm']:.2f}"]
        assert f"| {name} | {' | '.join(cells)} |" in README.splitlines()
    for name, row in record["one_epoch"].items():
        cells = [row["dataset"], f"{row['seconds']:.1f}", f"{row['training_seconds']:.1f}"]
        assert f"| {name} | {' | '.join(cells)} | {row['peak_megabytes']} |" in README.splitlines()


def test_the_first_epochs_of_simpnet_are_the_records():
    for model in ("simple", "wsimple"):
        for precision in ("float32", "bf16"):
            record = json.loads((ROOT / f"records/{model}-one-{precision}.json").read_text())
            assert (record["model"], record["precision"]) == (model, precision)
            assert (record["recipe"]["epochs"], record["dataset"]["name"]) == (1, "mnist")
            cells = [f"{record['losses'][0]:.4f}", f"{record['test_losses'][0]:.4f}"]
            cells += [f"{record['accuracies'][0]:.2f} %"]
            averages = record.get("averages", [])
            cells += [f"{averages[-1]['accuracy']:.2f} %" if averages else ""]
            row = f"| {model} | {precision} | {' | '.join(cells)} | {record['seconds']:.0f} |"
            assert row in README.splitlines()


def test_the_figures_in_sentences_are_the_records():
    text = " ".join(README.split())
    here, there = (
        json.loads((ROOT / f"records/{name}.json").read_text())["recipes"]["conv"]["microseconds_per_image"]
        for name in ("speed", "speed-xeon")
    )
    assert f"took {here['bf16']:.0f} us instead of {here['ours']:.0f} on" in text
    assert f"but {there['bf16']:.0f} instead of {there['ours']:.0f} on" in text
    slow = json.loads((ROOT / "records/speed-slow.json").read_text())["recipes"]["linear"]
    ours, plain = (slow["microseconds_per_image"][way] for way in ("ours", "plain"))
    assert f"{ours:.1f} us an image beside {plain:.1f}" in text
    sample = json.loads((ROOT / "records/wsimple-sample.json").read_text())
    stale, fresh = (average["accuracy"] for average in sample["averages"])
    read = f"read {sample['accuracies'][-1]:.2f} % right, their average {stale:.2f} %"
    assert f"{read}, and with batch norm's statistics recomputed {fresh:.2f} %" in text
    paths = json.loads((ROOT / "records/paths.json").read_text())
    low, high = paths["interval"]
    assert f"by {paths['difference']:.3f} points on average (95 % interval {low:.3f} to {high:.3f};" in text
    saving = json.loads((ROOT / "records/saving.json").read_text())["costs"]["conv"]
    assert f"takes {1e3 * saving['saving_seconds']:.0f} ms, {100 * saving['share_of_epoch']:.2f} %" in text


def test_the_trials_are_the_record():
    """The summary is what the record comes to, and the README has of it what the command prints."""
    kept = ledger.read(ROOT / "records/trials-swa-10.jsonl")
    summary = json.loads((ROOT / "records/trials-swa-10.json").read_text())
    made = json.loads(json.dumps(tally.tally(kept)))
    of_the_sitting = {"command", "sitting_seconds", "checksum"}
    assert made == {key: value for key, value in summary.items() if key not in of_the_sitting}
    assert summary["command"] == kept.header["command"] == "mnistctl trials swa -n 10 --epochs 10"
    printed = []
    report._tally(summary, lambda text, *_: printed.append(text))
    end = next(place for place, line in enumerate(printed) if "misread" in line)
    assert "\n".join(f"    {line}".rstrip() for line in printed[:end]) in README


def test_the_tree_lists_every_module():
    listed = set(re.findall(r"^      (\w+\.py|models/)  ", README, re.M))
    standing = {path.name for path in (ROOT / "mnistctl").glob("[!_]*.py")} | {"models/"}
    assert listed == standing


def test_the_data_sets_are_those_of_the_table_and_of_the_command_line():
    assert set(re.findall(r"^\| `(\w+)` \| ", README, re.M)) == datasets.DATASETS.keys()
    assert set(get_args(cli.Set)) == datasets.DATASETS.keys()


def test_the_environment_variables_are_those_of_the_contract():
    told = set(re.findall(r"`(MNISTCTL_\w+)` \| `(--[\w-]+)`", CONTRACT))
    found = {
        (p.envvar, flag)
        for command in COMMANDS.values()
        for p in command.params
        if p.envvar
        for flag in p.opts
    }
    assert told == found


def test_the_exit_codes_are_those_of_the_contract():
    told = {int(code) for code in re.findall(r"^\| (\d) \| ", CONTRACT, re.M)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, errors.MnistctlError)]
    assert {kind.exit_code for kind in kinds} <= told
    stops = {errors.StoppedError(number).exit_code for number in (signal.SIGINT, signal.SIGTERM)}
    assert stops == {int(code) for code in re.findall(r"\b1\d\d\b", CONTRACT.split("## Files")[0])}


def test_the_first_commands_go_through_the_constraints():
    for command in ("mnistctl train conv --dataset sample", "python -m pytest"):
        (line,) = (line for line in README.splitlines() if line.startswith("    ") and command in line)
        assert line.count("-c constraints.txt") == line.count("pip install") == 2


def test_the_constraints_pin_everything_that_is_installed():
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pins = {canonicalize_name(line.partition("==")[0]) for line in lines}
    wanted, todo = set(), [("mnistctl", {"", "dev"})]
    while todo:
        name, extras = todo.pop()
        wanted.add(name)
        for needed in map(Requirement, metadata.requires(name) or ()):
            asked = needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras)
            if asked and canonicalize_name(needed.name) not in wanted:
                todo.append((canonicalize_name(needed.name), {"", *needed.extras}))
    # setuptools comes with the virtual environment of Python 3.11; a CUDA build of torch brings its own.
    free = {name for name in wanted if name.startswith(("nvidia-", "cuda-", "triton", "setuptools"))}
    assert wanted - free - {"mnistctl"} <= pins
