"""What the README and the contract say is so."""

import json
import re
import shlex
import signal
from importlib import metadata
from pathlib import Path
from typing import get_args

import follow
import numpy as np
import pytest
import results
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from typer.main import get_command

from mnistctl import errors, models
from mnistctl.artifacts import charts, checkpoint, grids
from mnistctl.cli import OLD_OPTIONS, app
from mnistctl.cli.options import DatasetName
from mnistctl.cli.output.trials import print_conclusions
from mnistctl.data import datasets
from mnistctl.errors import MnistctlError, StoppedError
from mnistctl.evaluation import corruptions, statistics
from mnistctl.inference import load
from mnistctl.inference.forward import generate_images
from mnistctl.inference.predict import MIN_CONFIDENCE
from mnistctl.models.summary import summarize_nets
from mnistctl.training.gan import fixed_inputs
from mnistctl.trials.journal import read
from mnistctl.trials.summary import summarize_trials

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "records"
README = (ROOT / "README.md").read_text()
CONTRACT, SPEED, MISTAKES, GENERATORS_PAGE = (
    (ROOT / f"docs/{page}.md").read_text() for page in ("contract", "speed", "mistakes", "generators")
)
COMMANDS = get_command(app).commands


def options(command):
    return {flag: p for p in COMMANDS[command].params for flag in p.opts if flag.startswith("-")}


SHOWN = sorted(
    {
        line.split("#")[0].strip()
        for page in (README, SPEED, MISTAKES, GENERATORS_PAGE)
        for line in re.findall(r"\bmnistctl [a-z][^\n`&|(]*", page)
    }
)


@pytest.mark.parametrize("line", SHOWN)
def test_every_command_that_the_readme_shows_is_a_command_with_its_options(line):
    _, command, *words = shlex.split(line)
    assert command in COMMANDS
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options(command).keys() | OLD_OPTIONS
    if command == "train":
        assert words[0] in {
            *models.CLASSIFIERS,
            *models.GENERATORS,
            "--list",
            "mlp",
        }  # one that a reader adds


def test_what_the_commands_print_is_what_they_printed_when_the_page_was_followed():
    record = json.loads((RECORDS / "readme.json").read_text())
    assert [row["command"] for row in record["commands"]] == [command for command, _ in follow.shown(README)]
    for row, (_, expected) in zip(record["commands"], follow.shown(README), strict=True):
        assert (row["exit"], row["as_shown"]) == (0, True)
        printed = iter(row["output"])
        lost = [line for line in expected if line != "..." and line.rstrip() not in printed]
        assert lost == [], row["command"]
    first = record["commands"][0]["seconds"]
    whole = f"took {record['seconds'] / 60:.1f} minutes on {record['cores']} cores"
    assert f"{whole}, {first / 60:.1f} of them the first (`records/readme.json`" in " ".join(README.split())


def test_the_figures_are_the_records():
    reached = results.read_results(RECORDS)
    section = README.split("## The models")[1].split("\n## ")[0]
    shown = dict(re.findall(r"^\| (\w+) (\| [\d,]+ \|.*) \|$", section, re.M))
    assert shown.keys() == models.CLASSIFIERS.keys()
    for model, row in shown.items():
        parameters = sum(layer.parameters for layer in summarize_nets(models.load(model))[""])
        theirs = statistics.summarize(results.published_accuracies(model))
        published = f"{theirs.mean:.3f}" + (f", mean of {theirs.n}" if theirs.n > 1 else "")
        start = f"| {parameters:,} | {published} | "
        runs = results.choose_results(reached, model)
        if runs:
            ours = statistics.summarize([result.accuracy for result in runs.values()])
            first = json.loads((RECORDS / f"{model}.json").read_text())
            assert (first["model"], first["dataset"]["name"]) == (model, "mnist")
            assert (first["command"], first["parameters"]) == (f"mnistctl train {model}", parameters)
            seconds = first["seconds"]
            names = ", ".join(f"`{name}`" for name in sorted({model, *(r.record for r in runs.values())}))
            here = f"{ours.mean:.3f}, mean of {ours.n} | {ours.sd:.3f} | {seconds:.0f} | {names}"
        else:
            names = re.findall(r"`([\w-]+)`", row)
            bodies = [json.loads((RECORDS / f"{name}.json").read_text()) for name in names]
            ((epochs, precision),) = {(body["recipe"]["epochs"], body["precision"]) for body in bodies}
            ours = statistics.summarize([body["accuracy"] for body in bodies])
            number = f", mean of {ours.n}," if ours.n > 1 else ""
            short = (
                f"{ours.mean:.3f}{number} after {epochs} epochs of {models.load(model).epochs}, {precision}"
            )
            spread = f"{ours.sd:.3f}" if ours.n > 1 else ""
            here = f"{short} | {spread} | | {', '.join(f'`{name}`' for name in names)}"
        assert row == start + here


