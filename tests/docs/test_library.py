"""What docs/library.md shows works as it stands, and the README's model of one's own."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/library.md").read_text()
README = (ROOT / "README.md").read_text()
TRAIN, LOAD, PLAIN, MODEL = re.findall(r"^```python\n(.*?)^```$", PAGE + README, re.M | re.S)


def test_the_pages_blocks_train_score_picture_and_load(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = {}
    exec(TRAIN, shown)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert shown["score"].accuracy == 100 - len(shown["missed"].indices) / 10 > 80
    with Image.open("mistakes.png") as picture:
        assert np.array_equal(np.asarray(picture), shown["picture"])
    exec(LOAD, shown)
    assert shown["model"] == "linear"
    assert np.array_equal(shown["outputs"], shown["logits"])
    assert "mnistctl" not in PLAIN
    exec(PLAIN, shown)
    assert np.array_equal(shown["read"], shown["logits"].argmax(1))


def test_the_names_in_every_recorded_checkpoint_are_as_the_page_says():
    for name in ("conv", *models.GENERATORS):
        path = ROOT / f"records/{name}.safetensors"
        prefix = r"(generator|discriminator)\." if name in models.GENERATORS else ""
        for tensor in checkpoint.load(path, checkpoint.NET)[1]:
            assert re.fullmatch(rf"{prefix}((second|trunk)\.)?\d+\.\w+", tensor)


def test_a_new_model_is_the_readmes_file_and_line(tmp_path):
    package = tmp_path / "mnistctl"
    shutil.copytree(ROOT / "mnistctl", package, ignore=shutil.ignore_patterns("__pycache__"))
    (line,) = re.findall(r'^    ("mlp": .*)$', README, re.M)
    catalogue = package / "models/__init__.py"
    catalogue.write_text(
        catalogue.read_text().replace("CLASSIFIERS = {\n", f"CLASSIFIERS = {{\n    {line}\n", 1)
    )
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
