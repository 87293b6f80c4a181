"""The training loop, on a few digits of the sample."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.errors import DivergedError, UsageError
from mnistctl.evaluation.metrics import Mismatches, compute_score, find_mismatches
from mnistctl.nn import device
from mnistctl.nn.device import autocast_for
from mnistctl.nn.fusion import optimize_for
from mnistctl.training.classifier import ClassifierTraining, fit, iterate_batches, train_step
from mnistctl.training.events import AveragedWeights, Epoch, Progress

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    train, _ = datasets.load("sample", None, "train")
    test, _ = datasets.load("sample", None, "test")
    return Digits.of(train, CPU), Digits.of(test, CPU)


def some(digits, n):
    return Digits(digits.images[:n], digits.labels[:n])


def epochs(training, digits):
    return [e for e in fit(training, *digits) if isinstance(e, Epoch)]


def test_pixels_are_scaled_to_minus_one_to_one(digits):
    pixels, labels = digits[0].take(slice(0, 50))
    assert pixels.shape == (50, 1, 28, 28)
    assert (float(pixels.min()), float(pixels.max())) == (-1.0, 1.0)
    assert labels[:10].tolist() == list(range(10))


def test_train_step_of_logit_equals_the_gradient_computed_by_hand(digits):
    recipe = models.load("logit")
    training = ClassifierTraining(recipe, 0, CPU)
    pixels, labels = digits[0].take(slice(0, 100))
    x, linear = pixels.flatten(1).double(), training.net[1]
    weight = linear.weight.detach().double().clone()
    logits = x @ weight.T + linear.bias.detach().double()
    gradient = (logits.softmax(1) - F.one_hot(labels, 10)).T @ x / 100
    training.optimizer.param_groups[0]["lr"] = 0.04
    train_step(training, pixels, labels)
    torch.testing.assert_close(
        linear.weight.detach().double(), weight - 0.04 * gradient, rtol=1e-4, atol=1e-6
    )


def test_hooks_that_the_optimizer_adds_to_parameters_are_called(digits):
    def make_optimizer(params):
        params = list(params)
        for param in params:
            param.register_hook(torch.zeros_like)
        return torch.optim.SGD(params, lr=0.1)

    recipe = replace(models.load("linear"), optimizer=make_optimizer)
    training = ClassifierTraining(recipe, seed=0, device=CPU)
    before = copy.deepcopy(training.net.state_dict())
    train_step(training, *digits[0].take(slice(0, 100)))
    assert all(map(torch.equal, before.values(), training.net.state_dict().values()))


def test_micro_batches_give_the_gradients_and_the_loss_of_the_whole_batch(digits):
    recipe = replace(models.load("conv"), optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    pixels, labels = digits[0].take(slice(0, 250))  # the last micro-batch is shorter
    training = ClassifierTraining(recipe, 0, CPU)
    assert training.micro_batch_size == 200
    training.net.eval()  # dropout off: its masks depend on the micro-batches
    loss = train_step(training, pixels, labels)
    gradients = [p.grad.clone() for p in training.net.parameters()]
    training.net.zero_grad()
    plain = recipe.net()
    plain.load_state_dict(training.net.state_dict())
    whole = F.cross_entropy(plain.eval()(pixels), labels, label_smoothing=0.01)
    whole.backward()
    assert float(loss) == pytest.approx(float(whole.detach()), rel=1e-5)
    for ours, theirs in zip(gradients, plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad, rtol=1e-3, atol=1e-6)


def test_same_seed_gives_same_weights_and_another_seed_does_not(digits):
    recipe = replace(models.load("conv"), epochs=1, batch_size=300)
    subset = some(digits[0], 600), some(digits[1], 100)
    digests = []
    for seed in (0, 0, 1):
        training = ClassifierTraining(recipe, seed, CPU)
        epochs(training, subset)
        digests.append(checkpoint.digest(training.net.state_dict()))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name == "wsimple" else ()) for name in models.CLASSIFIERS],
)
def test_restored_training_ends_with_the_bits_of_an_uninterrupted_one(name, digits, tmp_path):
    recipe = replace(models.load(name), epochs=2, batch_size=20)
    subset = some(digits[0], 40), some(digits[1], 20)
    whole = ClassifierTraining(recipe, 0, CPU)
    expected = epochs(whole, subset)
    first, second = ClassifierTraining(recipe, 0, CPU), ClassifierTraining(recipe, 0, CPU)
    events = fit(first, *subset)
    while first.epoch < 1:
        if isinstance(next(events), Epoch):
            torch.rand(3)  # random draws of the caller between epochs change nothing
    checkpoint.save(tmp_path / "half", checkpoint.RUN, {}, first.state())
    second.restore(checkpoint.load(tmp_path / "half", checkpoint.RUN)[1])
    rest = epochs(second, subset)
    assert [replace(e, seconds=0) for e in rest] == [replace(e, seconds=0) for e in expected[1:]]
    assert checkpoint.digest(second.state()) == checkpoint.digest(whole.state())


def test_learning_rate_of_every_step_is_that_of_the_schedule(digits):
    recipe = replace(models.load("fast"), epochs=2, batch_size=100)
    training, rates = ClassifierTraining(recipe, 0, CPU), []
    for event in fit(training, some(digits[0], 450), some(digits[1], 100)):
        if isinstance(event, Progress):
            rates.append(training.optimizer.param_groups[0]["lr"])
    assert tuple(rates) == recipe.lr_schedule(0.01, 10)


def test_averaged_epochs_keep_the_rate_of_the_first_of_them_whatever_the_schedule():
    recipe = replace(models.load("fast"), epochs=4, swa_fraction=0.5)
    assert recipe.learning_rates_by_step(5)(3) == recipe.lr_schedule(0.01, 20)[10:15]
    assert recipe.learning_rates_by_step(5)(4) == (recipe.learning_rates()[2],) * 5


def test_learning_rate_far_too_high_raises_diverged_error(digits):
    recipe = replace(models.load("linear"), epochs=3, peak_lr=1e12)
    with pytest.raises(DivergedError, match=r"no longer a finite number .*peak learning rate"):
        list(fit(ClassifierTraining(recipe, 0, CPU), *digits))


class Scaled(nn.Module):
    """Multiplies by a number."""

    factor = 1.0

    def forward(self, x):
        return x * self.factor


def with_statistics_of_scaled_pixels(**fields):
    def net():
        return nn.Sequential(nn.Flatten(), Scaled(), nn.BatchNorm1d(784), nn.Linear(784, 10))

    return replace(models.load("logit"), net=net, epochs=2, **fields)


def test_statistics_of_batch_norm_that_overflow_raise_diverged_error(digits):
    subset = some(digits[0], 200), some(digits[1], 20)
    training = ClassifierTraining(with_statistics_of_scaled_pixels(), 0, CPU)
    training.net[
        1
    ].factor = 1e20  # whose square is beyond float32; batch norm gives 0, and the loss is finite
    with pytest.raises(DivergedError, match=r"epoch 1: a loss, a weight or a buffer is no longer a finite"):
        epochs(training, subset)
    training = ClassifierTraining(with_statistics_of_scaled_pixels(swa_fraction=1.0), 0, CPU)
    with pytest.raises(DivergedError, match=r"averaged weights: .*\(test loss \d"):
        for event in fit(training, *subset):
            if isinstance(event, Epoch):
                training.final_net[1].factor = 1e20


def test_training_with_infinite_moments_is_restored(digits, tmp_path):
    recipe = replace(models.load("conv"), optimizer=Adam, peak_lr=1e6, epochs=2, batch_size=20)
    subset = some(digits[0], 40), some(digits[1], 20)
    whole, first, second = (ClassifierTraining(recipe, 0, CPU) for _ in range(3))
    epochs(whole, subset)
    next(event for event in fit(first, *subset) if isinstance(event, Epoch))
    state = first.state()
    assert not all(bool(tensor.isfinite().all()) for tensor in state.values())
    checkpoint.save(tmp_path / "half", checkpoint.RUN, {}, state)
    second.restore(checkpoint.load(tmp_path / "half", checkpoint.RUN)[1])
    epochs(second, subset)
    assert checkpoint.digest(second.state()) == checkpoint.digest(whole.state())


class FadingLoss(nn.Module):
    """The cross entropy, weighted less with every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(()))

    def forward(self, logits, labels):
        self.weight.mul_(0.9)
        return self.weight * F.cross_entropy(logits, labels)


