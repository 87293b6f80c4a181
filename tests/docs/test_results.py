"""docs/results.md and docs/results.png are exactly what tools/results.py makes from records/."""

import shutil
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).parents[2]


def records_of_the_page():
    runs, trials = results.read_runs(ROOT / "records"), results.read_trials(ROOT / "records")
    evaluations = {
        f"{name}-eval.json" for name, run in runs.items() if run.model in results.models.GENERATORS
    }
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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if n % 7 else ())
        for n, name in enumerate(records_of_the_page())
    ],
)
def test_page_changes_without_any_one_of_its_records(name, records):
    (records / name).unlink()
    try:
        page = results.make_page(records)
    except FileNotFoundError:
        return
    assert page != (ROOT / "docs/results.md").read_text()


def test_missing_log_of_a_run_is_an_error(records):
    (records / "conv.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        results.read_curves(records)


def test_every_model_has_one_colour_of_its_own():
    assert results.COLOURS.keys() == results.models.CLASSIFIERS.keys() | results.models.GENERATORS.keys()
    assert len(set(results.COLOURS.values())) == len(results.COLOURS)
