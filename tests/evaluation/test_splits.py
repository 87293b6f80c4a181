"""`eval --split`: the held-out digits of a net, and the training digits without them."""

import json

import pytest

from mnistctl.cli.errors import describe_error
from mnistctl.errors import UsageError
from mnistctl.evaluation.predictions import load_classifiers
from mnistctl.evaluation.splits import load_split_for
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train

NAMES = {"a": 100, "b": 100, "c": 200, "plain": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of runs with these numbers of held-out digits, of different seeds."""
    out = tmp_path_factory.mktemp("out")
    for seed, (name, count) in enumerate(NAMES.items()):
        values = {"epochs": 1, "batch_size": 100, "dataset": "sample", "threads": 1}
        list(train("logit", RunOptions(out_dir=out, name=name, holdout=count, seed=seed, **values)))
    return out


def classifiers(folder, *names):
    return load_classifiers([folder / f"{name}.safetensors" for name in names])


def test_validation_split_has_the_score_of_the_record(folder, mnistctl):
    for nets in (["a"], ["c"]):
        paths = [str(folder / f"{net}.safetensors") for net in nets]
        ran = mnistctl("eval", *paths, "--split", "validation", "--json", "--no-charts")
        assert ran.returncode == 0, ran.stderr
        body, record = json.loads(ran.stdout), json.loads((folder / f"{nets[0]}.json").read_text())
        assert (body["split"], body["count"]) == ("validation", NAMES[nets[0]])
        assert (body["accuracy"], body["loss"]) == (record["accuracy"], record["validation_losses"][-1])
        assert body["warnings"] == []


def test_training_split_leaves_out_what_any_of_the_nets_held_out(folder):
    counts = {
        names: len(load_split_for(classifiers(folder, *names), "sample", None, "train").arrays.labels)
        for names in (("plain",), ("a",), ("a", "b"), ("a", "c", "plain"))
    }
    assert counts == {("plain",): 4000, ("a",): 3900, ("a", "b"): 3900, ("a", "c", "plain"): 3800}


def test_test_split_is_the_whole_one(folder):
    assert len(load_split_for(classifiers(folder, "a"), "sample", None, "test").arrays.labels) == 1000


WITHOUT = (
    "--split validation: plain was trained without held-out digits; "
    "use a model that was trained with --holdout, or --split test"
)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["plain"], WITHOUT),
        (["a", "plain"], WITHOUT),
        (["a", "c"], "--split validation: a and c were trained with different held-out digits"),
    ],
)
def test_nets_without_common_held_out_digits_are_refused(names, message, folder):
    with pytest.raises(UsageError) as error:
        load_split_for(classifiers(folder, *names), "sample", None, "validation")
    assert describe_error(error.value) == message


def test_other_digits_than_those_held_out_are_refused(folder, own):
    with pytest.raises(UsageError, match="the training digits of own do not have those that a held out"):
        load_split_for(classifiers(folder, "a"), "own", own, "validation")
    assert len(load_split_for(classifiers(folder, "a"), "own", own, "train").arrays.labels) == 600
