"""docs/files.md: the TensorBoard tags, and the options and endings of output files, are those of the code."""

import re
from pathlib import Path

from typer.main import get_command

from mnistctl.artifacts import outputs
from mnistctl.cli import app
from mnistctl.training import events, tensorboard

PAGE = (Path(__file__).parents[2] / "docs/files.md").read_text()


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_tensorboard_tags_are_those_of_the_code():
    scored = {"accuracy": 99.0, "seconds": 1.0}
    epoch = {"epoch": 1, "lr": 0.1, "loss": 0.5}
    rows = (
        events.Epoch(**epoch, **scored, test_loss=0.5),
        events.Epoch(**epoch, **scored, test_loss=None, validation_loss=0.5),
        events.AveragedWeights(first=1, last=1, **scored, test_loss=0.5, recomputed=False),
        events.AveragedWeights(
            first=1, last=1, **scored, test_loss=None, validation_loss=0.5, recomputed=False
        ),
        events.GanEpoch(
            epoch=1, ended="2026-11-26T12:00:00", discriminator_loss=1.0, generator_loss=1.0, seconds=1.0
        ),
    )
    logged = {tag for row in rows for tag in tensorboard._scalars(row)}
    cells = re.findall(r"^\| (`[^|]*) \|", section("TensorBoard"), re.M)
    documented = {tag for cell in cells for tag in re.findall(r"`([^`]+)`", cell)}
    assert documented - {"grid"} <= logged
    # The page has an ellipsis in the place of the last tag of the averaged weights.
    assert logged - documented == {"accuracy/average, validation"}


def test_options_that_name_an_output_are_those_of_the_commands():
    (cell,) = re.findall(r"any other file that an option names \((.*)\) \|", PAGE)
    files = [
        p for command in get_command(app).commands.values() for p in command.params if p.metavar == "FILE"
    ]
    writes = {
        p.opts[0] for p in files if re.search(r"^Write |^Path of|to write\b", getattr(p, "help", "") or "")
    }
    assert set(re.findall(r"--[a-z]+", cell)) == writes


def test_endings_of_outputs_are_those_of_the_formats():
    (sentence,) = re.findall(r"The ending of a name must fit the format: (.*?)\. Two", PAGE, re.S)
    formats = [
        each for each in vars(outputs).values() if isinstance(each, outputs.Format) and not each.replaces
    ]
    assert set(re.findall(r"`(\.\w+)`", sentence)) == {ending for each in formats for ending in each.endings}
