"""The list of what stands in a folder of results."""

import csv
import json

import pytest
import safetensors.torch
import torch
from stubs import IN_THREAD

from mnistctl.training.events import Epoch
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.trials.listing import list_results


@pytest.fixture
def out(mnistctl, own, tmp_path):
    """A finished run, an unfinished one, a damaged one, the same of trials, weights alone, foreign files."""
    folder = tmp_path / "out"
    options = {"batch_size": 100, "dataset": "own", "data_dir": own, "out_dir": folder}
    list(train("logit", RunOptions(epochs=1, name="done", **options)))
    run = train("logit", RunOptions(epochs=3, seed=7, name="going", **options))
    next(event for event in run if isinstance(event, Epoch))
    run.close()
    words = ["--dataset", "own", "--data-dir", str(own), "--epochs", "1", "-n", "2", "--name", "tried"]
    assert mnistctl("trials", "logit", *words, *IN_THREAD, "--out-dir", str(folder)).returncode == 0
    journal = (folder / "trials/tried.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "trials/cut.jsonl").write_bytes(b"".join(journal[:-1]))
    (folder / "trials/wrong.jsonl").write_bytes(b"".join([journal[0], *journal[2:], b"{}\n", b"{}\n"]))
    for ending in ("json", "safetensors"):
        content = (folder / f"done.{ending}").read_bytes()
        (folder / f"broken.{ending}").write_bytes(content[: len(content) // 2])
    (folder / "alone.safetensors").write_bytes((folder / "done.safetensors").read_bytes())
    (folder / "foreign.safetensors").write_bytes(safetensors.torch.save({"weight": torch.zeros(2)}))
    (folder / "notes.json").write_text("{}")
    return folder


def test_runs_and_trials_are_listed_with_their_state(out, mnistctl):
    entries = {entry.name: entry for entry in list_results(out).runs}
    assert [(name, entry.kind, entry.state) for name, entry in entries.items()] == [
        ("alone", "weights", "finished"),
        ("broken", "run", "damaged"),
        ("done", "run", "finished"),
        ("foreign", "weights", "damaged"),
        ("going", "run", "unfinished"),
        ("trials/cut", "trials", "unfinished"),
        ("trials/tried", "trials", "finished"),
        ("trials/wrong", "trials", "damaged"),
    ]
    assert {entry.holdout for entry in entries.values() if entry.dataset is not None} == {0}
    assert (entries["alone"].models, entries["alone"].dataset) == (("logit",), "own")
    going, tried = entries["going"], entries["trials/tried"]
    assert (going.models, going.seed, going.done, going.total) == (("logit",), 7, 1, 3)
    assert 0 < going.accuracy < 100
    assert (tried.done, tried.total, tried.dataset) == (2, 2, "own")
    assert (entries["trials/cut"].done, entries["trials/cut"].total) == (1, 2)
    assert "broken.json" in entries["broken"].problem
    assert "foreign.safetensors: not a checkpoint" in entries["foreign"].problem
    assert "wrong.jsonl: line 3 is damaged" in entries["trials/wrong"].problem

    ran = mnistctl("show", "--runs", "--out-dir", str(out))
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:9]] == list(entries)
    assert "1/3" in lines[5]
    assert [line.partition(":")[0] for line in lines[9:]] == ["broken", "foreign", "trials/wrong"]
    body = json.loads(mnistctl("show", "--runs", "--json", "--out-dir", str(out)).stdout)
    assert body["runs"] == json.loads(json.dumps([entry.to_json() for entry in entries.values()]))
    rows = list(
        csv.DictReader(mnistctl("show", "--runs", "--csv", "--out-dir", str(out)).stdout.splitlines())
    )
    assert [(row["name"], row["state"]) for row in rows] == [(e.name, e.state) for e in entries.values()]


def test_empty_or_missing_folder_has_no_runs(mnistctl, tmp_path):
    assert list_results(tmp_path / "missing").runs == ()
    assert mnistctl("show", "--runs").stdout == "no runs in out\n"
    assert not (tmp_path / "out").exists()
