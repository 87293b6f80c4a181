"""The training loop of GANs, on a few digits of the sample."""

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.errors import DivergedError, UsageError
from mnistctl.inference.forward import generate_images
from mnistctl.models.checks import check_recipe
from mnistctl.models.recipe import NOISE_SIZE, GanRecipe
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.seeding import derive_seed
from mnistctl.training import gan
from mnistctl.training.events import GanEpoch, Progress
from mnistctl.training.gan import GanTraining, fit, fixed_inputs, train_step

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    arrays, _ = datasets.load("sample", None, "train")
    return Digits.of(arrays, CPU)


def some(digits, n):
    return Digits(digits.images[:n], digits.labels[:n])


def rows(training, digits):
    return [replace(e, seconds=0, ended="") for e in fit(training, digits) if isinstance(e, GanEpoch)]


def small(**given):
    """A recipe with tiny nets and batch norm."""

    def generator():
        return nn.Sequential(nn.ConvTranspose2d(NOISE_SIZE, 4, 7), nn.BatchNorm2d(4), nn.ReLU(),
                             nn.ConvTranspose2d(4, 1, 4, 4), nn.Tanh())  # fmt: skip

    def discriminator():
        return nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 7), nn.Flatten(0))

    usual = {"generator": generator, "discriminator": discriminator, "epochs": 3, "batch_size": 20}
    return replace(models.load_generator("gan"), **usual | given)


def train_plainly(recipe: GanRecipe, seed: int, real, labels, steps: int):
    """The same steps written without shortcuts: a sigmoid, three losses, all gradients."""
    torch.manual_seed(derive_seed(seed, 0))
    generator, discriminator = recipe.generator(), recipe.discriminator()
    g_optimizer, d_optimizer = (recipe.optimizer(net.parameters()) for net in (generator, discriminator))
    torch.manual_seed(1)
    losses = []
    for _ in range(steps):
        noise = torch.randn(len(real), NOISE_SIZE, 1, 1)
        fake_condition = recipe.condition(torch.randint(10, (len(real),)))
        targets = torch.empty(len(real)).uniform_(0.8, 1)
        d_optimizer.zero_grad()
        first = F.binary_cross_entropy(torch.sigmoid(discriminator(real, *recipe.condition(labels))), targets)
        first.backward()
        fake = generator(noise, *fake_condition)
        second = F.binary_cross_entropy(
            torch.sigmoid(discriminator(fake.detach(), *fake_condition)), torch.zeros(len(real))
        )
        second.backward()
        gradients = [p.grad.clone() for p in discriminator.parameters()]
        d_optimizer.step()
        g_optimizer.zero_grad()
        third = F.binary_cross_entropy(
            torch.sigmoid(discriminator(fake, *fake_condition)), torch.ones(len(real))
        )
        third.backward()
        g_optimizer.step()
        losses.append(((first + second).item(), third.item()))
    return losses, [p.grad for p in generator.parameters()], gradients


