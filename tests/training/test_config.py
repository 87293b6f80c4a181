"""The configuration of a run."""

import numpy as np
import pytest
import torch

from mnistctl import models
from mnistctl.errors import UsageError
from mnistctl.nn.cores import available_cores
from mnistctl.training import run
from mnistctl.training.config import default_threads
from mnistctl.training.events import Started
from mnistctl.training.options import RunOptions


@pytest.mark.parametrize("model", [*models.CLASSIFIERS, *models.GENERATORS])
def test_one_thread_is_the_default_where_sharing_the_work_costs_more_than_it_saves(model):
    assert default_threads(models.load(model)) == (1 if model == "logit" else None)


def test_run_leaves_the_number_of_threads_as_it_was(own, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        options = RunOptions(dataset="own", data_dir=own, out_dir=tmp_path, epochs=1)
        events = run.train("logit", options)
        assert next(event.threads for event in events if isinstance(event, Started)) == 1
        assert torch.get_num_threads() == 1
        assert list(events)
        assert torch.get_num_threads() == 2
        options = RunOptions(dataset="own", data_dir=own, out_dir=tmp_path, epochs=1, threads=2, name="b")
        if available_cores() > 1:
            events = run.train("logit", options)
            assert next(event.threads for event in events if isinstance(event, Started)) == 2
            events.close()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": "3"}, "epochs '3': give a whole number, not str"),
        ({"batch_size": 100.0}, "batch_size 100.0: give a whole number, not float"),
        ({"threads": True}, "threads True: give a whole number, not bool"),
        ({"device": torch.device("cpu")}, r"device device\(type='cpu'\): give text, not device"),
        ({"init": 3}, "init 3: give a path, not int"),
    ],
)
def test_option_of_another_type_is_a_usage_error_that_names_it(wrong, message):
    with pytest.raises(UsageError, match=message):
        RunOptions(**wrong)


def test_run_takes_folders_as_text_and_numbers_of_numpy(own, tmp_path):
    numbers = {"epochs": np.int64(1), "seed": np.int64(3), "lr": np.float32(0.5), "batch_size": np.int32(10)}
    options = RunOptions(dataset="own", data_dir=str(own), out_dir=str(tmp_path), **numbers)
    *_, finished = run.train("logit", options)
    assert (finished.record.seed, finished.record.recipe.batch_size) == (3, 10)
    assert (tmp_path / "logit-own.json").exists()


@pytest.mark.parametrize("model", [3, None, ["logit"]])
def test_model_of_another_type_is_a_usage_error(model, tmp_path):
    with pytest.raises(UsageError, match="give a model, its name or the path of its recipe file, not"):
        next(run.train(model, RunOptions(out_dir=tmp_path)))


def test_options_of_another_type_are_a_usage_error():
    with pytest.raises(UsageError, match=r"options {}: give RunOptions, not dict"):
        next(run.train("logit", {}))


def test_recipe_file_may_be_a_path(own, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from mnistctl.models.logit import recipe\n")
    *_, finished = run.train(file, RunOptions(dataset="own", data_dir=own, out_dir=tmp_path, epochs=1))
    assert finished.record.model == "mine"
