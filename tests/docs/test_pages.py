"""The pages of docs/: commands, links, pictures, and the tables of data sets, variables and exit codes."""

import re
import shlex
import signal
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from mnistctl import errors, models
from mnistctl.cli import OLD_OPTIONS, app
from mnistctl.cli.options import DatasetName
from mnistctl.data import datasets
from mnistctl.errors import MnistctlError, StoppedError

ROOT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text()
    for folder in (".", "docs", "records")
    for page in sorted((ROOT / folder).glob("*.md"))
}
COMMANDS = get_command(app).commands
OLD_PAGES = ("docs/results.md", "CHANGELOG.md")  # with commands as they were typed in older versions


def options(command):
    return {flag: p for p in COMMANDS[command].params for flag in p.opts if flag.startswith("-")}


def commands_of(page):
    """What is in code on a page and starts with `mnistctl` and a word."""
    fenced = "\n".join(re.findall(r"^```(?:sh|console)\n(.*?)^```$", page, re.M | re.S))
    lines = re.findall(r"^(?:\$ )?(mnistctl [a-z].*)$", fenced, re.M)
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S).replace("\n", " ")
    inline = re.findall(r"`(mnistctl [a-z][^`]*)`", prose)
    return {line.partition("  #")[0].strip() for line in [*lines, *inline]}


@pytest.mark.parametrize(
    "line",
    sorted({line for name, page in PAGES.items() if name not in OLD_PAGES for line in commands_of(page)}),
)
def test_every_command_exists_with_its_options(line):
    _, command, *words = shlex.split(line)
    assert command in COMMANDS
    given = {word for word in words if re.match(r"--?[a-z]", word)}
    assert given <= options(command).keys()
    assert not given & OLD_OPTIONS.keys()
    if command == "train" and words:
        known = {*models.CLASSIFIERS, *models.GENERATORS, "--list", "--copy", "NAME", "MODEL", "patches"}
        assert words[0] in known or words[0].endswith(".py")


def test_pages_have_commands():
    assert all(commands_of(PAGES[name]) for name in ("README.md", "docs/trials.md", "docs/data.md"))


def anchors(page):
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", page, re.M)
    }


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_picture_exists(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGES[name]):
        path, _, anchor = target.partition("#")
        linked = folder / path if path else ROOT / name
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), target


def test_index_lists_every_page():
    listed = set(re.findall(r"^- \[[^\]]+\]\((\w[\w-]*\.md)\)", PAGES["docs/README.md"], re.M))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_readme_links_to_every_page():
    linked = set(re.findall(r"\(docs/([\w-]+\.md)\)", PAGES["README.md"]))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_data_sets_of_the_page_are_those_of_the_code():
    table = set(re.findall(r"^\| `(\w+)` \| ", PAGES["docs/data.md"], re.M))
    assert table == datasets.DATASETS.keys() == set(get_args(DatasetName))


def test_environment_variables_of_the_page_are_those_of_the_options():
    documented = set(re.findall(r"`(MNISTCTL_\w+)` \| `(--[\w-]+)`", PAGES["docs/environment.md"]))
    declared = {
        (p.envvar, flag)
        for command in COMMANDS.values()
        for p in command.params
        if p.envvar
        for flag in p.opts
    }
    assert documented == declared


def test_quiet_is_explained_for_the_commands_that_have_it():
    rows = re.findall(r"^\| `(\w+)[ `].*? \| ", PAGES["docs/exit-codes.md"], re.M)
    assert set(rows) == {name for name in COMMANDS if "--quiet" in options(name)}


def test_exit_codes_of_the_page_are_those_of_the_errors():
    page = PAGES["docs/exit-codes.md"]
    documented = {int(code) for code in re.findall(r"^\| (\d) \| ", page, re.M)}
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    classes = [kind for kind in classes if issubclass(kind, MnistctlError)]
    assert {kind.exit_code for kind in classes} <= documented
    stopped = {StoppedError(number).exit_code for number in (signal.SIGINT, signal.SIGTERM)}
    assert stopped == {int(code) for code in re.findall(r"\b1\d\d\b", page)}
