"""The option --page of `eval` and of `generate`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_files import GAN, HEAD, classifier, module

RECORDS = Path(__file__).parents[2] / "records"
CONV, CGAN = RECORDS / "conv.safetensors", RECORDS / "cgan.safetensors"
QUICK = ("--dataset", "own", "--no-charts")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder in which the first test keeps its trained net."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def folder(own, kept, tmp_path, mnistctl):
    """A folder with the digits and a quickly trained net of a recipe file, which is trained once."""
    (tmp_path / "data").symlink_to(own)
    (tmp_path / "mine.py").write_text(classifier())
    if (kept / "out").exists():
        shutil.copytree(kept / "out", tmp_path / "out")
        return tmp_path
    ran = mnistctl("train", "mine.py", "--dataset", "own", "--epochs", "1", "-q")
    assert ran.returncode == 0, ran.stderr
    shutil.copytree(tmp_path / "out", kept / "out")
    return tmp_path


def data_of(page):
    text = page.read_text()
    start = text.index('id="data">') + len('id="data">')
    return json.loads(text[start : text.index("</script>", start)])


def test_page_of_a_recipe_files_net_has_its_results_and_its_record(folder, mnistctl):
    words = ("eval", "mine-own", "--recipe", "mine.py", *QUICK, "--page", "mine.html")
    ran = mnistctl(*words, "--json")
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)
    assert body["paths"] == ["mine.html"]
    data = data_of(folder / "mine.html")
    (net,) = data["nets"]
    assert (net["name"], net["digest"]) == ("mine-own", body["digest"])
    assert (net["accuracy"], net["confusion"]) == (body["accuracy"], body["confusion"])
    assert net["record"]["command"].startswith("mnistctl train mine.py")
    assert len(data["digits"]["indices"]) == 200
    assert sorted(int(place) for place in net["probabilities"]) == list(body["mismatches"]["indices"])
    assert mnistctl(*words).returncode == 2
    again = mnistctl(*words, "--overwrite")
    assert again.returncode == 0
    assert "wrote mine.html" in again.stdout


def test_page_of_several_nets_has_each_of_them(folder, mnistctl):
    words = ("eval", str(CONV), "mine-own", "--recipe", "mine.py", *QUICK, "--page", "all.html")
    ran = mnistctl(*words)
    assert ran.returncode == 0, ran.stderr
    assert "wrote all.html" in ran.stdout
    data = data_of(folder / "all.html")
    assert [net["name"] for net in data["nets"]] == ["conv", "mine-own"]
    assert [len(data["pairs"]), data["ensemble"]["accuracy"] > 0] == [1, True]


def test_page_replaces_no_other_file_and_needs_its_ending(folder, mnistctl):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (("eval", str(CONV), *QUICK), ("generate", str(CGAN))):
        for name in ("page.txt", "out/mine-own.json", "data/train-images-idx3-ubyte"):
            ran = mnistctl(*words, "--page", name, "--overwrite")
            assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_dash_writes_the_page_to_stdout_and_the_tables_to_stderr(folder):
    environment = os.environ | {"MNISTCTL_OFFLINE": "1", "PYTHONPATH": str(RECORDS.parent)}
    command = [sys.executable, "-m", "mnistctl", "eval", str(CONV), *QUICK, "--page", "-"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert ran.stdout.startswith(b"<!doctype html>")
    assert ran.stdout.endswith(b"</html>\n")
    assert b"accuracy: " in ran.stderr
    assert not (folder / "-").exists()


def test_page_to_stdout_and_json_exclude_each_other(folder, mnistctl):
    for words in (("eval", str(CONV), *QUICK), ("generate", str(CGAN))):
        ran = mnistctl(*words, "--page", "-", "--json")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "stdout is taken by --json" in ran.stderr


def test_net_with_another_layer_is_refused_before_it_is_evaluated(folder, mnistctl):
    body = "def forward(self, x):\n    return self.l(torch.fft.fft(x.flatten(1)).real)"
    (folder / "other.py").write_text(classifier(module(body)))
    assert mnistctl("train", "other.py", "--dataset", "own", "--epochs", "1", "-q").returncode == 0
    ran = mnistctl("eval", "other-own", "--recipe", "other.py", *QUICK, "--page", "other.html")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran.stderr
    assert "fft" in ran.stderr
    assert not (folder / "other.html").exists()


def test_generators_page_is_written_without_generating(tmp_path, mnistctl):
    ran = mnistctl("generate", str(CGAN), "--page", "cgan.html", "--json")
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout)
    assert (body["paths"], body["count"], body["digits"]) == (["cgan.html"], 0, None)
    data = data_of(tmp_path / "cgan.html")
    assert (data["name"], data["conditional"], data["record"]["model"]) == ("cgan", True, "cgan")
    assert (tmp_path / "cgan.html").stat().st_size < 8_000_000
    again = mnistctl("generate", str(CGAN), "--page", "cgan.html")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "--overwrite" in again.stderr


@pytest.mark.long
def test_page_of_a_generator_of_a_recipe_file(folder, mnistctl):
    (folder / "drawer.py").write_text(HEAD + GAN)
    assert mnistctl("train", "drawer.py", "--dataset", "own", "-q").returncode == 0
    ran = mnistctl("generate", "drawer-own", "--recipe", "drawer.py", "--page", "drawer.html")
    assert ran.returncode == 0, ran.stderr
    assert data_of(folder / "drawer.html")["conditional"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", str(CGAN), "--page", "a.html", "-n", "3"), "-n"),
        (("generate", str(CGAN), "--page", "a.html", "--morph"), "exclude each other"),
        (("generate", str(CGAN), "--page", "a.html", "--out", "b.png"), "--out"),
        (("generate", str(CONV), "--page", "a.html"), "is a classifier"),
        (("eval", str(CGAN), "--page", "a.html"), "only for classifiers"),
        (("eval", str(CONV), "--page", "a.html", "--image", "a.png"), "cannot be combined with --image"),
    ],
)
def test_options_that_a_page_does_not_use_are_refused(words, message, tmp_path, mnistctl):
    ran = mnistctl(*words)
    assert (ran.stdout, ran.stderr.count("\n")) == ("", 1)
    assert ran.returncode in (2, 5)
    assert message in ran.stderr
    assert list(tmp_path.iterdir()) == []
