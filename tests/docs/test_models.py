"""docs/models.md: the tables of nets and recipes are those of the code."""

import re
from pathlib import Path

from mnistctl import models
from mnistctl.models.settings import list_settings
from mnistctl.models.summary import count_parameters, summarize_recipe
from mnistctl.nn.schedules import Constant, Cosine, Cycle, OneCycle

PAGE = (Path(__file__).parents[2] / "docs/models.md").read_text()


def rows(title):
    """The cells of each model in the table below a heading. A row may be of several models."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\| `.*$", section, re.M)
    ]
    return {name: row[1:] for row in cells for name in re.findall(r"`(\w+)`", row[0])}


def test_nets_have_their_numbers_of_parameters():
    shown = {name: row[-1] for name, row in rows("Nets").items()}
    assert shown == {
        name: " and ".join(f"{count:,}" for count in count_parameters(models.load(name)))
        for name in models.CLASSIFIERS | models.GENERATORS
    }


def describe_optimizer(recipe):
    summary = summarize_recipe(recipe)
    momentum = summary.settings.get("momentum", 0)
    nesterov = ", Nesterov momentum " if summary.settings.get("nesterov") else ", momentum "
    return summary.optimizer + (f"{nesterov}{momentum:g}" if momentum else "")


def describe_schedule(recipe):
    match recipe.lr_schedule:
        case Constant():
            text = "constant"
        case Cosine(floor=floor):
            text = f"cosine, down to {floor:g}" if floor else "cosine"
        case Cycle(fractions=(*fractions, last)):
            text = f"{', '.join(f'{each:g}' for each in fractions)} and {last:g} times the peak, in turn"
        case OneCycle():
            text = "one cycle, in every step"
    averages = getattr(recipe, "swa_epochs", 0)
    return f"{text}, then constant from epoch {recipe.first_averaged} on" if averages else text


def describe_regularization(recipe):
    settings = list_settings(recipe)
    decay = summarize_recipe(recipe).settings.get("weight_decay", 0)
    values = {"dropout": settings.get("net.dropout"), "label smoothing": settings["label_smoothing"]}
    parts = ["augmentation"] if recipe.augment.changes_images else []
    parts += [f"{name} {each.value:g}" for name, each in values.items() if each is not None and each.value]
    parts += [f"weight decay {decay:g}"] if decay else []
    return ", ".join(parts)


def test_recipes_of_the_classifiers_are_those_of_the_code():
    shown = rows("Recipes")
    assert shown.keys() == models.CLASSIFIERS.keys() | models.GENERATORS.keys()
    for name in models.CLASSIFIERS:
        recipe = models.load_classifier(name)
        regularization, schedule = describe_regularization(recipe), describe_schedule(recipe)
        if recipe.baseline is not None:
            baseline = next(each for each in models.CLASSIFIERS if models.load(each) is recipe.baseline)
            assert regularization == describe_regularization(recipe.baseline)
            regularization = f"as {baseline}"
        if name == "swa":
            schedule = schedule.replace(describe_schedule(recipe.baseline), "as conv")
        if recipe.swa_epochs:
            epochs = f"{recipe.first_averaged} to {recipe.epochs}"
            regularization += f"; the weights after epochs {epochs} are averaged"
        numbers = [
            f"{recipe.epochs}",
            f"{recipe.batch_size}",
            describe_optimizer(recipe),
            f"{recipe.peak_lr:g}",
        ]
        assert shown[name] == [*numbers, schedule, regularization], name


def test_recipes_of_the_gans_are_those_of_the_code():
    for name in models.GENERATORS:
        recipe = models.load_generator(name)
        low, high = recipe.real_targets
        optimizer = f"{describe_optimizer(recipe)}, one per net"
        numbers = [f"{recipe.epochs}", f"{recipe.batch_size}", optimizer, f"{recipe.peak_lr:g}"]
        targets = f"targets of real images from {low:g} to {high:g}"
        assert rows("Recipes")[name] == [*numbers, describe_schedule(recipe), targets]
