"""docs/results.md is what records/ comes to, and nothing else."""

import shutil
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).parents[2]


def told():
    """The records that the page rests on."""
    runs, trials = results.runs_in(ROOT / "records"), results.trials_in(ROOT / "records")
    drawn = {f"{name}-eval.json" for name, run in runs.items() if run["model"] in results.models.GENERATORS}
    judged = {path.name for path in (ROOT / "records").glob("paths*.json")}
    return sorted({f"{name}.json" for name in runs} | {f"{name}.jsonl" for name in trials} | drawn | judged)


@pytest.fixture
def records(tmp_path):
    return shutil.copytree(
        ROOT / "records", tmp_path / "records", ignore=shutil.ignore_patterns("*.safetensors")
    )


def test_the_page_and_its_picture_are_those_that_the_records_give(records, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("sys.argv", ["results.py", str(records), str(tmp_path / "docs")])
    results.main()
    for name in ("results.md", "results.png"):
        assert (tmp_path / "docs" / name).read_bytes() == (ROOT / "docs" / name).read_bytes(), name


@pytest.mark.parametrize("name", told())
def test_without_one_of_its_records_the_page_is_another(name, records):
    (records / name).unlink()
    try:
        page = results.page(records)
    except FileNotFoundError:
        return
    assert page != (ROOT / "docs/results.md").read_text()


def test_a_record_of_lines_missing_is_told(records):
    (records / "conv.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        results.curves(records)
