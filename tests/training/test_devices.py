"""Training, scoring and drawing on every device of this machine: results of the CPU, and the same bits again.

On a machine without a GPU these are a few runs on the CPU, which test that the tests work.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from trial_settings import make_settings

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.errors import UsageError
from mnistctl.evaluation.predictions import load_classifiers, predict
from mnistctl.inference.sampling import TrainedGenerator
from mnistctl.nn.augmentation import Augmentation
from mnistctl.nn.device import autocast_for, get_device, list_devices, set_arithmetic
from mnistctl.nn.fusion import has_batch_norm
from mnistctl.training.classifier import ClassifierTraining, iterate_batches, train_step
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.trials.worker import arms_of, run_trial

CPU = torch.device("cpu")
WEIGHTS = Path(models.__file__).parent / "weights"
FEW = ("logit", "conv")  # of the runs on the CPU, of which there are many tests
EVERYTHING = Augmentation(
    shift=2, rotation=10, scale=0.1, shear=0.1, elastic=0.5, elastic_width=4, stroke=0.5, erase=0.2, mixup=0.2
)


def on_every_device(names):
    """Parameters (device, name): all names on a GPU, few of them on the CPU."""
    return pytest.mark.parametrize(
        ("device", "name"),
        [(str(d), name) for d in list_devices() for name in names if d != CPU or name in FEW],
    )


def make_options(device, own, folder, **changes):
    options = {"dataset": "own", "data_dir": own, "out_dir": folder, "device": device, "threads": 1}
    return RunOptions(**options | {"epochs": 2, "batch_size": 100, "name": "run"} | changes)


def train_whole(name, options, **flags):
    """The record of the run, as JSON."""
    list(train(name, options, **flags))
    return json.loads((options.out_dir / "run.json").read_text())


def without_dropout(net):
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@on_every_device(models.CLASSIFIERS)
def test_loss_and_gradients_of_a_step_are_those_of_the_cpu(device, name, dtype):
    """In float64, and in float32, which fails with TF32.

    The rounding of float32 alone changes SimpNet's first gradients by up to 0.08 of their norm. torch's batch
    norm adds 39,200 numbers one after another on a CPU, and thirteen layers amplify the error.
    """
    set_arithmetic()
    recipe = models.load_classifier(name)
    recipe = replace(recipe, net=lambda: without_dropout(models.load_classifier(name).net()))
    recipe = replace(recipe, batch_size=50, augment=Augmentation())
    results = []
    for place in (CPU, get_device(device)):
        training = ClassifierTraining(recipe, 0, place)
        training.net.train().to(dtype)
        digits = Digits.of(datasets.load("sample", None, "train")[0], place)
        x, y = next(iterate_batches(training, digits, 1))
        loss = train_step(training, x.to(dtype), y)
        gradients = torch.cat([param.grad.flatten() for param in training.params if param.grad is not None])
        results.append((loss.cpu(), gradients.cpu()))
    (loss, gradients), (own_loss, own_gradients) = results
    assert gradients.dtype == dtype
    tolerance = 1e-9 if dtype == torch.float64 else 0.2 if has_batch_norm(recipe.net()) else 1e-3
    torch.testing.assert_close(own_loss, loss, rtol=min(tolerance, 1e-4), atol=min(tolerance, 1e-5))
    assert (own_gradients - gradients).norm() < tolerance * gradients.norm()


@on_every_device((*models.CLASSIFIERS, *models.GENERATORS))
def test_run_gives_the_same_bits_again_and_after_a_stop(device, name, own, tmp_path):
    whole = train_whole(name, make_options(device, own, tmp_path / "whole"))
    again = train_whole(name, make_options(device, own, tmp_path / "again"))
    assert again["state_digest"] == whole["state_digest"]
    options = make_options(device, own, tmp_path / "parts")
    run = train(name, options)
    next(event for event in run if getattr(event, "epoch", 0) == 1 and hasattr(event, "seconds"))
    run.close()
    resumed = train_whole(name, options, resume=True)
    assert resumed["resumed"][0]["after"] == 1
    assert (resumed["digest"], resumed["state_digest"]) == (whole["digest"], whole["state_digest"])
    assert whole["device"] == str(get_device(device))


@on_every_device(("conv", "lstm", "cgan"))
def test_bf16_trains_where_the_device_has_it(device, name, own, tmp_path):
    try:
        autocast_for("bf16", get_device(device))
    except UsageError as error:
        pytest.skip(error.message)
    plain = train_whole(name, make_options(device, own, tmp_path / "float32"))
    rounded = train_whole(name, make_options(device, own, tmp_path / "bf16", precision="bf16"))
    losses = "losses" if plain.get("losses") else "discriminator_losses"
    assert rounded[losses] == pytest.approx(plain[losses], rel=0.1)
    assert rounded["digest"] != plain["digest"]


@on_every_device(("conv",))
def test_augmented_steps_give_the_same_bits_again(device, name):
    digits = Digits.of(datasets.load("sample", None, "train")[0], get_device(device))
    recipe = replace(models.load_classifier(name), augment=EVERYTHING, batch_size=100)
    losses = []
    for _ in range(2):
        training = ClassifierTraining(recipe, 0, digits.device)
        training.net.train()
        batches = list(iterate_batches(training, digits, 1))[:3]
        losses.append([train_step(training, x, y).item() for x, y in batches])
    assert losses[0] == losses[1]


@on_every_device(models.CLASSIFIERS)
def test_trial_has_the_bits_of_train(device, name, own, tmp_path):
    result = run_trial(name, 3, make_settings(own, device=device, epochs=2))
    for arm, recipe in arms_of(name).items():
        record = train_whole(recipe, make_options(device, own, tmp_path / arm, seed=3))
        assert (result.digests[arm], result.accuracies[arm]) == (record["digest"], record["accuracy"])


@pytest.mark.parametrize("device", [str(device) for device in list_devices()])
def test_trained_nets_answer_and_draw_as_on_the_cpu(device):
    digits = datasets.load("sample", None, "test")[0]
    logits = []
    for place in ("cpu", device):
        (classifier,) = load_classifiers([WEIGHTS / "pretrained.safetensors"], device=place)
        logits.append(predict(classifier, Digits.of(digits, classifier.device)).logits.cpu())
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-3, atol=1e-3)
    images = [
        TrainedGenerator.load(WEIGHTS / "pretrained-cgan.safetensors", device=place).draw(20, 1).images
        for place in ("cpu", device)
    ]
    assert np.abs(images[0].astype(int) - images[1]).max() <= 1
