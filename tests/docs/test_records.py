"""records/README.md: what made each record."""

import json
import re
from pathlib import Path

import results

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "records"
PAGE = (RECORDS / "README.md").read_text()


def test_every_record_is_of_a_run_or_of_trials_or_in_a_table():
    listed = {
        name
        for line in re.findall(r"^\| (`.*?) \| `", PAGE, re.M)
        for name in re.findall(r"`([\w-]+)`", line)
    }
    trained = results.read_runs(RECORDS).keys() | results.read_trials(RECORDS).keys() | {"patches-sample"}
    assert listed | trained == {path.stem for path in RECORDS.glob("*.json")}
    assert not listed & trained


def test_every_program_that_measures_is_named():
    assert set(re.findall(r"`(bench/\w+\.py)`", PAGE)) == {
        f"bench/{path.name}" for path in ROOT.glob("bench/*.py")
    }


def test_programs_are_those_of_the_commands_in_the_records():
    for names, program in re.findall(r"^\| (`.*?) \| `((?:bench|tools)/\w+\.py)`", PAGE, re.M):
        for name in re.findall(r"`([\w-]+)`", names):
            command = json.loads((RECORDS / f"{name}.json").read_text()).get("command")
            assert command is None or program in command, name
