"""Names are text: square brackets are no markup, and a terminal without Unicode shows escapes."""

import shutil

import pytest
import screens
from conftest import few_digits

OWN = ("--dataset", "own", "--data-dir", ".")
# Markup of Rich that would vanish, fail, or become an emoji; a tab, a wide and an accented character.
NAMES = ["[red]", "[x] a", ":smile:", "a\tb", "\u4e2d\u6587", "caf\u00e9"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, and two trained models, of which one has each of the names."""
    folder = tmp_path_factory.mktemp("names")
    few_digits(folder, 600, 200)
    for seed, name in enumerate(("one", "two")):
        words = ("train", "logit", *OWN, "--epochs", "1", "--seed", str(seed), "--name", name)
        assert screens.run(*words, columns=80, folder=folder).code == 0
    for name in NAMES:
        shutil.copy(folder / "out/two.safetensors", folder / f"out/{name}.safetensors")
        few_digits(folder / name, 600, 200)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_name_is_printed_as_it_is_in_tables_and_lines(name, folder):
    shown = name.replace("\t", "\\t")
    corrupt = ["--corrupt"] if name == NAMES[0] else []
    seen = screens.run("eval", "one", name, *OWN, *corrupt, "--overwrite", columns=120, folder=folder)
    assert seen.code == 0, seen.lines
    text = "\n".join(seen.lines).replace(" ", "")  # the screen has a space after a wide character
    wanted = shown.replace(" ", "")
    for place in (f"{wanted}logit", "errorsofonealone:one", f",{wanted}", f"wroteout/one-{wanted}-eval"):
        assert place in text
    seen = screens.run(
        "train", "logit", "--dataset", "own", "--data-dir", f"{name}/none", columns=300, folder=folder
    )
    assert seen.code == 3
    assert f"{wanted}/none" in seen.lines[0].replace(" ", "")


@pytest.mark.parametrize(
    "words", [("eval",), ("generate",), ("train",), ("trials", "-n", "2"), ("show", "--model")]
)
def test_unknown_name_with_brackets_is_an_error_that_shows_it(words, folder):
    seen = screens.run(*words, "[/red]", columns=300, folder=folder)
    assert seen.code in (2, 5)
    assert len(seen.lines) == 1
    assert "[/red]" in seen.lines[0]


@pytest.mark.parametrize("name", ["caf\u00e9", "\u4e2d\u6587"])
@pytest.mark.parametrize("words", [("eval", "one"), ("eval",), ("generate",)])
def test_stdout_without_unicode_shows_escapes(name, words, folder, mnistctl):
    command, *nets = (*words, name)
    data = ("--dataset", "own", "--data-dir", str(folder)) if command == "eval" else ()
    paths = [str(folder / "out" / net) if command == "eval" else net for net in nets]
    ran = mnistctl(command, *paths, *data, PYTHONIOENCODING="ascii")
    assert ran.returncode == (5 if command == "generate" else 0), ran.stderr
    assert name.encode("ascii", "backslashreplace").decode() in ran.stdout + ran.stderr
