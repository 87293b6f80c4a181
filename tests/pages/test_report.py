"""The results of the evaluation on a page: figures, confusions, digits, comparison, training."""

import re

import numpy as np
import pytest
from page_files import DISPUTED, Record, classifier_page, digits, fitted, untrained
from pen import seen, settle

from mnistctl.inference.accuracy import wilson

NET = fitted(100)  # it misreads some of 200 digits
RECORD = {
    "command": "mnistctl train logit",
    "recipe": {"epochs": 2, "optimizer": "Adam", "lr_schedule": [0.1, 0.01], "settings": {"lr": 0.1}},
    "losses": [0.9, 0.5],
    "test_losses": [1.0, 0.6],
    "accuracies": [80.0, 85.0],
    "accuracy": 85.0,
    "mismatches": [{"index": 1, "true": 2, "predicted": 3}],
    "machine": {"processor": "a processor"},
}


@pytest.fixture(scope="module")
def made():
    return classifier_page({"fitted": NET}, records=[Record(RECORD)])


@pytest.fixture
def tab(visit, made):
    return visit(made[0])


@pytest.fixture(scope="module")
def seen_tab(visit_for_module, made):
    """A tab that tests only read: a page takes a second to open."""
    return visit_for_module(made[0])


@pytest.fixture
def evaluation(made):
    return made[1]


def cards(tab):
    """The digits that are shown, as (label, predicted, index, whether disputed)."""
    pattern = re.compile(r"(\d) read as (\d), .* %(, disputed label)?, number (\d+)")
    found = [pattern.fullmatch(each.get_attribute("aria-label")) for each in tab.locator(".card").all()]
    return [(int(each[1]), int(each[2]), int(each[4]), bool(each[3])) for each in found]


def test_results_are_those_of_the_evaluation_with_an_interval(seen_tab, evaluation):
    text = seen_tab.locator("#results").inner_text()
    low, high = wilson(round(evaluation.accuracy * 2), 200)
    assert f"{evaluation.accuracy:.2f} %" in text
    assert f"95 % interval {100 * low:.2f} to {100 * high:.2f} %" in text
    assert f"{evaluation.accuracy_without_label_issues:.2f} %" in text
    assert f"{evaluation.ece:.2f} %" in text
    assert f"{evaluation.loss:.4f}" in text
    table = seen_tab.locator(".confusion tbody tr").all()
    counts = [[cell.inner_text() or "0" for cell in row.locator("td").all()] for row in table]
    assert [[int(n) for n in row] for row in counts] == evaluation.confusion


def test_every_misread_digit_is_shown_with_its_picture_and_disputed_labels_are_marked(seen_tab, evaluation):
    shown = cards(seen_tab)
    wrong = evaluation.mismatches
    assert sorted((index, label, predicted) for label, predicted, index, _ in shown) == list(
        zip(wrong.indices, wrong.true, wrong.predicted, strict=True)
    )
    assert {index for *_, index, disputed in shown if disputed} == set(DISPUTED.indices) & set(wrong.indices)
    script = """(card) => {
        const { data } = card.querySelector('canvas').getContext('2d').getImageData(0, 0, 28, 28);
        return Array.from({ length: 784 }, (_, n) => data[4 * n]);
    }"""
    first = seen_tab.locator(".card").first.evaluate(script)
    assert first == digits().arrays.images[shown[0][2]].ravel().tolist()


def test_digits_are_sorted_and_filtered(tab, evaluation):
    probabilities, predicted = evaluation.predictions.probabilities, evaluation.predictions.predicted

    def confidences():
        return [probabilities[index].max() for *_, index, _ in cards(tab)]

    assert confidences() == sorted(confidences(), reverse=True)
    tab.get_by_role("combobox", name="sort by", exact=True).select_option("least confident first")
    assert confidences() == sorted(confidences())
    tab.get_by_role("combobox", name="sort by", exact=True).select_option("number")
    assert [index for *_, index, _ in cards(tab)] == list(evaluation.mismatches.indices)
    tab.get_by_role("combobox", name="labels", exact=True).select_option("disputed only")
    assert all(disputed for *_, disputed in cards(tab))
    tab.get_by_role("combobox", name="labels", exact=True).select_option("all")
    tab.get_by_role("combobox", name="show", exact=True).select_option("all in this page")
    tab.get_by_role("combobox", name="label", exact=True).select_option("4")
    labels = digits().arrays.labels
    assert [index for *_, index, _ in cards(tab)] == np.flatnonzero(labels == 4).tolist()
    tab.get_by_role("combobox", name="read as", exact=True).select_option("4")
    expected = np.flatnonzero((labels == 4) & (predicted == 4)).tolist()
    assert [index for *_, index, _ in cards(tab)] == expected