def test_loss_that_changes_is_restored(digits):
    recipe = replace(models.load("logit"), loss=FadingLoss(), epochs=2, batch_size=20)
    subset = some(digits[0], 40), some(digits[1], 20)
    whole, first, second = (ClassifierTraining(recipe, 0, CPU) for _ in range(3))
    epochs(whole, subset)
    next(event for event in fit(first, *subset) if isinstance(event, Epoch))
    second.restore(first.state())
    first.loss.weight.zero_()  # it is a copy
    epochs(second, subset)
    assert float(second.loss.weight) == pytest.approx(0.9**4)
    assert checkpoint.digest(second.state()) == checkpoint.digest(whole.state())


def test_mismatches_are_the_misclassified_digits(digits):
    ten = some(digits[1], 10)
    outputs = F.one_hot(torch.tensor([0, 1, 2, 3, 4, 3, 6, 1, 8, 4]), 10).float()
    mismatches = find_mismatches(outputs, ten)
    assert mismatches == Mismatches((5, 7, 9), (5, 7, 9), (3, 1, 4))
    assert mismatches.by_digit() == {5: [(3, 5)], 7: [(1, 7)], 9: [(4, 9)]}
    assert Mismatches((0, 1, 2), (5, 5, 0), (8, 3, 7)).by_digit() == {0: [(7, 2)], 5: [(3, 1), (8, 0)]}


