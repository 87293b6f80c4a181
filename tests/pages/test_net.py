"""The nets in a page: JavaScript in a real browser gives the outputs and gradients of torch."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from page_nets import Various, normalized, some_digits, train, trained

from mnistctl.data.likeness import TURNS, View
from mnistctl.inference.forward import generate_images
from mnistctl.models import CLASSIFIERS
from mnistctl.nn.layers import ConditionedNet
from mnistctl.pages.description import NetDescription, describe_classifier, describe_generator
from mnistctl.pages.layers import Layer, Weight

READ = """(net, images) => images.map((image) => {
    const { logits, probabilities } = net.forward(image);
    return [Array.from(logits), Array.from(probabilities)];
})"""
EXPLAIN = """(net, [images, answers]) => images.map((image, n) =>
    [net.gradient(image, answers[n]), net.saliency(image, answers[n])].map((each) => Array.from(each)))"""
GENERATE = """(net, [noise, digits]) => noise.map((each, n) => Array.from(net.generate(each, digits[n])))"""


def ask(scripts, described, function, *values):
    """What a JavaScript function of the net in a page and of these values gives."""
    given = json.dumps([described.to_json(), *values])  # as text: Playwright takes minutes for many numbers
    call = f"""(given) => {{
        const [description, ...values] = JSON.parse(given);
        return JSON.stringify(({function})(makeNet(description), ...values));
    }}"""
    return np.array(json.loads(scripts.evaluate(call, given)))


def read(scripts, described, images):
    """Logits [N, 10] and probabilities [N, 10], as the page computes them."""
    return ask(scripts, described, READ, images.reshape(len(images), 784).tolist()).swapaxes(0, 1)


def explain(scripts, described, images, answers):
    """The gradients [N, 784] of the answers' logits, and gradients times pixels."""
    values = [images.reshape(len(images), 784).tolist(), answers.tolist()]
    return ask(scripts, described, EXPLAIN, values).swapaxes(0, 1)


def check_logits(scripts, net, described, largest, count=20):
    """Logits differ from torch's by at most `largest`; the answers are the same but for ties."""
    images = some_digits(count)
    found, probabilities = read(scripts, described, images)
    with torch.inference_mode():
        expected = net(normalized(images)).numpy()
    assert np.abs(found - expected).max() <= largest
    ordered = np.sort(expected, 1)
    untied = ordered[:, -1] - ordered[:, -2] > 2 * largest
    assert (found.argmax(1) == expected.argmax(1))[untied].all()
    assert untied.mean() >= 0.9
    softmax = torch.softmax(torch.from_numpy(found) / described.temperature, 1).numpy()
    np.testing.assert_allclose(probabilities, softmax, atol=1e-6)


def check_gradients(scripts, net, described, count, largest=1e-3):
    """Gradients of a float32 description are those of autograd."""
    images = some_digits(count)
    pixels = torch.from_numpy(images).unsqueeze(1).float().requires_grad_()
    logits = net(pixels / 127.5 - 1)
    answers = logits.argmax(1)
    (expected,) = torch.autograd.grad(logits.gather(1, answers[:, None]).sum(), pixels)
    expected = expected.reshape(count, 784).numpy()
    gradients, saliency = explain(scripts, described, images, answers)
    errors = np.linalg.norm(gradients - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert errors.max() <= largest
    np.testing.assert_allclose(saliency, gradients * images.reshape(count, 784), rtol=1e-5)


def check_classifier(scripts, name, count):
    """Check the logits of `count` digits; of 20 digits with float32 weights, and the gradients of 5."""
    net = trained(name)
    described = describe_classifier(net, some_digits(count), model=name)
    largest = 0.02 if described.numbers.dtype == np.float16 else 1e-3
    check_logits(scripts, net, described, largest, count)
    exact = describe_classifier(net, some_digits(20), model=name, max_difference=0)
    assert exact.numbers.dtype == np.float32
    check_logits(scripts, net, exact, 1e-3, 20)
    check_gradients(scripts, net, exact, 5)


@pytest.mark.parametrize("name", ["conv", "lstm"])
def test_a_page_gives_the_logits_and_gradients_of_a_classifier(scripts, name):
    check_classifier(scripts, name, 20)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_a_page_gives_the_logits_of_200_digits_of_every_classifier(scripts, name):
    check_classifier(scripts, name, 200)


def test_a_net_of_many_kinds_of_layers_gives_the_logits_and_gradients_of_torch(scripts):
    torch.manual_seed(1)
    net = train(Various(), 30)
    described = describe_classifier(net, some_digits(20), model="various", max_difference=0)
    kinds = {layer.kind for layer in described.layers}
    assert len(kinds) == 20
    check_logits(scripts, net, described, 1e-3)
    check_gradients(scripts, net, described, 10)


def check_images(scripts, name, largest, *, most=1.0, max_difference=1):
    net = trained(name)
    described = describe_generator(net, model=name, max_difference=max_difference)
    noise = torch.randn(20, 100, 1, 1, generator=torch.Generator().manual_seed(5))
    digits = torch.arange(20) % 10
    inputs = [noise, digits] if isinstance(net, ConditionedNet) else [noise]
    expected = generate_images(net, *inputs).reshape(20, 784).numpy().astype(int)
    found = ask(scripts, described, GENERATE, [noise.reshape(20, 100).tolist(), digits.tolist()])
    assert np.abs(found - expected).max() <= largest
    assert (found != expected).mean() < most


@pytest.mark.parametrize("name", ["gan", "cgan"])
def test_a_page_gives_the_images_of_a_generator(scripts, name):
    check_images(scripts, name, 1)
    check_images(scripts, name, 1, most=0.001, max_difference=0)


def test_a_mixture_of_digits_has_the_mixed_embedding(scripts):
    net = trained("cgan")
    described = describe_generator(net, model="cgan")
    noise = torch.randn(1, 100, 1, 1, generator=torch.Generator().manual_seed(6))
    weights = [0.0, 0.25, 0, 0, 0, 0, 0, 0.75, 0, 0]
    with torch.inference_mode():
        embedding = net.second(torch.tensor([1, 7])).mul(torch.tensor([0.25, 0.75]).view(2, 1, 1, 1)).sum(0)
        expected = generate_images(net.trunk, torch.cat((noise, embedding[None]), 1)).reshape(1, 784)
    found = ask(scripts, described, GENERATE, [noise.reshape(1, 100).tolist(), [weights]])
    assert np.abs(found - expected.numpy()).max() <= 1


def test_a_picture_is_seen_as_the_training_digits_of_the_net_look(scripts):
    described = describe_classifier(trained("logit"), some_digits(20), model="logit")
    image = some_digits(1)[0]
    for turned in TURNS:
        for inverted in (False, True):
            view = View(inverted, turned)
            turning = replace(described, view=view)
            seen = ask(scripts, turning, "(net, image) => Array.from(net.see(image))", image.ravel().tolist())
            assert np.array_equal(seen.reshape(28, 28), view.apply(image, 255))


def test_every_finite_number_of_float16_is_read(scripts):
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)]
    weight = {"weight": Weight(0, numbers.shape)}
    layers = (Layer("pixels", "pixels", "pixels", (), (1, 28, 28), {}, {}),)
    layers += (Layer("all", "all", "embedding", (0,), (1,), {}, weight),)
    described = NetDescription("classifier", "all", layers, numbers, 0.0)
    found = ask(scripts, described, "(net) => Array.from(net.layers[1].weights.weight.values)")
    assert np.array_equal(found, numbers.astype(float))