def test_cell_of_the_confusion_table_shows_its_digits(tab, evaluation):
    label, predicted = evaluation.mismatches.true[0], evaluation.mismatches.predicted[0]
    count = evaluation.confusion[label][predicted]
    name = f"label {label}, read as {predicted}: {count} digit{'' if count == 1 else 's'}"
    tab.get_by_role("button", name=name).press("Enter")
    assert [row[:2] for row in cards(tab)] == [(label, predicted)] * count
    tab.get_by_role("button", name=re.compile(f"^label {label}, read as {label}")).click()
    assert len(cards(tab)) == evaluation.confusion[label][label]


def test_digit_opens_with_its_probabilities_and_goes_onto_the_canvas(tab, evaluation):
    label, predicted, index, _ = cards(tab)[0]
    tab.locator(".card").first.press("Enter")
    dialog = tab.locator("dialog")
    assert f"Digit {index}, labelled {label}" in dialog.inner_text()
    shares = [text.strip("> %") for text in dialog.locator("tbody td").all_inner_texts()]
    assert [float(share) for share in shares] == pytest.approx(
        100 * evaluation.predictions.probabilities[index], abs=0.06
    )
    assert int(np.argmax([float(share) for share in shares])) == predicted
    dialog.get_by_role("button", name="Put it on the canvas").click()
    settle(tab)
    assert seen(tab) == digits().arrays.images[index].ravel().tolist()
    assert not dialog.is_visible()


def test_training_shows_curves_recipe_and_record(seen_tab):
    text = seen_tab.locator("#training").inner_text()
    for shown in ("mnistctl train logit", "Adam", "a processor", "test accuracy", "learning rate"):
        assert shown in text
    assert seen_tab.locator("#training svg").count() == 3
    assert "mismatches" not in text


def test_training_with_held_out_digits_shows_their_losses_and_names_them(seen_tab):
    record = RECORD | {"validation_losses": RECORD["test_losses"], "test_losses": None}
    script = "(record) => trainingOf({ record, model: 'x', parameters: 1, digest: 'x' })[0].outerHTML"
    charts = seen_tab.evaluate(script, record)
    assert charts.count("<svg") == 3
    assert "validation accuracy" in charts
    assert "test" not in charts


def test_several_nets_are_compared_and_each_has_its_own_report(visit):
    nets = {"one": NET, "two": fitted(150)}
    page, comparison = classifier_page(nets, disputed=False)
    tab = visit(page)
    rows = [row.inner_text().split("\t") for row in tab.locator("#results table").first.locator("tr").all()]
    assert [row[0] for row in rows[1:]] == ["one", "two", "mean of the probabilities"]
    for row, scores in zip(rows[1:], [*comparison.nets, comparison.ensemble], strict=True):
        low, high = scores.accuracy_interval
        assert row[2:4] == [f"{scores.accuracy:.2f} %", f"{low:.2f} to {high:.2f} %"]
    tab.get_by_role("combobox", name="net", exact=True).select_option("two")
    wrong = np.flatnonzero(comparison.predictions[1].predicted != digits().arrays.labels)
    tab.get_by_role("combobox", name="sort by", exact=True).select_option("number")
    assert [index for *_, index, _ in cards(tab)] == wrong.tolist()
    assert "record" in tab.locator("#training").inner_text()
    tab.get_by_role("button", name="A misread one").click()
    settle(tab)
    assert tab.locator(".reading").count() == 2


def test_printed_page_has_the_report_and_not_the_canvas(tab):
    tab.emulate_media(media="print")
    assert not tab.locator("#draw").is_visible()
    assert not tab.locator(".filters").is_visible()
    assert tab.locator(".confusion").is_visible()
    assert tab.locator(".card").first.is_visible()


def test_all_misread_digits_are_printed_in_light_colours(visit):
    tab = visit(classifier_page({"poor": untrained("logit")}, count=200)[0], color_scheme="dark")
    assert len(cards(tab)) == 120
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(cards(tab)) > 150
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(cards(tab)) == 120