def test_the_speed_is_the_record():
    record = json.loads((ROOT / "records/speed.json").read_text())
    for name, row in record["recipes"].items():
        us, times = row["microseconds_per_image"], row["times_as_long_as_ours"]
        cells = [f"{us[way]:.1f}" for way in ("ours", "plain", "loader", "pictures")]
        cells += [f"{times[way]:.2f}" for way in ("plain", "loader", "pictures")]
        cells += [f"{row['plain_over_bf16']:.2f}", f"{row['share_of_mm']:.2f}"]
        assert f"| {name} | {' | '.join(cells)} |" in SPEED.splitlines()
        short = (cells[0], cells[4], cells[6], cells[7])
        assert f"| {name} | {' | '.join(short)} |" in README.splitlines()
    for name, row in record["one_epoch"].items():
        cells = [row["dataset"], f"{row['seconds']:.1f}", f"{row['training_seconds']:.1f}"]
        assert f"| {name} | {' | '.join(cells)} | {row['peak_megabytes']} |" in SPEED.splitlines()


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
            assert row in SPEED.splitlines()


def test_the_figures_in_sentences_are_the_records():
    text = " ".join((README + SPEED).split())
    here, there = (
        json.loads((ROOT / f"records/{name}.json").read_text())["recipes"]["conv"]["microseconds_per_image"]
        for name in ("speed", "speed-xeon")
    )
    assert f"took {here['bf16']:.0f} us instead of {here['ours']:.0f} on" in text
    assert f"but {there['bf16']:.0f} instead of {there['ours']:.0f} on" in text
    times = [
        json.loads((ROOT / f"records/{name}.json").read_text())["recipes"]
        for name in ("speed", "speed-again")
    ]
    for model in ("logit", "conv"):
        first, second = (f"{run[model]['times_as_long_as_ours']['plain']:.2f}" for run in times)
        assert f"{second} for {model} instead of {first}" in text
    slow = json.loads((ROOT / "records/speed-slow.json").read_text())["recipes"]["linear"]
    ours, plain = (slow["microseconds_per_image"][way] for way in ("ours", "plain"))
    assert f"{ours:.1f} us an image beside {plain:.1f}" in text
    sample = json.loads((ROOT / "records/wsimple-sample.json").read_text())
    stale, fresh = (average["accuracy"] for average in sample["averages"])
    read = f"read {sample['accuracies'][-1]:.2f} % right, their average {stale:.2f} %"
    assert f"{read}, and with batch norm's statistics recomputed {fresh:.2f} %" in text
    paths = json.loads((ROOT / "records/paths.json").read_text())
    low, high = paths["interval"]
    assert (
        f"by {paths['difference']:+.3f} points on average (95 % interval {low:+.3f} to {high:+.3f};" in text
    )
    drawn, real = (json.loads((ROOT / f"records/conv-drawn{n}.json").read_text()) for n in ("", "-eval"))
    assert drawn["command"] == "mnistctl train conv --epochs 10 --dataset own --name conv-drawn"
    assert (real["dataset"], real["digest"]) == ("mnist", drawn["digest"])
    assert f"conv reads {real['accuracy']:.2f} % of MNIST's real test digits" in text
    assert f"after 10 epochs, and {drawn['accuracy']:.2f} % of 12,000 more" in text
    trials = json.loads((ROOT / "records/trials-speed.json").read_text())
    conv, swa = (trials["ratios"][f"{name}_training"] for name in ("conv", "swa"))
    assert f"were {conv:.2f} times as fast" in text
    assert f"and {swa:.2f} times for swa's two columns" in text
    assert f"where {1 - trials['work']:.0%} of the epochs are shared".replace("%", " %") in text
    start = json.loads((ROOT / "records/start.json").read_text())["seconds"]
    assert f"takes {start['ours']:.2f} s instead of {start['with the compiler']:.2f}" in text
    saving = json.loads((ROOT / "records/saving.json").read_text())["costs"]["conv"]
    assert f"takes {1e3 * saving['saving_seconds']:.0f} ms, {100 * saving['share_of_epoch']:.2f} %" in text


