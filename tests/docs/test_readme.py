"""The README: its commands exist and print what it shows, its figures equal the records."""

import json
import re
import subprocess
from importlib import metadata
from pathlib import Path

import follow
import pytest
import results
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mnistctl import models
from mnistctl.evaluation import statistics
from mnistctl.models.summary import summarize_nets

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "records"
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)


def record(name):
    return json.loads((RECORDS / f"{name}.json").read_text())


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table_rows(text):
    """The rows of the tables in `text`, by their first cell."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:2] == "| "
    ]
    return {row[0]: row[1:] for row in rows}


def test_readme_is_short():
    assert len(README.splitlines()) <= 165


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        (page.relative_to(ROOT).as_posix(), page.read_text())
        for page in follow.find_pages(ROOT)
        if follow.find_commands(page.read_text())
    ],
    ids=lambda value: value if value.endswith(".md") else "",
)
def test_commands_print_what_the_page_shows(page, lines):
    """After a change, make the record again: `python tools/follow.py records/readme.json --update`."""
    entries = [entry for entry in record("readme")["commands"] if entry.get("page") == page]
    commands = follow.find_commands(lines)
    assert [entry["command"] for entry in entries] == [command.script for command in commands]
    for entry, command in zip(entries, commands, strict=True):
        assert (entry["exit"], entry["as_shown"]) == (0, True)
        expected = [lines.splitlines()[index].rstrip() for index in command.output_lines]
        printed = iter(entry["output"])
        assert [line for line in expected if line != "..." and line not in printed] == [], entry["command"]


def test_duration_of_all_commands_is_the_recorded_one():
    """After a change, make the record again: `python tools/follow.py records/readme.json --update`."""
    duration = follow.describe_duration(record("readme"))
    sentence = f"All commands here and in `docs/` take {duration} ("
    assert sentence in " ".join(README.split())


def test_first_block_trains_on_the_sample_and_second_runs_the_tests():
    first, second = BLOCKS
    assert first.splitlines()[-1] == "mnistctl train conv --dataset sample --epochs 3 --batch-size 100"
    assert second.splitlines()[-1] == "python -m pytest"
    for block in BLOCKS:
        assert block.count("-c constraints.txt") == block.count("pip install") == 2
        assert "&&" not in block and ";" not in block


def test_ci_runs_the_whole_second_block():
    script = (ROOT / ".ci/run").read_text()
    (extract,) = re.findall(r"^block=\$\(.*\)$", script, re.M)
    ran = subprocess.run(
        ["bash", "-c", f'{extract}\nprintf "%s\\n" "$block"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == BLOCKS[1]
    assert 'eval "$block"' in script


def test_constraints_pin_every_installed_package():
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pins = {canonicalize_name(line.partition("==")[0]) for line in lines}
    packages, remaining = set(), [("mnistctl", {"", "dev"})]
    while remaining:
        name, extras = remaining.pop()
        packages.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras
            )
            if applies and canonicalize_name(requirement.name) not in packages:
                remaining.append((canonicalize_name(requirement.name), {"", *requirement.extras}))
    # setuptools comes with the virtual environment of Python 3.11; a CUDA build of torch brings its own.
    not_pinned = {name for name in packages if name.startswith(("nvidia-", "cuda-", "triton", "setuptools"))}
    assert packages - not_pinned - {"mnistctl"} <= pins


def test_accuracies_of_the_classifiers_are_the_recorded_ones():
    reached = results.read_results(RECORDS)
    shown = {name: row for name, row in table_rows(section("Results")).items() if name in models.CLASSIFIERS}
    assert shown.keys() == models.CLASSIFIERS.keys()
    for model, row in shown.items():
        parameters = sum(layer.parameters for layer in summarize_nets(models.load(model))[""])
        assert row[:2] == [f"{parameters:,}", published_cell(model)]
        runs = results.choose_results(reached, model)
        assert row[2:] == full_run(model, parameters, runs)


def published_cell(model):
    """The published accuracy; empty for a recipe of this package."""
    accuracies = results.published_accuracies(model)
    if not accuracies:
        return ""
    mean = f"{statistics.summarize(accuracies).mean:.3f}"
    return mean if len(accuracies) == 1 else f"{mean}, mean of {len(accuracies)}"


def full_run(model, parameters, runs):
    """The cells of a model that was trained in full: accuracy, SD, seconds, records."""
    ours = statistics.summarize([result.accuracy for result in runs.values()])
    first = record(model)
    assert (first["model"], first["dataset"]["name"]) == (model, "mnist")
    assert re.fullmatch(f"mnistctl train {model}( --threads 1| --device cuda)?", first["command"])
    assert first["parameters"] == parameters
    names = ", ".join(f"`{name}`" for name in sorted({model, *(result.record for result in runs.values())}))
    number = f", mean of {ours.n}" if ours.n > 1 else ""
    sd = "" if ours.sd is None else f"{ours.sd:.3f}"
    return [f"{ours.mean:.3f}{number}", sd, f"{first['seconds']:.0f}", names]


def test_no_accuracy_differs_significantly_from_the_published_one():
    reached = results.read_results(RECORDS)
    for model in models.CLASSIFIERS:
        accuracies = [result.accuracy for result in results.choose_results(reached, model).values()]
        difference = results.compare_with_published(model, accuracies)
        assert difference is None or not difference.significant


def test_metrics_of_the_generators_are_the_recorded_ones():
    rows = table_rows(section("Results"))
    evaluations = {model: record(f"{model}-eval") for model in models.GENERATORS}
    for model, evaluation in evaluations.items():
        counts = [
            sum(layer.parameters for layer in layers)
            for layers in summarize_nets(models.load(model)).values()
        ]
        values = [f"{evaluation[name]['value']:.3f}" for name in ("frechet", "density", "coverage")]
        accuracy = f"{evaluation['asked']['value']:.2f}" if evaluation["asked"] else ""
        sizes = "{:,} and {:,}".format(*counts)
        assert rows[model] == [sizes, *values, accuracy, f"`{model}-eval`"]
    real = [f"{evaluation[f'{name}_floor']:.3f}" for name in ("frechet", "density", "coverage")]
    assert rows["real images"] == ["", *real, f"{evaluation['judge']['accuracy']:.2f}", ""]


def test_figures_in_sentences_are_the_recorded_ones():
    text = " ".join(README.split())
    errors = len(record("conv-eval")["mismatches"]["indices"])
    assert f"the {errors} of 10,000 test images that `conv` gets wrong" in text
    runs = [record(path.stem) for path in RECORDS.glob("speed*.json")]
    speedups = [run["recipes"]["conv"]["times_as_long_as_ours"]["plain"] for run in runs]
    assert (len(speedups), len({run["machine"]["processor"] for run in runs})) == (5, 2)
    times = f"On a CPU, `conv` trains {min(speedups):.1f} to {max(speedups):.1f} times as fast"
    assert f"{times} as a plain PyTorch loop (five runs on two processors," in text


def test_layout_lists_every_folder_and_module():
    listed = set(re.findall(r"^      (\w+\.py|\w+/)  ", README, re.M))
    package = ROOT / "mnistctl"
    existing = {path.name for path in package.glob("[!_]*.py")}
    existing |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert listed == existing