def test_nets_are_scored_with_dropout_off(digits):
    net = ClassifierTraining(models.load("conv"), 0, CPU).net
    assert compute_score(net, digits[1])[0] == compute_score(net, digits[1])[0]


@pytest.fixture(scope="module")
def normed():
    """A small averaged recipe with batch norm and dropout."""

    def net():
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
            nn.Flatten(), nn.Linear(216, 10),
        )  # fmt: skip

    return replace(models.load("wsimple"), net=net, epochs=6, peak_lr=0.01, swa_fraction=0.5)


def test_weight_averaging_adds_events_and_changes_no_epoch(digits, normed):
    subset = (some(digits[0], 600), some(digits[1], 300))
    baseline = replace(normed, lr_schedule=lambda peak, n: normed.learning_rates(), swa_fraction=None)
    expected = list(fit(ClassifierTraining(normed, 1, CPU), *subset))
    plain = list(fit(ClassifierTraining(baseline, 1, CPU), *subset))
    epochs_of_averaged = [replace(e, seconds=0) for e in expected if isinstance(e, Epoch)]
    assert epochs_of_averaged == [replace(e, seconds=0) for e in plain if isinstance(e, Epoch)]
    assert [(type(e).__name__, e.first, e.last, e.recomputed) for e in expected[-2:]] == [
        ("AveragedWeights", 4, 6, False),
        ("AveragedWeights", 4, 6, True),
    ]
    assert not any(isinstance(e, AveragedWeights) for e in plain)


def test_averaged_weights_are_the_mean_over_the_averaged_epochs(digits, normed):
    subset = (some(digits[0], 600), some(digits[1], 300))
    training = ClassifierTraining(normed, 2, CPU)
    after = {}
    for event in fit(training, *subset):
        if isinstance(event, Epoch):
            after[event.epoch] = [p.detach().double().clone() for p in training.net.parameters()]
    assert training.final_net is not training.net
    for index, averaged in enumerate(training.final_net.parameters()):
        mean = torch.stack([after[epoch][index] for epoch in (4, 5, 6)]).mean(0)
        torch.testing.assert_close(averaged.double(), mean, rtol=1e-5, atol=1e-7)


def test_recomputed_batch_norm_statistics_are_the_mean_over_training_batches(digits, normed):
    subset = (some(digits[0], 600), some(digits[1], 300))
    training = ClassifierTraining(normed, 3, CPU)
    *_, stale, recomputed = fit(training, *subset)
    convolution, norm = training.final_net[0], training.final_net[1]
    batches = [x for x, _ in iterate_batches(training, subset[0], normed.epochs + 1)]
    with torch.no_grad():
        outputs = [convolution(x).double() for x in batches]
    means = torch.stack([y.mean((0, 2, 3)) for y in outputs]).mean(0)
    variances = torch.stack([y.transpose(0, 1).flatten(1).var(1) for y in outputs]).mean(0)
    close = {"rtol": 1e-4, "atol": 3e-5}  # one thread adds up 14,400 numbers of a batch one by one
    torch.testing.assert_close(norm.running_mean.double(), means, **close)
    torch.testing.assert_close(norm.running_var.double(), variances, **close)
    assert stale.test_loss != recomputed.test_loss
    score, _ = compute_score(training.final_net, subset[1])
    assert (score.loss, score.accuracy) == (recomputed.test_loss, recomputed.accuracy)


@pytest.mark.parametrize("averaged", [False, True])
def test_final_net_is_scored_once(averaged, digits, normed):
    recipe = normed if averaged else replace(normed, swa_fraction=None, epochs=2)
    training = ClassifierTraining(recipe, 0, CPU)
    *_, last = fit(training, some(digits[0], 600), some(digits[1], 300))
    score, logits = training.final_score
    assert (score.loss, score.accuracy) == (last.test_loss, last.accuracy)
    expected, expected_logits = compute_score(training.final_net, some(digits[1], 300))
    assert score == expected
    assert torch.equal(logits, expected_logits)
    training.restore(training.state())
    assert training.final_score is None


