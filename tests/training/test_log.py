"""The log of an unfinished run: a whole line an epoch, and the finished run's log in the end."""

import json

import pytest
from conftest import few_digits

from mnistctl.errors import OutputError
from mnistctl.training import outputs
from mnistctl.training.events import Epoch, GanEpoch, Progress
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("few"), 60, 20)


def options(data_dir, out, name="a", **fields):
    usual = {"epochs": 3, "batch_size": 30, "dataset": "own", "data_dir": data_dir, "out_dir": out}
    return RunOptions(name=name, **usual | fields)


@pytest.mark.charts
@pytest.mark.parametrize("model", ["logit", "gan"])
def test_log_grows_by_a_whole_line_with_each_epoch_and_becomes_that_of_the_run(model, few, tmp_path):
    log, seen = tmp_path / "a.unfinished/log.jsonl", []
    for event in train(model, options(few, tmp_path)):
        if isinstance(event, Epoch | GanEpoch):
            seen.append(event.to_json())
        if isinstance(event, Epoch | GanEpoch | Progress):
            content = log.read_text()
            assert content.endswith("\n") or not content
            assert [json.loads(line) for line in content.splitlines()] == seen
    assert (tmp_path / "a.jsonl").read_text() == content
    assert not log.parent.exists()
    assert (tmp_path / "a-curves.png").stat().st_size > 5000


def test_averaged_weights_are_in_the_log(few, tmp_path):
    log, before = tmp_path / "a.unfinished/log.jsonl", ""
    for _ in train("swa", options(few, tmp_path, epochs=20, batch_size=60)):
        before = log.read_text() if log.exists() else before
    assert (tmp_path / "a.jsonl").read_text() == before
    assert json.loads(before.splitlines()[-1])["event"] == "swa"


@pytest.mark.parametrize("content", [None, "", "half a li", '{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3}\n'])
def test_log_is_brought_to_what_the_checkpoint_says_when_the_run_is_resumed(content, few, tmp_path):
    whole = [event for event in train("logit", options(few, tmp_path / "whole")) if isinstance(event, Epoch)]
    run = train("logit", options(few, tmp_path))
    next(event for event in run if isinstance(event, Epoch))
    run.close()
    log = tmp_path / "a.unfinished/log.jsonl"
    log.unlink()
    if content is not None:
        log.write_text(content)
    resumed = train("logit", options(few, tmp_path), resume=True)
    next(resumed)
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["loss"] == whole[0].loss
    list(resumed)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert losses == [epoch.loss for epoch in whole]


def test_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"log\.jsonl: cannot be written"):
        outputs.append_log(tmp_path / "missing/log.jsonl", Epoch(1, 0.1, 0.1, 0.1, 99.0, 1.0))