@pytest.fixture
def doubles():
    """Nets and draws in float64: in float32 last bits decide on which side of its kink a leaky relu is."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", models.GENERATORS)
def test_train_step_equals_the_plainly_written_steps(name, digits, doubles):
    # By plain descent: Adam's first steps turn a gradient's last bits into signs.
    recipe = replace(models.load_generator(name), optimizer=partial(torch.optim.SGD, lr=0.01))
    pixels, labels = digits.take(slice(0, 20))
    real = pixels.double()
    theirs, g_gradients, d_gradients = train_plainly(recipe, 5, real, labels, 2)
    training = GanTraining(recipe, 5, CPU)
    torch.manual_seed(1)
    ours = [train_step(training, real, labels) for _ in range(2)]
    torch.testing.assert_close(torch.stack(ours).double(), torch.tensor(theirs), rtol=1e-6, atol=1e-6)
    for weights, gradients in ((training.g_params, g_gradients), (training.d_params, d_gradients)):
        for weight, gradient in zip(weights, gradients, strict=True):
            torch.testing.assert_close(
                weight.grad, gradient, rtol=1e-3, atol=1e-5 * gradient.abs().max().item()
            )


def test_loss_of_a_confident_discriminator_is_exact_under_bfloat16(digits):
    """In bfloat16 a sigmoid is 1 from a logit of 7 on: the loss would be 100 and its gradient 0."""

    class Confident(nn.Module):
        def __init__(self):
            super().__init__()
            self.logit = nn.Parameter(torch.tensor(20.0))

        def forward(self, pixels):
            return self.logit.expand(len(pixels)).to(torch.bfloat16)

    recipe = small(discriminator=Confident)
    training = GanTraining(recipe, 0, CPU)
    training.autocast = lambda: torch.autocast("cpu", torch.bfloat16)
    d_loss, _ = train_step(training, *digits.take(slice(0, 20)))
    # Of real digits 20 (1 - target) between 0 and 4, of generated ones 20.
    assert 20 < float(d_loss) < 24
    assert d_loss.dtype == torch.float32
    assert 0.9 < float(training.d_params[0].grad) < 1.3


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", models.GENERATORS)
def test_restored_training_ends_with_the_bits_of_an_uninterrupted_one(name, precision, digits, tmp_path):
    recipe = replace(models.load_generator(name), epochs=2, batch_size=8)
    subset = some(digits, 20)
    try:
        whole = GanTraining(recipe, 0, CPU, precision=precision)
    except UsageError as error:
        pytest.skip(str(error))
    losses = rows(whole, subset)
    first, second = (GanTraining(recipe, 0, CPU, precision=precision) for _ in range(2))
    events = fit(first, subset)
    while first.epoch < 1:
        next(events)
    torch.rand(3)  # random draws of the caller between epochs change nothing
    checkpoint.save(tmp_path / "half", checkpoint.RUN, {}, first.state())
    second.restore(checkpoint.load(tmp_path / "half", checkpoint.RUN)[1])
    assert rows(second, subset) == losses[1:]
    assert checkpoint.digest(second.state()) == checkpoint.digest(whole.state())


def test_state_of_another_run_is_refused():
    training, other = GanTraining(small(), 0, CPU), GanTraining(models.load_generator("gan"), 0, CPU)
    infinite = training.state() | {"generator.1.running_var": torch.full((4,), torch.inf)}
    for state in (other.state(), {"net.weight": torch.zeros(1)}, {}, infinite):
        with pytest.raises(ValueError, match="not the state of this run"):
            training.restore(state)


def test_epoch_uses_each_digit_at_most_once_and_drops_a_short_last_batch(digits, monkeypatch):
    subset, seen = Digits(digits.images[:50], torch.arange(50)), []

    def record_labels(training, real, labels):
        seen.append(labels)
        return torch.tensor([float(len(seen)), 10.0 * len(seen)])

    monkeypatch.setattr(gan, "train_step", record_labels)
    recipe = small(epochs=2)
    events = list(fit(GanTraining(recipe, 0, CPU), subset))
    assert [(e.done, e.total) for e in events if isinstance(e, Progress)] == [(1, 2), (2, 2)] * 2
    first, second = torch.cat(seen[:2]), torch.cat(seen[2:])
    assert len(set(first.tolist())) == len(set(second.tolist())) == 40
    assert first.tolist() != second.tolist()
    # Medians over the batches of an epoch: of 1 and 2, of 3 and 4; the generator's ten times as much.
    losses = [(e.discriminator_loss, e.generator_loss) for e in events if isinstance(e, GanEpoch)]
    assert losses == [(1.5, 15.0), (3.5, 35.0)]


def test_frozen_and_whole_parameters_are_left_alone(digits):
    def generator():
        digit = nn.Sequential(nn.Embedding.from_pretrained(torch.eye(10)), nn.Unflatten(1, (10, 1, 1)))
        digit.register_parameter("whole", nn.Parameter(torch.arange(3), requires_grad=False))
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(110, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
        return ConditionedNet(digit, trunk)

    def discriminator():
        digit = nn.Sequential(nn.Embedding(10, 784), nn.Unflatten(1, (1, 28, 28)))
        return ConditionedNet(digit, nn.Sequential(nn.Flatten(), nn.Linear(1568, 1), nn.Flatten(0)))

    recipe = replace(
        models.load("cgan"), generator=generator, discriminator=discriminator, epochs=1, batch_size=10
    )
    check_recipe(recipe, "a recipe")
    training = GanTraining(recipe, 0, CPU)
    assert len(rows(training, some(digits, 20))) == 1
    assert training.generator.second[0].weight.equal(torch.eye(10))


def test_same_seed_gives_same_nets_and_another_seed_does_not(digits):
    digests = []
    for seed in (0, 0, 1):
        training = GanTraining(small(), seed, CPU)
        rows(training, some(digits, 40))
        digests.append(checkpoint.digest(training.net_state()))
    assert digests[0] == digests[1] != digests[2]


def test_learning_rate_far_too_high_raises_diverged_error(digits):
    recipe = small(peak_lr=1e30)
    with pytest.raises(DivergedError, match=r"no longer a finite number .*peak learning rate"):
        list(fit(GanTraining(recipe, 0, CPU), some(digits, 40)))


def test_statistics_of_batch_norm_that_overflow_raise_diverged_error(digits):
    class Large(nn.Module):
        def forward(self, noise):
            return (
                noise * 1e20
            )  # whose square is beyond float32; batch norm gives 0, and the losses are finite

    def generator():
        return nn.Sequential(
            Large(), nn.BatchNorm2d(NOISE_SIZE), nn.ConvTranspose2d(NOISE_SIZE, 1, 28), nn.Tanh()
        )

    with pytest.raises(DivergedError, match=r"epoch 1: a loss, a weight or a buffer is no longer a finite"):
        list(fit(GanTraining(small(generator=generator), 0, CPU), some(digits, 40)))


def test_cgan_has_a_constant_learning_rate():
    recipe = models.load_generator("cgan")
    assert (recipe.learning_rates(), recipe.batch_size) == ((0.0002,) * 20, 60)
    optimizer = recipe.optimizer([nn.Parameter(torch.zeros(1))])
    assert optimizer.defaults["betas"] == (0.5, 0.999)


def test_fixed_inputs_are_sixty_noises_or_ten_for_each_digit():
    (noise,) = fixed_inputs(models.load_generator("gan"), 3)
    assert noise.shape == (60, NOISE_SIZE, 1, 1)
    noise, digits = fixed_inputs(models.load_generator("cgan"), 3)
    cells = noise.view(10, 10, NOISE_SIZE)
    assert (cells == cells[:, :1]).all()
    assert len(cells[:, 0].unique(dim=0)) == 10
    assert digits.view(10, 10).tolist() == [list(range(10))] * 10


def test_images_are_generated_in_evaluation_mode_as_greys_from_0_to_255():
    class Ramp(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))

        def forward(self, noise):
            assert not self.training
            return noise.view(-1, 1, 1, 1).expand(-1, 1, 28, 28) + self.shift

    images = generate_images(Ramp().train(), torch.tensor([-1.0, 0.0, 1.0, -3.0, 1.1]))
    assert images.shape == (5, 28, 28)
    assert [picture.unique().tolist() for picture in images] == [[0], [128], [255], [0], [255]]


def test_optimized_nets_compute_the_same():
    for name in models.GENERATORS:
        for make in (models.load_generator(name).generator, models.load_generator(name).discriminator):
            torch.manual_seed(0)
            plain = make().double()
            optimized = optimize_for(make().double(), CPU)
            optimized.load_state_dict(plain.state_dict())
            shape = (4, NOISE_SIZE, 1, 1) if make.__name__ == "generator" else (4, 1, 28, 28)
            inputs = (
                torch.randn(shape, dtype=torch.float64),
                *models.load_generator(name).condition(torch.arange(4)),
            )
            torch.testing.assert_close(plain(*inputs), optimized(*inputs))


def test_recipe_with_a_wrong_value_is_not_trained():
    with pytest.raises(UsageError, match="the recipe: epochs is 0; give a whole number, 1 to 1,000,000"):
        GanTraining(replace(models.load("gan"), epochs=0), seed=0, device="cpu")
    with pytest.raises(UsageError, match="seed '0': give a whole number, not str"):
        GanTraining(models.load("gan"), seed="0", device="cpu")