def test_what_the_nets_get_wrong_is_the_records():
    conv, told = (
        json.loads((ROOT / f"records/{name}.json").read_text()) for name in ("conv-eval", "side-by-side")
    )
    text, lines = " ".join(MISTAKES.split()), MISTAKES.splitlines()
    nets_own = checkpoint.digest(load.load_classifier(ROOT / "records/conv.safetensors")[1].state_dict())
    assert conv["digest"] == told["nets"][0]["digest"] == nets_own
    for about, scored in [
        *((f"| {net['name']} | {net['parameters']:,}", net) for net in told["nets"]),
        ("| probabilities averaged |", told["ensemble"]),
    ]:
        scores = (
            f"{scored['loss']:.4f}",
            *(f"{scored[name]:.2f}" for name in ("accuracy", "undoubted", "ece")),
        )
        assert f"{about} | {' | '.join(scores)} |" in lines
    for pair in told["pairs"]:
        chances = (f"{p:.2g}" if p >= 0.0001 else "< 0.0001" for p in (pair["p"], pair["p_adjusted"]))
        alone = f"{pair['first']}, {pair['second']} | {pair['only_first']} | {pair['only_second']}"
        assert f"| {alone} | {' | '.join(chances)} |" in lines
    expected = [
        (kind.kind, strength, kind.unit) for kind in corruptions.CORRUPTIONS for strength in kind.strengths
    ]
    assert [(row["kind"], row["strength"], row["unit"]) for row in told["corruptions"]] == expected
    for row in told["corruptions"]:
        cells = " | ".join(f"{accuracy:.2f}" for accuracy in row["accuracies"])
        assert f"| {row['kind']}, {row['strength']:g} {row['unit']} | {cells} |" in lines
    for kind in corruptions.CORRUPTIONS:
        assert re.search(
            rf"^\| {kind.kind} \| {', '.join(f'{s:g}' for s in kind.strengths)} ", CONTRACT, re.M
        )
    missed, doubted = conv["mismatches"]["indices"], conv["doubted"]["indices"]
    assert f"{len(set(missed) & set(doubted))} of conv's {len(missed)} mistakes are among them" in text
    assert f"reads {conv['undoubted']:.2f} % instead of {conv['accuracy']:.2f} %" in text
    everyone, both = {row["index"] for row in told["shared"]}, set(told["doubted"]["indices"])
    assert f"All five misread {len(everyone)} digits, and of {len(everyone & both)} of these the" in text


def test_the_charts_of_the_pages_are_those_of_the_records():
    conv, run = (json.loads((ROOT / f"records/{name}.json").read_text()) for name in ("conv-eval", "conv"))
    trials = json.loads((ROOT / "records/trials-swa-10.json").read_text())["columns"]
    title = f"conv on mnist, test: {len(conv['mismatches']['indices'])} of 10,000 misread"
    for path, made in (
        ("docs/confusion.png", charts.confusion_chart(title, conv["confusion"])),
        ("docs/curves.png", charts.curves_chart("conv, epoch by epoch", run)),
        (
            "records/trials-swa-10.png",
            charts.histogram_chart([(c["label"], c["accuracies"]) for c in trials]),
        ),
    ):
        with Image.open(ROOT / path) as picture:
            assert np.array_equal(np.asarray(picture), made), path


