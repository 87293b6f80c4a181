"""The pages of the models: sizes, recipes, outputs, and the results that their docstrings state."""

import importlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import results
import torch

from mnistctl import models
from mnistctl.errors import UsageError
from mnistctl.evaluation import statistics

RECORDS = Path(__file__).parents[2] / "records"

PARAMETERS = {
    "logit": 7_850,
    "linear": 636_010,
    "conv": 431_080,
    "swa": 431_080,
    "simple": 1_022_656,
    "wsimple": 1_022_656,
    "lstm": 214_282,
    "fast": 108_922,
    "best": 150_890,
}
OWN_RECIPES = {  # which were not published before: batch size, epochs, peak rate, label smoothing, shuffled
    "fast": (125, 1, 0.01, 0.05, True),
    "best": (100, 80, 0.003, 0.01, True),
}
GAN_PARAMETERS = {"gan": (837_504, 659_456), "cgan": (878_564, 700_964)}  # generator, discriminator


def page(name):
    return importlib.import_module(f"mnistctl.models.{name}").__doc__


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_classifier_has_its_number_of_parameters(name):
    assert sum(p.numel() for p in models.load(name).net().parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_classifier_gives_ten_logits_per_image(name):
    assert models.load(name).net().eval()(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_page_states_the_number_of_parameters(name):
    assert f"{PARAMETERS[name]:,} parameters" in page(name)


@pytest.mark.parametrize("name", models.GENERATORS)
def test_gan_has_the_published_numbers_of_parameters_and_its_page_states_them(name):
    recipe = models.load_generator(name)
    nets = recipe.generator(), recipe.discriminator()
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert tuple(counts) == GAN_PARAMETERS[name]
    assert "{:,} and {:,} parameters".format(*counts) in page(name)
    assert not [
        m for net in nets for m in net.modules() if "Conv" in repr(m).split("(")[0] and m.bias is not None
    ]


@pytest.mark.parametrize("name", models.GENERATORS)
def test_generator_gives_images_and_discriminator_one_logit_per_image(name):
    recipe = models.load_generator(name)
    condition = recipe.condition(torch.tensor([3, 4]))
    images = recipe.generator().eval()(torch.randn(2, 100, 1, 1), *condition)
    assert images.shape == (2, 1, 28, 28)
    assert float(images.detach().abs().max()) <= 1
    assert recipe.discriminator().eval()(images, *condition).shape == (2,)


def test_output_of_a_conditional_net_depends_on_the_digit():
    recipe = models.load_generator("cgan")
    noise = torch.randn(1, 100, 1, 1).expand(10, -1, -1, -1)
    assert len(recipe.generator().eval()(noise, torch.arange(10)).detach().unique(dim=0)) == 10
    pixels = torch.randn(1, 1, 28, 28).expand(10, -1, -1, -1)
    assert len(recipe.discriminator().eval()(pixels, torch.arange(10)).detach().unique()) == 10


def test_model_of_the_wrong_kind_is_a_usage_error():
    for load, name in ((models.load_classifier, "gan"), (models.load_generator, "conv")):
        with pytest.raises(UsageError, match=f"{name} is a (classifier|generator)"):
            load(name)


def test_recipes_are_the_published_ones_and_our_own():
    recipes = {
        n: (r.batch_size, r.epochs, r.peak_lr, r.label_smoothing, r.shuffle)
        for n in models.CLASSIFIERS
        if (r := models.load(n))
    }
    published = {
        "logit": (100, 20, 0.04, 0.0, True),
        "linear": (100, 50, 0.05, 0.0, True),
        "conv": (1000, 50, 0.01, 0.01, True),
        "swa": (1000, 50, 0.01, 0.01, True),
        "simple": (100, 50, 0.01, 0.01, True),
        "wsimple": (100, 75, 0.002, 0.01, True),
        "lstm": (60, 40, 0.001, 0.0, False),
    }
    assert recipes == published | OWN_RECIPES


def test_conv_anneals_over_its_number_of_epochs_down_to_its_floor():
    recipe = models.load("conv")
    for epochs in (10, 50):
        rates = recipe.lr_schedule(recipe.peak_lr, epochs)
        assert len(rates) == epochs
        assert rates[0] == 0.01
        assert rates[epochs // 2] == pytest.approx(0.005)
        assert min(rates) >= 0.0002
    assert recipe.lr_schedule(0.01, 50)[-1] == 0.0002


def test_learning_rate_is_constant_from_the_first_averaged_epoch():
    swa, conv = models.load("swa"), models.load("conv")
    assert (swa.swa_epochs, swa.baseline, conv.swa_epochs) == (20, conv, 0)
    assert swa.learning_rates()[:31] == conv.learning_rates()[:31]
    assert swa.learning_rates()[31:] == (conv.learning_rates()[30],) * 19
    wsimple = models.load("wsimple")
    assert wsimple.swa_epochs == 25
    assert set(wsimple.learning_rates()[50:]) == {0.001 * (1 + math.cos(math.pi * 50 / 75))}
    assert [replace(swa, epochs=n).swa_epochs for n in (1, 2, 5, 10)] == [1, 1, 2, 4]


def test_lstm_repeats_four_rates_relative_to_the_peak():
    recipe = models.load("lstm")
    assert recipe.learning_rates()[:5] == (0.001, 0.0005, 0.0002, 0.0001, 0.001)
    assert replace(recipe, peak_lr=0.01).learning_rates()[1] == 0.005


def test_simple_has_the_published_number_of_layers_and_initial_weights():
    torch.manual_seed(0)
    net = models.load("simple").net()
    assert sum(not list(module.children()) for module in net.modules()) == 57
    weight = net[4][0].weight  # 64 to 96 channels, 3 x 3
    assert float(weight.detach().std()) == pytest.approx((2 * 2 / (9 * (64 + 96))) ** 0.5, rel=0.02)
    assert (net[4][1].eps, net[4][1].momentum) == (1e-5, 0.05)


def test_unknown_model_is_a_usage_error():
    with pytest.raises(UsageError, match="choose one of logit"):
        models.load("resnet")


@pytest.fixture(scope="module")
def recorded():
    return results.read_results(RECORDS)


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_page_states_the_recorded_accuracy_and_lists_its_records(name, recorded):
    runs = results.choose_results(recorded, name).values()
    summary = statistics.summarize([run.accuracy for run in runs])
    assert f"{summary.mean:.3f} % of MNIST's test images" in page(name)
    number = "one seed" if summary.n == 1 else f"mean of {summary.n} seeds (SD {summary.sd:.3f})"
    assert number in page(name)
    listed = {Path(path).stem for path in re.findall(r"records/([\w.-]+)", page(name))}
    assert {run.record for run in runs} == listed


@pytest.mark.parametrize("name", models.GENERATORS)
def test_page_states_the_recorded_quality_of_generated_images(name):
    record = json.loads((RECORDS / f"{name}-eval.json").read_text())
    assert f"Fréchet distance {record['frechet']['value']:.3f}" in page(name)
    assert f"other real images have {record['frechet_floor']:.3f}" in page(name)
    if name == "cgan":
        assert f"{record['asked']['value']:.2f} %" in page(name)
