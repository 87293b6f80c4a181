"""docs/results.md and docs/results.png are exactly what tools/results.py makes from records/."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import costs
import loss_curves
import PIL.Image
import pytest
import results

from mnistctl import models

ROOT = Path(__file__).parents[2]


def records_of_the_page():
    runs, trials = results.read_runs(ROOT / "records"), results.read_trials(ROOT / "records")
    evaluations = {f"{name}-eval.json" for name, run in runs.items() if run.model in models.GENERATORS}
    paths = {path.name for path in (ROOT / "records").glob("paths*.json")}
    return sorted(
        {f"{name}.json" for name in runs} | {f"{name}.jsonl" for name in trials} | evaluations | paths
    )


@pytest.fixture
def records(tmp_path):
    return shutil.copytree(
        ROOT / "records", tmp_path / "records", ignore=shutil.ignore_patterns("*.safetensors")
    )


def test_page_and_chart_are_made_from_the_records_byte_for_byte(records, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("sys.argv", ["results.py", str(records), str(tmp_path / "docs")])
    results.main()
    for name in ("results.md", "results.png"):
        assert (tmp_path / "docs" / name).read_bytes() == (ROOT / "docs" / name).read_bytes(), name


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.long)])
def test_page_changes_without_any_one_of_its_records(step, records, tmp_path):
    """Each ninth record; with the long tests all of them."""
    page, names = (ROOT / "docs/results.md").read_text(), records_of_the_page()[::step]
    assert len(names) >= 5
    for name in names:
        (records / name).rename(tmp_path / "away")
        with suppress(FileNotFoundError):
            assert results.make_page(records) != page, name
        (tmp_path / "away").rename(records / name)


def test_missing_log_of_a_run_is_an_error(records):
    (records / "conv.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        loss_curves.read_curves(records, results.read_runs(records))


def test_model_without_published_accuracies_has_empty_cells():
    assert results.compare_with_published("fast", [99.2, 99.3]) is None
    row = next(row for row in results._full_rows([]) if row[0] == "fast")
    assert row == ("fast", "", "", 0, "not run in full", "", "", "", "", "")
    spent = [
        costs.Cost("a", "a", 3600, 3600, True, 7200, ""),
        costs.Cost("b", "b", 1, 7200, True, None, ""),
    ]
    assert [row[4] for row in costs.table_rows(spent)] == ["7,200", ""]
    assert costs.total(spent) == (
        "In total at most 3.0 hours of processor time. A plain loop would take about 2.0 hours for the runs "
        "with an estimate, 2.00 times as long."
    )


def test_two_cores_lose_with_logit_and_linear_only_and_bf16_is_slower_there():
    timed = results.read_runs(ROOT / "records/clock")
    assert timed.keys() == results.PUBLISHED_SECONDS.keys()
    ratios = {name: run.seconds / results.PUBLISHED_SECONDS[name] for name, run in timed.items()}
    assert {name: round(ratio) for name, ratio in ratios.items() if ratio > 1} == {"logit": 2, "linear": 2}
    assert timed["cgan"].seed == 1
    speed = json.loads((ROOT / "records/speed-xeon-2.json").read_text())["recipes"]
    times = [row["microseconds_per_image"] for row in speed.values()]
    assert len(times) == 7
    assert all(row["bf16"] > row["ours"] for row in times)


def test_chart_has_as_many_rows_as_its_models_need(tmp_path):
    curves = [loss_curves.Curve(name, name, "", [1.0, 0.1]) for name in models.CLASSIFIERS]
    heights = []
    for count in (3, 4):
        loss_curves.draw_curves(curves[:count], tmp_path / "curves.png")
        with PIL.Image.open(tmp_path / "curves.png") as chart:
            heights.append(chart.height)
    assert heights[0] < heights[1]


def test_every_model_has_one_colour_of_its_own():
    assert loss_curves.COLOURS.keys() == models.CLASSIFIERS.keys() | models.GENERATORS.keys()
    assert len(set(loss_curves.COLOURS.values())) == len(loss_curves.COLOURS)