def test_what_is_read_of_ones_own_digits_is_the_record(mnistctl):
    told = json.loads((RECORDS / "images.json").read_text())
    text = " ".join(README.split())
    assert told["digest"] == json.loads((RECORDS / "conv.json").read_text())["digest"]
    assert told["threshold"] == MIN_CONFIDENCE
    drawn, through, files = told["drawn"], told["mnist"], told["mnist_files"]
    kinds = (drawn["written"], drawn["printed"])
    by_hand, printed = (f"{kind['accuracy']:.2f} %" for kind in kinds)
    assert f"reads {drawn['right']} of {drawn['pictures']} drawn pictures right" in text
    assert f"({kinds[0]['pictures']} by hand: {by_hand}, {kinds[1]['pictures']} printed: {printed})" in text
    assert len(drawn["failures"]) == drawn["pictures"] - drawn["right"]
    assert f"{through['accuracy']:.2f} % instead of {told['mnist_original']['accuracy']:.2f} %" in text
    of_these = told["mnist_files_original"]["accuracy"]
    assert f"({files['accuracy']:.2f} % instead of {of_these:.2f} % of {files['pictures']:,} through" in text
    right, wrong = (f"{through[f'unsure_of_{which}']:.2f} %" for which in ("right", "wrong"))
    assert f"calls {right} of its right answers unsure, and {wrong} of its wrong ones" in " ".join(
        CONTRACT.split()
    )
    words = ("eval", str(RECORDS / "conv.safetensors"), "--image", str(ROOT / "docs/own-digit.jpg"))
    answer = mnistctl(*words).stdout.splitlines()[0].rpartition("own-digit.jpg")[2]
    assert f"    docs/own-digit.jpg{answer}\n" in README


@pytest.mark.parametrize("path", sorted(RECORDS.glob("trials-*.jsonl")), ids=lambda path: path.stem)
def test_the_trials_are_the_record(path):
    """The summary is what the record comes to, and the README has of one what the command prints."""
    kept = read(path)
    summary = json.loads(path.with_suffix(".json").read_text())
    made = json.loads(json.dumps(summarize_trials(kept, "ktorch" if summary["against"] else None)))
    of_the_sitting = {"command", "sitting_seconds", "checksum"}
    assert made == {key: value for key, value in summary.items() if key not in of_the_sitting}
    assert summary["command"] == kept.header["command"]
    if path.stem == "trials-swa-10":
        assert summary["command"] == "mnistctl trials swa -n 10 --epochs 10"
    if path.stem == "trials-swa-8":
        printed = []
        print_conclusions(summary, lambda text, *_: printed.append(text))
        end = next(place for place, line in enumerate(printed) if "misread" in line)
        assert "\n".join(f"    {line}".rstrip() for line in printed[:end]) in README


FIGURES = {"frechet": ".3f", "density": ".3f", "coverage": ".3f", "copies": ".2f", "entropy": ".3f"}


def generators(ending=""):
    return {m: json.loads((ROOT / f"records/{m}{ending}.json").read_text()) for m in models.GENERATORS}


def test_the_losses_of_the_generators_are_the_records():
    records = generators()
    for name, record in records.items():
        assert (record["model"], record["dataset"]["name"]) == (name, "mnist")
        assert record["command"] == f"mnistctl train {name} --threads 1 --precision bf16"
        last = record["discriminator_losses"][-1], record["generator_losses"][-1]
        assert "| {:.3f}, {:.3f} | `records/{}.json` |".format(*last, name) in README
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", GENERATORS_PAGE, re.M)
    assert [int(epoch) for epoch, _ in rows] == list(range(1, 21))
    for place, (_, row) in enumerate(rows):
        cells = row.split("|")
        told = [float(cell) for cell in cells[1::2]]
        kept = [
            record[f"{net}_losses"][place]
            for record in records.values()
            for net in ("discriminator", "generator")
        ]
        assert told == [round(loss, 3) for loss in kept]