@pytest.mark.parametrize("name", ["swa", "wsimple"])
def test_averaged_run_is_restored_with_its_average(name, digits, normed):
    recipe = normed if name == "wsimple" else replace(models.load(name), epochs=3, batch_size=100)
    subset = (some(digits[0], 300), some(digits[1], 100))
    whole = ClassifierTraining(recipe, 4, CPU)
    list(fit(whole, *subset))
    halfway = ClassifierTraining(recipe, 4, CPU)
    for event in fit(halfway, *subset):
        if isinstance(event, Epoch) and event.epoch == recipe.epochs - 1:
            break
    resumed = ClassifierTraining(recipe, 4, CPU)
    resumed.restore(halfway.state())
    list(fit(resumed, *subset))
    assert checkpoint.digest(resumed.final_net.state_dict()) == checkpoint.digest(
        whole.final_net.state_dict()
    )


@pytest.mark.parametrize(
    "name", sorted(models.CLASSIFIERS.keys() - {"swa", "wsimple"})
)  # nets of conv and simple
def test_optimized_net_has_the_loss_and_gradients_of_the_plain_net(name, digits):
    """swa and wsimple have the nets of conv and simple."""
    recipe = models.load(name)
    torch.manual_seed(0)
    plain = recipe.net().double()  # thirteen batch norms amplify float32's rounding
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    fast = optimize_for(copy.deepcopy(plain), CPU)
    pixels, labels = digits[0].take(slice(0, 20))
    losses = [F.cross_entropy(net(pixels.double()), labels) for net in (plain, fast)]
    for loss in losses:
        loss.backward()
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), rel=1e-9)
    whole, other = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (plain, fast))
    assert float((whole - other).norm() / whole.norm()) < 1e-9


def test_bf16_run_computes_in_bfloat16_and_scores_the_final_net_in_float32(digits):
    try:
        autocast_for("bf16", CPU)
    except UsageError as error:
        pytest.skip(str(error))
    recipe = replace(models.load("conv"), batch_size=100, epochs=1)
    training = ClassifierTraining(recipe, 0, CPU, precision="bf16")
    modes = []
    training.net[-1].register_forward_hook(
        lambda module, args, out: modes.append((module.training, out.dtype))
    )
    (epoch,) = epochs(training, (some(digits[0], 500), some(digits[1], 200)))
    assert set(modes) == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert training.final_score is None  # ClassifierTask scores it, in float32
    assert epoch.loss < 2.3
    assert {p.dtype for p in training.net.parameters()} == {torch.float32}


def test_bf16_is_refused_where_it_is_only_emulated(monkeypatch):
    for feature in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, feature, lambda: False)
    monkeypatch.setattr(device.platform, "machine", lambda: "x86_64")
    with pytest.raises(UsageError, match="would only emulate bfloat16"):
        autocast_for("bf16", CPU)


def test_tensors_of_a_loss_are_moved_to_the_device_in_a_copy():
    loss = nn.CrossEntropyLoss(weight=torch.ones(10))
    training = ClassifierTraining(replace(models.load("logit"), loss=loss), 0, torch.device("meta"))
    assert (training.loss.weight.device.type, loss.weight.device.type) == ("meta", "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "the recipe: epochs is 0; give a whole number, 1 to 1,000,000"),
        ({"epochs": "3"}, "the recipe: epochs is '3'; give a whole number"),
        ({"batch_size": 1.5}, "the recipe: batch_size is 1.5; give a whole number"),
        ({"peak_lr": -1.0}, "the recipe: peak_lr is -1.0; give a number, above 0"),
        ({"label_smoothing": 2.0}, "the recipe: label_smoothing is 2.0; give a number, 0 to 1"),
        ({"lr_schedule": None}, "the recipe: lr_schedule is of type NoneType; give a schedule"),
    ],
)
def test_recipe_with_a_wrong_value_is_not_trained(change, message):
    with pytest.raises(UsageError, match=message):
        ClassifierTraining(replace(models.load("logit"), **change), seed=0, device=CPU)


def test_device_may_be_a_name_and_a_seed_is_a_number():
    recipe = models.load("logit")
    named = ClassifierTraining(recipe, seed=0, device="cpu")
    same = ClassifierTraining(recipe, seed=0, device=CPU)
    assert checkpoint.digest(named.net.state_dict()) == checkpoint.digest(same.net.state_dict())
    for seed, message in (("0", "give a whole number, not str"), (-1, "give 0 or more")):
        with pytest.raises(UsageError, match=message):
            ClassifierTraining(recipe, seed=seed, device=CPU)
