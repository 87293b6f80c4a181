"""The screens of the commands at 40, 80 and 120 columns: nothing cut, broken, glued together or left over."""

import re
import shutil
from pathlib import Path

import pytest
import screens
from conftest import few_digits
from rich.cells import cell_len

ROOT = Path(__file__).parents[2]
WIDTHS = [40, *(pytest.param(columns, marks=pytest.mark.long) for columns in (80, 120))]
EXECUTOR = "--executor concurrent.futures:ThreadPoolExecutor --workers 1"
# Their output is the same in each run, except for the times of `eval`.
COMMANDS = [
    "download --dataset own --check",
    "show --dataset sample --digit 7 -n 2 --seed 3",
    "show --dataset sample --style blocks --seed 3",
    "show --model conv",
    "show --machine",
    "train --list",
    "train logit --dataset own",
    "trials logit --dataset own",
    "eval logit-own --dataset own",
    "eval logit-own logit2 --dataset own",
    "eval cgan --judge conv --dataset own -n 100",
    "eval conv --image digit.jpg",
    "generate cgan --digits 2026",
    "generate cgan --idx drawn -n 20",
]
SIMILAR = [  # their output is made by the same functions as that of one above
    "show --glyphs --png glyphs.png --overwrite",
    "show --model simple",
    "show --model cgan",
    "eval logit-own --dataset own --corrupt",
    "generate cgan --show",
    "generate cgan --morph",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with digits, trained models, finished runs and trials."""
    folder = tmp_path_factory.mktemp("screens")
    few_digits(folder / "data", 600, 200)
    few_digits(folder / "few", 120, 50)
    (folder / "out").mkdir()
    for name in ("conv", "cgan"):
        shutil.copy(ROOT / f"records/{name}.safetensors", folder / "out")
    shutil.copy(ROOT / "docs/own-digit.jpg", folder / "digit.jpg")
    for words in (
        "train logit --dataset own --epochs 2",
        "train logit --dataset own --epochs 1 --seed 1 --name logit2",
        f"trials logit --dataset own --epochs 2 -n 2 {EXECUTOR}",
    ):
        assert screens.run(*words.split(), columns=80, folder=folder).code == 0
    return folder


@pytest.fixture(scope="module")
def whole_words(folder):
    """By command, the words of its output where no line has to be wrapped."""
    words = {}

    def find(command):
        if command not in words:
            words[command] = screens.run(*_repeated(command), columns=500, folder=folder).words
        return words[command]

    return find


def _repeated(command):
    """The command's words. What is finished is shown again."""
    more = {"train logit": "--epochs 2", "trials logit": f"--epochs 2 -n 2 {EXECUTOR}"}
    prefix = " ".join(command.split()[:2])
    return [*command.split(), *more.get(prefix, "").split()]


def assert_fits(seen, columns):
    """No line is wider than the terminal, which would break it inside a word, and nothing is cut."""
    for line in seen.written:
        longest = max(line.split(), key=cell_len)  # a path may be longer than a line
        assert cell_len(line) <= columns or cell_len(longest) > columns - 2, line
    assert not any("\u2026" in line for line in [*seen.lines, *seen.bars])
    assert not any(screens.BAR.search(line) for line in seen.lines)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", [*COMMANDS, *(pytest.param(c, marks=pytest.mark.long) for c in SIMILAR)])
def test_output_has_whole_words_at_every_width(command, columns, folder, whole_words):
    expected = whole_words(command)
    shutil.rmtree(folder / "drawn", ignore_errors=True)
    seen = screens.run(*_repeated(command), columns=columns, folder=folder)
    assert seen.code == 0, seen.lines
    assert_fits(seen, columns)
    missing = expected - {word for line in seen.written for word in line.split()}
    assert not missing
    for bar in seen.bars:
        assert re.fullmatch(r"[\w. -]+ [^\w]* \d+/\d+", bar), bar


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("model", ["logit", "gan"])
def test_rows_of_training_and_its_bar_are_lines_of_their_own(model, columns, folder):
    words = f"train {model} --dataset own --data-dir few --epochs 2 --batch-size 20 --name {model}-{columns}"
    seen = screens.run(*words.split(), "--overwrite", columns=columns, folder=folder, pause=0.1)
    assert seen.code == 0, seen.lines
    assert_fits(seen, columns)
    rows = [line for line in seen.lines if re.match(r" +[12]  ?[\d.:]+ ", line)]
    assert len(rows) == 2
    (names,) = (line for line in seen.lines if line.lstrip().startswith(("epoch  ", "#")))
    assert seen.lines.index(rows[0]) == seen.lines.index(names) + 1
    shown = {bar.split()[1] for bar in seen.bars}
    assert shown == {"1/2", "2/2"}
    for bar in seen.bars:
        assert re.fullmatch(r"epoch [12]/2 [^\w]+ \d:\d\d, run \d:\d\d left", bar), bar


@pytest.mark.parametrize("columns", WIDTHS)
def test_rows_of_trials_and_their_bar_are_lines_of_their_own(columns, folder):
    words = f"trials logit --dataset own --epochs 1 -n 2 --name t{columns} --overwrite {EXECUTOR}"
    seen = screens.run(*words.split(), columns=columns, folder=folder, pause=0.05)
    assert seen.code == 0, seen.lines
    assert_fits(seen, columns)
    (start,) = (index for index, line in enumerate(seen.lines) if line.startswith("model "))
    for seed, row in enumerate(seen.lines[start + 1 : start + 3]):
        assert re.fullmatch(rf"logit +{seed} +[\d.]+  [\d.]+ %", row)
    assert seen.bars
    for bar in seen.bars:
        assert re.fullmatch(r"trials [^\w]+ [012]/2( \d:\d\d left)?", bar), bar
