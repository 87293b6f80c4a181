"""Every value of every shipped recipe can be listed and set, within its range."""

import functools
from dataclasses import dataclass, replace

import pytest
from torch.optim import SGD

from mnistctl import models
from mnistctl.errors import UsageError
from mnistctl.models.settings import list_settings, parse_settings
from mnistctl.models.sources import find
from mnistctl.models.summary import summarize_nets, summarize_recipe
from mnistctl.models.values import Range, format_value
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.schedules import Cycle

ALL = [*models.CLASSIFIERS, *models.GENERATORS]
CATALOGUE = [(model, key) for model in ALL for key in list_settings(models.load(model))]
LARGE = ("simple", "wsimple", "gan", "cgan")  # whose nets take long to make
# Values for settings whose neighbours in the range are too large or mean the same.
OTHER = {"optimizer": "adamw", "schedule": "cosine", "schedule.fractions": "1,0.5", "swa_fraction": "0.5"}

# SGD's arguments exclude each other.
NEEDED = {
    ("logit", "optimizer.nesterov"): {"optimizer.momentum": "0.9"},
    ("linear", "optimizer.dampening"): {"optimizer.nesterov": "false"},
}


def other_value(setting):
    """Text with another value of the setting."""
    value = setting.value
    if setting.key in OTHER:
        return "cycle" if value == "cosine" else "sgd" if value == "adamw" else OTHER[setting.key]
    if isinstance(value, bool):
        return format_value(not value)
    if isinstance(value, tuple):
        return ",".join(format_value(_other_number(number)) for number in value)
    return format_value(_other_number(value))


