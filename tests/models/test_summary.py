"""Summaries of models: layers, recipes, published accuracies."""

import json
from dataclasses import replace

import pytest
from torch.optim import SGD

from mnistctl import models
from mnistctl.models.summary import RecipeSummary, summarize_nets, summarize_recipe
from mnistctl.nn.augmentation import Augmentation

MODELS = [*models.CLASSIFIERS, *models.GENERATORS]


@pytest.mark.parametrize("name", MODELS)
def test_recipe_summary_is_unchanged_by_json(name):
    summary = summarize_recipe(models.load(name))
    assert RecipeSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_recipe_summary_states_what_is_trained():
    swa, gan = (summarize_recipe(models.load(name)) for name in ("swa", "gan"))
    assert (swa.optimizer, swa.settings["lr"], swa.settings["weight_decay"]) == ("LAMB", 0.01, 0.1)
    assert (swa.batch_size, swa.label_smoothing, swa.shuffle, swa.swa_epochs) == (1000, 0.01, True, 20)
    assert swa.lr_schedule == models.load("swa").learning_rates()
    assert (swa.conditional, swa.real_targets) == (None, None)
    assert (gan.optimizer, gan.settings["betas"]) == ("Adam", (0.5, 0.999))
    assert (gan.conditional, gan.real_targets, gan.swa_epochs) == (False, (0.8, 1.0), None)


def test_recipe_summary_states_the_augmentation_if_there_is_one():
    recipe = models.load("conv")
    assert summarize_recipe(recipe).augment is None
    summary = summarize_recipe(replace(recipe, augment=Augmentation(shift=2, mixup=0.4)))
    assert summary.to_json()["augment"]["shift"] == 2
    assert RecipeSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_optimizer_of_a_summary_gets_the_parameters_of_the_net_in_a_list():
    def optimizer(params):
        assert [len(weight) for weight in params[1:]] == [10]
        return SGD(params, lr=0.1, momentum=0.5)

    summary = summarize_recipe(replace(models.load("logit"), optimizer=optimizer))
    assert (summary.optimizer, summary.settings["momentum"]) == ("SGD", 0.5)


def test_recipe_of_an_old_record_is_read():
    old = {
        "epochs": 2,
        "batch": 1000,
        "rates": [0.01, 0.005],
        "optimizer": "LAMB",
        "settings": {"betas": [0.9, 0.999], "lr": 0.01},
        "smoothing": 0.01,
        "shuffle": True,
        "averaged": 0,
    }
    recipe = RecipeSummary.from_json(old)
    assert (recipe.batch_size, recipe.lr_schedule) == (1000, (0.01, 0.005))
    assert (recipe.label_smoothing, recipe.swa_epochs) == (0.01, 0)
    with pytest.raises(ValueError, match="epochs"):
        RecipeSummary.from_json(old | {"epochs": "two"})


def test_layers_are_listed_in_the_order_of_the_forward_pass():
    (layers,) = summarize_nets(models.load("conv")).values()
    assert [layer.output for layer in layers if layer.parameters] == [(20, 24, 24), (50, 8, 8), (500,), (10,)]
    assert sum(layer.parameters for layer in layers) == 431_080
    nets = summarize_nets(models.load("cgan"))
    assert [*nets] == ["generator", "discriminator"]
    assert nets["generator"][0].name.startswith("second")  # the embedding of the digit
    assert nets["generator"][-1].output == (1, 28, 28)
