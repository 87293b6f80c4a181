"""What a page shows of the inside of a net, beside the same numbers computed by torch."""

import numpy as np
import pytest
import torch
from page_files import classifier_page, digits, untrained
from pen import settle


def put(tab, index):
    tab.get_by_label("number of a test digit").fill(str(index))
    tab.get_by_role("button", name="Show", exact=True).click()
    settle(tab)


def pixels(index):
    return torch.from_numpy(digits().arrays.images[index]).float().reshape(1, 1, 28, 28) / 127.5 - 1


def sums(tab):
    """For each digit what is for it, against it, the bias and the logit, as the page shows them."""
    rows = [row.locator("td").all_inner_texts()[1:] for row in tab.locator(".sums tbody tr").all()]
    return np.array([[float(text.replace("\u2212", "-")) for text in row] for row in rows])


def test_layers_of_conv_are_shown_with_their_maps_and_the_last_sums(visit):
    net = untrained("conv", channels=(3, 5), hidden=20)
    tab = visit(classifier_page({"net": net}, disputed=False)[0])
    assert "Draw a digit" in tab.locator("#inside").inner_text()
    put(tab, 4)
    names = [text.replace("\u00d7", "x") for text in tab.locator(".layer strong").all_inner_texts()]
    assert names == [
        "relu: 3 maps of 24 x 24",
        "max pool: 3 maps of 12 x 12",
        "relu: 5 maps of 8 x 8",
        "max pool: 5 maps of 4 x 4",
        "relu: 20 numbers",
        "linear: 10 numbers",
    ]
    tab.get_by_role("checkbox", name="every layer").check()
    assert tab.locator(".layer").count() == 9
    with torch.inference_mode():
        hidden, logits = net[:-1](pixels(4))[0], net(pixels(4))[0]
    parts = net[-1].weight.detach() * hidden
    pro, against = parts.clamp(min=0).sum(1), parts.clamp(max=0).sum(1)
    expected = torch.stack((pro, against, net[-1].bias.detach(), logits), 1)
    assert sums(tab) == pytest.approx(expected.numpy(), abs=0.06)


def test_evidence_is_the_gradient_times_the_pixel(visit):
    net = untrained("conv", channels=(3, 5), hidden=20)
    tab = visit(classifier_page({"net": net}, disputed=False)[0])
    put(tab, 7)
    tab.get_by_role("radio", name="3", exact=True).check()
    image = pixels(7).requires_grad_()
    (gradient,) = torch.autograd.grad(net(image)[0, 3], image)
    evidence = (gradient / 127.5 * torch.from_numpy(digits().arrays.images[7])).flatten()
    pro, against = float(evidence.clamp(min=0).sum()), float(evidence.clamp(max=0).sum())
    text = tab.locator("#inside .pair").inner_text().replace("\u2212", "-")
    assert f"For 3: ink that speaks for it adds {pro:.1f}" in text
    assert f"against it {against:.1f}" in text


def test_states_of_lstm_are_shown_with_its_answer_after_each_row(visit):
    net = untrained("lstm", hidden=8, layers=2)
    tab = visit(classifier_page({"net": net}, disputed=False)[0])
    put(tab, 2)
    names = tab.locator(".layer strong").all_inner_texts()
    assert names[0] == "lstm: its state of 8 numbers after each of 28 rows"
    script = """() => {
        const canvas = document.querySelectorAll('.steps .answers canvas')[1];
        const { data } = canvas.getContext('2d').getImageData(0, 0, 10, 28);
        return Array.from({ length: 280 }, (_, n) => data[4 * n]);
    }"""
    shades = np.array(tab.evaluate(script)).reshape(28, 10)
    with torch.inference_mode():
        states = net[1](net[0](pixels(2)))[0][0]
        expected = torch.softmax(net[3](states), 1).numpy()
    low, high = 0xEC, 0x12  # the red of the colours for 0 and 1
    assert (shades - low) / (high - low) == pytest.approx(expected, abs=0.01)


def test_evidence_and_layers_follow_the_drawing_and_disappear_with_it(visit, fitted_page):
    tab = visit(fitted_page)
    put(tab, 1)
    assert tab.locator("#inside .layer").count() == 1
    tab.get_by_role("button", name="Clear").click()
    settle(tab)
    assert tab.locator("#inside .layer").first.is_hidden()
