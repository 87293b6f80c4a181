"""Where recipes come from: names, files and packages. Lists, help and completion import nothing."""

import json
import sys
from types import SimpleNamespace

import pytest
from recipe_files import classifier, write_package

from mnistctl.cli import completion
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.models.sources import Origin, check_distinct, find, find_saved, package_models

OFFERS = (
    "tiny = tinynet:recipe\nmodule = tinynet\nbroken = brokennet:recipe\nconv = tinynet:recipe\n../x = a:b"
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that offers recipes, and leaves a file when it is imported."""
    canary = tmp_path / "imported"
    text = f"open({str(canary)!r}, 'w').close()\n" + classifier()
    modules = {"tinynet": text, "brokennet": "import no_such_package\n"}
    folder = write_package(tmp_path / "site", "tinypkg", "1.2", modules, OFFERS)
    monkeypatch.syspath_prepend(str(folder))
    yield canary
    for name in modules:
        sys.modules.pop(name, None)


def test_lists_help_and_completion_name_models_of_packages_and_import_nothing(package, mnistctl):
    assert dict(completion.models("t")) == {"tiny": "from tinypkg 1.2"}
    context = SimpleNamespace(params={})
    assert dict(completion.classifiers(context, "m")) == {"module": "from tinypkg 1.2"}
    listed = mnistctl("train", "--list").stdout.splitlines()
    assert "tiny: from the package tinypkg 1.2" in listed
    printed = json.loads(mnistctl("train", "--list", "--json").stdout)
    assert printed["packages"] == dict.fromkeys(("broken", "module", "tiny"), "tinypkg 1.2")
    for command in ("train", "trials", "show"):
        words = mnistctl(command, "--help", COLUMNS="200").stdout.replace("\u2502", " ").split()
        assert "tiny (tinypkg 1.2)" in " ".join(words)
    assert "did you mean tiny?" in mnistctl("train", "tinny").stderr
    assert not package.exists()
    assert "tinynet" not in sys.modules


def test_help_without_packages_is_that_of_the_shipped_models(mnistctl):
    assert "From packages" not in mnistctl("train", "--help", COLUMNS="200").stdout


def test_model_of_a_package_is_trained_and_named_with_its_version(package, mnistctl, own, tmp_path):
    where = ("--dataset", "own", "--data-dir", str(own))
    for name in ("tiny", "module"):
        ran = mnistctl("train", name, *where, "--epochs", "1", "--json")
        assert ran.returncode == 0, ran.stderr
        origin = json.loads(ran.stdout)["origin"]
        assert origin == {"base": name, "kind": "package", "settings": {}, "package": "tinypkg 1.2"}
    ran = mnistctl("train", "broken", *where)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "broken (tinypkg 1.2): ModuleNotFoundError: No module named 'no_such_package'" in ran.stderr
    assert mnistctl("eval", "tiny-own", *where, "--quiet").returncode == 0


def test_saved_run_of_a_package_that_is_missing_names_it(tmp_path):
    origin = Origin(base="tiny", kind="package", package="tinypkg 1.2")
    with pytest.raises(CheckpointError, match=r"of the package tinypkg 1\.2, which is not installed"):
        find_saved(tmp_path / "x.safetensors", "tiny", origin, [])


def test_package_cannot_offer_a_shipped_name_or_a_path(package):
    assert package_models() == dict.fromkeys(("broken", "module", "tiny"), "tinypkg 1.2")
    assert find("conv").kind == "shipped"


@pytest.mark.parametrize("name", ["conv", "gan", "tiny"])
def test_file_called_like_a_model_needs_a_name(name, package, mnistctl, own, tmp_path):
    (tmp_path / f"{name}.py").write_text(classifier())
    where = ("--dataset", "own", "--data-dir", str(own), "--epochs", "1")
    expected = f"mnistctl: {name}.py: a model is already called {name}; rename the file or use --name\n"
    for command in (("train", f"{name}.py"), ("trials", f"{name}.py", "-n", "1")):
        ran = mnistctl(*command, *where)
        assert (ran.returncode, ran.stderr) == (2, expected)
    ran = mnistctl("train", f"{name}.py", "--name", "other", *where)
    assert ran.returncode == 0, ran.stderr
    assert "model: other, " in ran.stdout
    assert not package.exists()


def test_two_files_with_one_name_are_refused(mnistctl, tmp_path):
    (tmp_path / "sub").mkdir()
    for path in ("mine.py", "sub/mine.py"):
        (tmp_path / path).write_text(classifier())
    ran = mnistctl("trials", "mine.py", "sub/mine.py", "-n", "2", "--dataset", "sample")
    assert ran.returncode == 2
    assert "two models of this command are called mine; rename mine.py" in ran.stderr
    with pytest.raises(UsageError, match="a model is named twice"):
        check_distinct([find("conv"), find("conv")])


def test_missing_ending_is_suggested_where_the_file_exists(mnistctl, tmp_path):
    (tmp_path / "mine.py").write_text(classifier())
    assert "did you mean mine.py?" in mnistctl("train", "mine").stderr


def test_finding_a_model_executes_nothing(tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit")
    model = find(str(tmp_path / "mine.py"))
    assert model.name == "mine"
    assert model.origin.text == "raise SystemExit"


def test_what_is_not_a_model_is_called_what_it_is(tmp_path):
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(UsageError, match=r"notes\.md: not a model; the name of a recipe file ends in \.py"):
        find(str(tmp_path / "notes.md"))
    with pytest.raises(UsageError, match="pretrained is the name of trained weights; the model is conv"):
        find("pretrained")


def test_settings_have_the_order_of_the_name():
    model = find("conv").with_settings({"optimizer.weight_decay": 0.05, "net.dropout": 0.3})
    assert [*model.settings] == ["net.dropout", "optimizer.weight_decay"]
    assert model.name == "conv-net.dropout=0.3-optimizer.weight_decay=0.05"
