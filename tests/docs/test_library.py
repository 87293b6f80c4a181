"""The code of docs/library.md runs as it is, and so does the new model of docs/own-recipes.md."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.models import conv
from mnistctl.models.recipe import ClassifierRecipe, wrong_learning_rates
from mnistctl.nn.augmentation import Augmentation

ROOT = Path(__file__).parents[2]


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)


IN_MEMORY, FIGURES, RUN, PANDAS, LOAD, GENERATE, PLAIN = python_blocks("docs/library.md")
MODEL, VARIANT, SCHEDULE, AUGMENTED = python_blocks("docs/own-recipes.md")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to run in, where matplotlib opens no window."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


def run_in_memory(monkeypatch):
    """Run the first block, and fail if it writes a file."""

    def refuse(path, *_, **__):
        raise AssertionError(f"wrote {path}")

    names = {}
    with monkeypatch.context() as patched:
        patched.setattr("mnistctl.artifacts.files.write", refuse)
        exec(IN_MEMORY, names)
    return names


def test_script_trains_evaluates_and_plots_without_writing_a_file(folder, monkeypatch, capsys):
    names = run_in_memory(monkeypatch)
    assert list(folder.iterdir()) == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:5]] == [f"epoch {epoch}" for epoch in range(1, 6)]
    evaluation, axes = names["evaluation"], names["axes"]
    assert evaluation.accuracy == 100 - len(evaluation.mismatches.indices) / 10 > 85
    assert f"accuracy {evaluation.accuracy:.2f} %, " in lines[5]
    assert np.array_equal(axes.images[0].get_array(), evaluation.confusion)
    assert sum(int(text.get_text()) for text in axes.texts) == 1000
    names["plt"].close(names["figure"])


def test_record_of_trials_is_read_into_pandas(folder, capsys):
    (folder / "records").symlink_to(ROOT / "records")
    names = {"Path": Path}
    exec(PANDAS, names)
    frame = names["frame"]
    assert list(frame.columns[:2]) == ["label", "model"]
    assert (len(frame), frame.seeds.tolist()) == (16, [*range(8)] * 2)
    printed = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert {name: int(row[0]) for name, row in printed.items()} == {"averaged": 8, "baseline": 8}
    assert float(printed["baseline"][1]) == pytest.approx(99.5875)
    assert float(printed["averaged"][2]) == pytest.approx(0.030208, abs=1e-6)


def test_other_blocks_run_load_and_predict_the_same(folder, monkeypatch):
    (folder / "records").symlink_to(ROOT / "records")
    names = run_in_memory(monkeypatch)
    names["plt"].close(names["figure"])
    exec(FIGURES, names)
    charts = {path.name for path in (folder / "out").iterdir()}
    assert charts == {f"mine{ending}.png" for ending in names["draw_figures"](names["evaluation"])}
    exec(RUN, names)
    assert names["record"] == names["finished"].record
    assert (folder / "out/linear-sample.json").exists()
    exec(LOAD, names)
    assert names["model"] == "linear"
    correct = names["predicted"] == names["test"].arrays.labels
    assert 100 * correct.mean() == pytest.approx(names["record"].accuracy)
    exec(GENERATE, names)
    assert names["samples"].images.shape == (4, 28, 28)
    assert names["samples"].digits.tolist() == [2, 0, 2, 6]
    assert "mnistctl" not in PLAIN
    exec(PLAIN, names)
    assert np.array_equal(names["plain_predicted"], names["predicted"])


def test_names_of_the_weights_are_as_the_page_says():
    for name in ("conv", *models.GENERATORS):
        path = ROOT / f"records/{name}.safetensors"
        prefix = r"(generator|discriminator)\." if name in models.GENERATORS else ""
        for tensor in checkpoint.load(path, checkpoint.NET)[1]:
            assert re.fullmatch(rf"{prefix}((second|trunk)\.)?\d+\.\w+", tensor)


def test_new_model_needs_the_file_and_the_line_of_the_page(tmp_path):
    package = tmp_path / "mnistctl"
    shutil.copytree(ROOT / "mnistctl", package, ignore=shutil.ignore_patterns("__pycache__"))
    (line,) = re.findall(r'^    ("mlp": .*)$', (ROOT / "docs/own-recipes.md").read_text(), re.M)
    registry = package / "models/__init__.py"
    old = registry.read_text()
    registry.write_text(old.replace("CLASSIFIERS = {\n", f"CLASSIFIERS = {{\n    {line}\n", 1))
    assert registry.read_text() != old
    (package / "models/mlp.py").write_text(MODEL)
    words = ["train", "mlp", "--dataset", "sample", "--epochs", "1", "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "mnistctl", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    record = json.loads(ran.stdout)
    assert record["model"] == "mlp"
    assert MODEL.startswith('"""') and f"{record['parameters']:,} parameters" in MODEL.splitlines()[0]
    assert record["accuracy"] > 50
    assert (tmp_path / "out/mlp-sample.safetensors").exists()


def test_recipe_file_of_the_page_trains_without_being_registered(tmp_path, mnistctl):
    (tmp_path / "mlp.py").write_text(MODEL)
    ran = mnistctl("train", "mlp.py", "--dataset", "sample", "--epochs", "1", "--quiet")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert float(ran.stdout) > 50


def test_table_of_the_page_has_the_fields_of_a_recipe():
    page = (ROOT / "docs/own-recipes.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [^|]+ \|$", page, re.M)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == {field.name for field in fields(ClassifierRecipe)}


def test_variant_of_the_page_is_the_recipe_of_swa():
    assert VARIANT.strip() in (ROOT / "mnistctl/models/swa.py").read_text()


def test_schedule_of_the_page_has_a_rate_for_every_step():
    names = {}
    exec(SCHEDULE, names)
    recipe = replace(conv.recipe, epochs=10, lr_schedule=names["warm_up"])
    assert wrong_learning_rates(recipe) == ""
    assert recipe.learning_rates_by_step(4)(1) == pytest.approx(
        [recipe.peak_lr * n / 4 for n in (1, 2, 3, 4)]
    )
    assert recipe.learning_rates_by_step(4)(2) == (recipe.peak_lr,) * 4


def test_augmentation_of_the_page_is_one_of_a_recipe():
    names = {"Augmentation": Augmentation}
    exec(AUGMENTED, names)
    assert replace(conv.recipe, augment=names["augment"]).augment == Augmentation(
        shift=2, rotation=10, elastic=0.6
    )
