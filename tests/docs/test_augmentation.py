"""docs/own-recipes.md: settings, costs and picture of the augmentation."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import grids
from mnistctl.data import datasets
from mnistctl.models.settings import list_settings
from mnistctl.nn.augmentation import Augmentation, draw_examples

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-recipes.md").read_text()
TEXT = " ".join(PAGE.split())
RECORD = json.loads((ROOT / "records/augmentation.json").read_text())
ROWS = {
    row[0]: row[1:]
    for row in (line.strip("| ").split(" | ") for line in re.findall(r"^\| `augment\..*$", PAGE, re.M))
}


def test_table_has_every_setting_with_its_range():
    settings = {k: s for k, s in list_settings(models.load("conv")).items() if k.startswith("augment.")}
    assert [key.strip("`") for key in ROWS] == [*settings]
    for key, row in zip(settings, ROWS.values(), strict=True):
        assert row[1].endswith(f", {settings[key].range}")


@pytest.mark.parametrize("name", RECORD["amounts"])
def test_cost_of_each_example_is_the_recorded_one(name):
    _, _, example, cost = ROWS[f"`augment.{name}`"]
    assert float(example) == RECORD["amounts"][name]
    assert float(cost) == RECORD["microseconds_per_image"][name]


def test_cost_of_all_together_is_the_recorded_one_and_at_most_a_third_of_a_step():
    costs = RECORD["microseconds_per_image"]
    one, two = (RECORD[f"share_of_step_on_{count}"]["all"] for count in ("one_thread", "two_threads"))
    assert (
        f"together take {costs['all']:.1f} us, compared with {costs['step']:.1f} us for conv's step" in TEXT
    )
    assert f"they add {100 * one:.1f} % on one thread, and {100 * two:.1f} % on two" in TEXT
    assert max(one, two) <= 1 / 3


def test_picture_has_what_each_amount_does():
    with Image.open(ROOT / "docs/augmentation.png") as picture:
        shown = np.asarray(picture)
    cells = grids.untile(shown[:, shown.shape[1] - 2 * 302 :])
    assert cells.shape == (8, 10, 28, 28)
    arrays = datasets.load("sample", None, "train")[0]
    digits = np.stack([arrays.images[arrays.labels == digit][0] for digit in range(10)])
    assert np.array_equal(cells[0, 0], digits[2])
    drawn = draw_examples(digits, Augmentation(shift=4), count=9, seed=0)[2].astype(int)
    assert np.abs(drawn - cells[0, 1:]).max() <= 2
