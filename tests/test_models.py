"""The catalogue: every model is what its paper says, and can be trained as it stands."""

import importlib

import pytest
import torch

from mnistctl import models
from mnistctl.errors import UsageError

PARAMETERS = {"logit": 7_850, "linear": 636_010, "conv": 431_080}


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_a_model_has_the_published_number_of_parameters(name):
    assert sum(p.numel() for p in models.load(name).net().parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_a_model_gives_ten_logits_for_each_digit(name):
    assert models.load(name).net().eval()(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_a_page_opens_with_a_sentence_that_counts_its_parameters(name):
    assert f"{PARAMETERS[name]:,} parameters" in importlib.import_module(f"mnistctl.models.{name}").__doc__


def test_the_recipes_are_the_published_ones():
    told = {
        n: (r.batch, r.epochs, r.peak, r.smoothing, r.shuffle)
        for n in models.CLASSIFIERS
        if (r := models.load(n))
    }
    assert told == {
        "logit": (100, 20, 0.04, 0.0, True),
        "linear": (100, 50, 0.05, 0.0, True),
        "conv": (1000, 50, 0.01, 0.01, True),
    }


def test_conv_anneals_over_its_own_length_down_to_its_floor():
    recipe = models.load("conv")
    for epochs in (10, 50):
        rates = recipe.rates(recipe.peak, epochs)
        assert len(rates) == epochs
        assert rates[0] == 0.01
        assert rates[epochs // 2] == pytest.approx(0.005)
        assert min(rates) >= 0.0002
    assert recipe.rates(0.01, 50)[-1] == 0.0002


def test_an_unknown_model_is_a_usage_error():
    with pytest.raises(UsageError, match="there are logit"):
        models.load("resnet")