def _other_number(number):
    return max(1, number // 2) + (number < 2) if isinstance(number, int) else number / 2 or 0.25


@functools.cache
def _layers(model):
    return summarize_nets(models.load(model))


def marked(model, key):
    """The parameters of a test; models with the net of another one take long."""
    return pytest.param(model, key, marks=pytest.mark.long if model in ("wsimple", "cgan") else ())


@pytest.mark.parametrize(("model", "key"), [marked(*each) for each in CATALOGUE])
def test_each_setting_has_a_type_and_can_be_changed(model, key):
    recipe = models.load(model)
    setting = list_settings(recipe)[key]
    assert setting.values
    if not setting.choices and setting.type not in ("text", "true or false"):
        assert setting.range != Range(), "without a range"
    value = parse_settings(recipe, {key: other_value(setting)} | NEEDED.get((model, key), {}))
    changed = find(model).with_settings(value)
    assert changed.name != model
    assert changed.name.startswith(model)
    after = changed.load()  # which takes a step with it
    assert list_settings(after)[key].value == value[key]
    part = key.partition(".")[0]
    if part in ("net", "generator", "discriminator"):
        if model not in LARGE:
            assert summarize_nets(after) != _layers(model)
        assert getattr(after, part) is not getattr(recipe, part)
    elif part in ("schedule", "seed_offset"):
        assert after != recipe
    else:
        assert summarize_recipe(after) != summarize_recipe(recipe)


@pytest.mark.parametrize("model", ALL)
def test_own_values_of_a_recipe_are_among_its_settings(model):
    recipe = models.load(model)
    settings = list_settings(recipe)
    assert settings["lr"].value == recipe.peak_lr
    assert settings["optimizer"].known
    assert settings["schedule"].known
    texts = {key: format_value(s.value) for key, s in settings.items() if s.value != ()}
    assert parse_settings(recipe, texts) == {key: settings[key].value for key in texts}


@pytest.mark.parametrize(
    ("low", "high"), [("0", "1"), ("-1", "0.5"), ("nan", "0.5"), ("inf", "0.5"), ("1e999", "0")]
)
def test_each_value_of_a_pair_must_be_in_the_range(low, high):
    with pytest.raises(UsageError, match="give 2 numbers with commas, each 0 or more, below 1"):
        parse_settings(models.load("conv"), {"optimizer.betas": f"{low},{high}"})


def test_named_optimizer_has_its_own_defaults_for_what_is_not_set():
    recipe = find("conv").with_settings({"optimizer": "adamw", "optimizer.weight_decay": 0.3}).load()
    settings = summarize_recipe(recipe).settings
    assert summarize_recipe(recipe).optimizer == "AdamW"
    assert (settings["lr"], settings["weight_decay"], settings["betas"]) == (0.001, 0.3, (0.9, 0.999))


def test_averaging_recipe_and_its_baseline_get_the_same_settings():
    changed = find("swa").with_settings({"net.dropout": 0.25, "label_smoothing": 0.1}).load()
    assert changed.net is changed.baseline.net
    assert changed.baseline.label_smoothing == 0.1
    assert find("swa").with_settings({"swa_fraction": None}).load().baseline is None


def test_averaging_recipe_and_its_baseline_have_the_same_augmentation():
    changed = find("swa").with_settings({"augment.shift": 2.0, "augment.elastic_width": 3.0}).load()
    assert changed.augment == changed.baseline.augment == Augmentation(shift=2, elastic_width=3)
    settings = list_settings(changed)
    assert all(settings[f"augment.{name}"].type == "a number" for name in vars(Augmentation()))


def test_whole_amounts_of_an_own_recipe_can_be_changed_to_others():
    recipe = replace(models.load("logit"), augment=Augmentation(shift=2))
    assert parse_settings(recipe, {"augment.shift": "1.5"}) == {"augment.shift": 1.5}


def test_whole_numbers_of_an_own_recipe_can_be_changed_to_others():
    conv, gan = models.load("conv"), models.load("gan")
    cycle = replace(conv, peak_lr=1, label_smoothing=0, swa_fraction=1, lr_schedule=Cycle((1, 1)))
    texts = {"lr": "0.5", "label_smoothing": "0.1", "swa_fraction": "0.5", "schedule.fractions": "1,0.5"}
    assert list(parse_settings(cycle, texts).values()) == [0.5, 0.1, 0.5, (1.0, 0.5)]
    targets = parse_settings(replace(gan, real_targets=(0, 1)), {"real_targets": "0.8,1"})
    assert targets == {"real_targets": (0.8, 1.0)}
    for key in ("epochs", "batch_size", "seed_offset", "net.channels"):
        with pytest.raises(UsageError, match="whole number"):
            parse_settings(conv, {key: "1.5,2.5" if key == "net.channels" else "1.5"})


def test_ranges_of_the_augmentation_do_not_hold_for_arguments_of_nets():
    def net(scale: float = 30.0, shift: float = -1.0):
        raise NotImplementedError

    settings = list_settings(replace(models.load("logit"), net=net))
    assert settings["net.scale"].range == settings["net.shift"].range == Range()


def test_own_parts_have_no_ranges_and_their_whole_numbers_stay_whole():
    def net(alpha: float = 1.0):
        raise NotImplementedError

    class Own(SGD):
        def __init__(self, params, lr: float = 0.01, every: int = 2):
            raise NotImplementedError

    @dataclass(frozen=True)
    class Warm:
        warmup: int = 5

    recipe = replace(models.load("logit"), net=net, optimizer=Own, lr_schedule=Warm())
    values = parse_settings(recipe, {"schedule.warmup": "7", "optimizer.every": "3", "net.alpha": "1.5"})
    assert list(values.values()) == [7, 3, 1.5]
    assert [type(value) for value in values.values()] == [int, int, float]


def test_long_settings_are_a_digest_in_the_name():
    settings = {"optimizer": "adamw", "optimizer.weight_decay": 0.123456789, "net.channels": (30, 60)}
    name = find("conv").with_settings(settings | {"label_smoothing": 0.123456789}).name
    assert name.startswith("conv-set-")
    assert len(name) < 30
