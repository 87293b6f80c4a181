"""Files of a run: their names are checked before the first step, and no file of another run is replaced."""

import json
import shutil

import pytest
from stubs import IN_THREAD

from mnistctl.artifacts import files
from mnistctl.errors import UsageError
from mnistctl.training.options import RunOptions
from mnistctl.training.outputs import output_files


@pytest.fixture
def train(mnistctl, own):
    """A function that trains a model in one epoch with this name."""

    def train(name, *words, model="logit"):
        data = ("--dataset", "own", "--data-dir", str(own), "--epochs", "1", "--batch-size", "100")
        return mnistctl("train", model, *data, "--quiet", f"--name={name}", *words)

    return train


@pytest.mark.parametrize(
    "name",
    ["",  " ", " a", "a ", ".", "..", ".a", "-x", "--help", "*", "a?", "~", "~root", "a/b", "a\\b", "/",
     "a\nb", "\x1b[31m", "\ud800", "x" * 300, "x" * 244, "é" * 122],
)  # fmt: skip
def test_name_that_cannot_be_a_file_or_be_typed_is_refused_in_one_sentence(name):
    with pytest.raises(UsageError) as refused:
        RunOptions(name=name).run_path("conv")
    assert (refused.value.field, "\n" in str(refused.value)) == ("name", False)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "name",
    [
        "é" * 121,
        "two words",
        "[red]",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("x" * 243, "a.b", "日本", "a:b", "$HOME", "'")),
    ],
)
def test_unusual_name_is_trained_resumed_and_evaluated(name, train, mnistctl, own, tmp_path):
    ran = train(name)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert train(name, "--resume").returncode == 0
    ran = mnistctl("eval", name, "--dataset", "own", "--data-dir", str(own), "--json")
    assert ran.returncode == 0, ran.stderr
    assert all((tmp_path / path).exists() for path in json.loads(ran.stdout)["paths"])


@pytest.mark.parametrize("ending", ["json", "jsonl", "png", "safetensors", "unfinished"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_folder_in_the_place_of_a_file_is_found_before_the_first_step(ending, overwrite, train, tmp_path):
    path = tmp_path / f"out/run.{ending}"
    path.parent.mkdir()
    path.touch() if ending == "unfinished" else path.mkdir()
    ran = train("run", *overwrite)
    assert (ran.stdout, ran.stderr.count("\n")) == ("", 1)
    assert ran.returncode in (1, 5)
    assert f"out/run.{ending}" in ran.stderr
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["jsonl", "png", "safetensors"])
def test_file_without_its_record_is_replaced_only_on_request(ending, train, tmp_path):
    path = tmp_path / f"out/run.{ending}"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    ran = train("run")
    assert ran.returncode == 2
    assert f"out/run.{ending}: exists already, without the record of its run; use --overwrite" in ran.stderr
    assert path.read_bytes() == b"mine"
    assert train("run", "--overwrite").returncode == 0
    assert path.read_bytes() != b"mine"


def test_picture_of_a_run_is_not_replaced_by_a_generator_whose_grid_has_its_name(train, tmp_path):
    assert train("gan01").returncode == 0
    picture = (tmp_path / "out/gan01.png").read_bytes()
    for words in ((), ("--overwrite",)):
        ran = train("gan", *words, model="gan")
        assert ran.returncode == 2
        assert "out/gan01.png: belongs to the run gan01; use --name or --out-dir" in ran.stderr
    assert (tmp_path / "out/gan01.png").read_bytes() == picture


def test_run_whose_picture_would_be_a_grid_of_a_generator_is_refused(train, tmp_path):
    folder = tmp_path / "out"
    assert train("conv").returncode == 0
    for path in output_files(
        folder / "conv", generator=False, epochs=1
    ):  # the files of a generator called gan
        shutil.copy(path, folder / f"gan.{path.suffix[1:]}")
    for name in ("gan.gif", "gan01.png", "gan02.png"):
        (folder / name).write_bytes(b"a picture of gan")
    for words in ((), ("--overwrite",)):
        ran = train("gan01", *words)
        assert (ran.returncode, "belongs to the run gan;" in ran.stderr) == (2, True)
    assert (folder / "gan01.png").read_bytes() == b"a picture of gan"


def test_trials_and_runs_do_not_replace_each_other_even_with_overwrite(train, mnistctl, own, tmp_path):
    words = ("trials", "logit", "-n", "1", "--epochs", "1", "--dataset", "own", "--data-dir", str(own), "-q")
    words = (*words, *IN_THREAD)
    assert mnistctl(*words, "--name", "run").returncode == 0
    journal = (tmp_path / "out/trials/run.jsonl").read_bytes()
    for option in ((), ("--overwrite",)):
        ran = train("run", "--out-dir", "out/trials", *option)
        assert (ran.returncode in (2, 5), ran.stderr.count("\n")) == (True, 1)
    assert (tmp_path / "out/trials/run.jsonl").read_bytes() == journal
    assert train("other", "--out-dir", "out/trials").returncode == 0
    record = (tmp_path / "out/trials/other.json").read_bytes()
    for option in ((), ("--overwrite",)):
        assert mnistctl(*words, "--name", "other", *option).returncode in (2, 5)
    assert (tmp_path / "out/trials/other.json").read_bytes() == record
    assert files.list_runs(tmp_path / "out/trials", "json") == ["other", "run"]


@pytest.mark.parametrize("ending", ["json", "png", "jsonl"])
def test_folder_in_the_place_of_a_file_of_trials_is_found_before_the_first_trial(
    ending, mnistctl, own, tmp_path
):
    folder = tmp_path / f"out/trials/run.{ending}"
    folder.mkdir(parents=True)
    words = ("trials", "logit", "-n", "1", "--dataset", "own", "--data-dir", str(own), "--name", "run")
    ran = mnistctl(*words)
    assert (ran.returncode in (1, 5), ran.stdout, ran.stderr.count("\n")) == (True, "", 1)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
