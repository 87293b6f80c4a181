"""The arms of a sweep: every combination, the unchanged recipe first, and what is refused."""

import json

import pytest

from mnistctl.cli.errors import describe_error
from mnistctl.errors import UsageError
from mnistctl.models.settings import list_settings
from mnistctl.models.sources import find
from mnistctl.trials import sweep
from mnistctl.trials.sweep import Sweep, plan_sweep


def test_every_combination_is_an_arm_and_the_unchanged_recipe_is_the_first():
    models, plan = plan_sweep(find("conv"), {"optimizer.weight_decay": "0.05,0.2", "batch_size": "500,2000"})
    assert [plan.label(model.name) for model in models] == [
        "conv",
        "weight_decay=0.05, batch_size=500",
        "weight_decay=0.05, batch_size=2000",
        "weight_decay=0.2, batch_size=500",
        "weight_decay=0.2, batch_size=2000",
    ]
    assert models[0] == find("conv")
    assert plan.arms["conv"] == {"optimizer.weight_decay": 0.1, "batch_size": 1000}
    recipe = models[2].load()
    assert recipe.batch_size == 2000
    assert list_settings(recipe)["optimizer.weight_decay"].value == 0.05


def test_combination_that_equals_the_recipe_is_not_run_twice():
    models, plan = plan_sweep(
        find("conv"), {"label_smoothing": "0,0.01", "optimizer.weight_decay": "0.1,0.2"}
    )
    assert len(models) == 4
    assert plan.arms["conv"] == {"label_smoothing": 0.01, "optimizer.weight_decay": 0.1}
    assert "conv-label_smoothing=0.0" in plan.arms


def test_settings_of_the_command_are_those_of_the_unchanged_recipe():
    model = find("conv").with_settings({"net.dropout": 0.2, "label_smoothing": 0.1})
    models, plan = plan_sweep(model, {"net.dropout": "0,0.2,0.5"})
    assert models[0].settings == {"net.dropout": 0.2, "label_smoothing": 0.1}
    assert [each.settings.get("net.dropout", 0.5) for each in models] == [0.2, 0.0, 0.5]
    assert all(each.settings["label_smoothing"] == 0.1 for each in models)
    assert list(plan.arms) == [each.name for each in models]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net.dropout", "0.0"),
        ("seed_offset", "1000"),
        ("epochs", "3"),
        ("lr", "0.25"),
        ("batch_size", "100"),
        ("label_smoothing", "0.1"),
    ],
)
def test_recipe_and_net_of_conv_have_the_settings_that_one_compares(key, value):
    models, _ = plan_sweep(find("conv"), {key: value})
    assert format(list_settings(models[1].load())[key].value) == value


def test_values_of_several_numbers_have_semicolons_between_them():
    models, plan = plan_sweep(find("conv"), {"net.channels": "10,20;5,10"})
    assert [model.settings.get("net.channels") for model in models] == [None, (10, 20), (5, 10)]
    assert plan.assignments() == ["net.channels=10,20;5,10"]
    assert len(plan_sweep(find("conv"), {"net.channels": "10,20"})[0]) == 2


def test_named_optimizers_come_with_their_own_arguments():
    models, plan = plan_sweep(find("conv"), {"optimizer": "adamw,sgd", "lr": "0.1,0.02"})
    assert len(models) == 5
    assert plan.arms["conv"] == {"optimizer": "lamb", "lr": 0.01}
    assert list_settings(models[-1].load())["lr"].value == 0.02


def test_sweep_is_the_same_after_json():
    _, plan = plan_sweep(
        find("conv"), {"net.channels": "10,20;5,10", "shuffle": "false,true", "swa_fraction": "none,0.5"}
    )
    assert Sweep.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    again = dict(assignment.split("=", 1) for assignment in plan.assignments())
    assert plan_sweep(find("conv"), again)[1] == plan


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"net.dropot": "0"}, "--vary net.dropot=0: there is no such setting; did you mean net.dropout?"),
        ({"net.dropout": "0,1"}, "--vary net.dropout=1: give a number, 0 or more, below 1"),
        ({"net.dropout": "0,0.0"}, "--vary net.dropout=0,0.0: a value is given twice"),
        (
            {"net.dropout": "0.5"},
            "--vary net.dropout=0.5: conv has these values already, so that nothing is varied",
        ),
        ({"net.dropout": ""}, "--vary net.dropout=: give a number"),
        ({"optimizer": "adam,lion"}, "--vary optimizer=lion: "),
        ({"batch_size": "10.5"}, "--vary batch_size=10.5: give a whole number"),
    ],
)
def test_wrong_values_are_refused(texts, message):
    with pytest.raises(UsageError) as error:
        plan_sweep(find("conv"), texts)
    assert describe_error(error.value).startswith(message)


def test_too_many_combinations_are_refused(monkeypatch):
    monkeypatch.setattr(sweep, "MAX_ARMS", 5)
    with pytest.raises(UsageError, match="6 combinations are too many; give at most 5"):
        plan_sweep(find("conv"), {"net.hidden": "1,2,3", "epochs": "1,2"})