def test_what_conv_makes_of_the_generators_is_the_records():
    gan, cgan = generators("-eval").values()
    records = generators()
    for judged in (gan, cgan):
        assert judged["judge"]["digest"] == json.loads((ROOT / "records/conv.json").read_text())["digest"]
        assert judged["judge"]["path"] == "records/conv.safetensors"
        assert (judged["dataset"], judged["digits"], judged["seed"]) == ("mnist", 10_000, 0)
        net = load.load_generator(ROOT / f"records/{judged['model']}.safetensors")[1]
        assert judged["digest"] == checkpoint.digest(net.state_dict())
        weights = checkpoint.load(ROOT / f"records/{judged['model']}.safetensors", checkpoint.NET)[1]
        assert records[judged["model"]]["digest"] == checkpoint.digest(weights)
    rows = {row.split("|")[1].strip(): row for row in GENERATORS_PAGE.splitlines() if row.startswith("| ")}
    titles = ("Frechet distance", "density", "coverage", "near copies, %", "entropy of classes, bits")
    for title, (name, form) in zip(titles, FIGURES.items(), strict=True):
        real = f"{gan[f'{name}_floor']:{form}}"
        values = [f"{judged[name]['value']:{form}}" for judged in (gan, cgan)]
        spans = [f"{judged[name]['low']:{form}} to {judged[name]['high']:{form}}" for judged in (gan, cgan)]
        assert rows[title] == f"| {title} | {values[0]} | {spans[0]} | {values[1]} | {spans[1]} | {real} |"
        assert f"| {title} | {values[0]} | {values[1]} | {real} |" in README.splitlines()
    asked, accuracy = f"{cgan['asked']['value']:.2f}", f"{cgan['judge']['accuracy']:.2f}"
    assert f"| read as asked, % | | {asked} | {accuracy} |" in README.splitlines()
    shares = (f"{100 * count / gan['digits']:.2f}" for count in gan["classes"])
    assert f"| gan: share of what it draws, % | {' | '.join(shares)} |" in GENERATORS_PAGE
    by_digit = (f"{share:.2f}" for share in cgan["asked_by_digit"])
    assert f"| cgan: read as asked, % | {' | '.join(by_digit)} |" in GENERATORS_PAGE


def test_the_sanity_of_the_judge_is_the_record():
    for name, row in json.loads((ROOT / "records/sanity.json").read_text())["kinds"].items():
        cells = [f"{row[figure]:.3f}" for figure in ("frechet", "density", "coverage", "entropy")]
        assert f"| {name} | {' | '.join(cells)} | {row['copies']:.2f} |" in GENERATORS_PAGE.splitlines()


@pytest.mark.parametrize("name", models.GENERATORS)
def test_the_pictures_of_the_pages_are_what_the_recorded_nets_draw(name):
    net = load.load_generator(ROOT / f"records/{name}.safetensors")[1]
    drawn = generate_images(net, *fixed_inputs(models.load_generator(name), 0)).numpy()
    expected = grids.make_grid(drawn, 10 if name == "cgan" else 6).astype(int)
    with Image.open(ROOT / f"docs/{name}20.png") as grid:
        assert np.abs(np.asarray(grid) - expected).max() <= 2
    with Image.open(ROOT / f"docs/{name}.gif") as animation:
        assert animation.n_frames == 20
        animation.seek(19)
        assert np.abs(np.asarray(animation.convert("L")) - expected).max() <= 11  # 16 greys


def test_the_digits_of_the_page_are_those_that_the_command_beside_them_draws(mnistctl, tmp_path):
    ran = mnistctl("generate", str(RECORDS / "cgan.safetensors"), "--digits", "2026", "--out", "drawn.png")
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(ROOT / "docs/2026.png") as shown:
        assert np.abs(np.asarray(drawn).astype(int) - np.asarray(shown)).max() <= 2


def test_every_picture_of_the_pages_is_there():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        shown = re.findall(r"!\[[^\]]+\]\((.+?)\)", page.read_text())
        assert shown or page.stem in {"contract", "library", "speed"}
        assert [name for name in shown if not (page.parent / name).exists()] == []


def test_the_tree_lists_every_module():
    listed = set(re.findall(r"^      (\w+\.py|\w+/)  ", README, re.M))
    package = ROOT / "mnistctl"
    standing = {path.name for path in package.glob("[!_]*.py")}
    standing |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert listed == standing


def test_the_data_sets_are_those_of_the_table_and_of_the_command_line():
    assert set(re.findall(r"^\| `(\w+)` \| ", README, re.M)) == datasets.DATASETS.keys()
    assert set(get_args(DatasetName)) == datasets.DATASETS.keys()


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
    kinds = [kind for kind in kinds if issubclass(kind, MnistctlError)]
    assert {kind.exit_code for kind in kinds} <= told
    stops = {StoppedError(number).exit_code for number in (signal.SIGINT, signal.SIGTERM)}
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
