"""The configuration of a run."""

import pytest
import torch

from mnistctl import models
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
