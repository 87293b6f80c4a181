"""The figures of docs/page.md are those of its records, and its pictures are small."""

import json
from pathlib import Path

import pytest

from mnistctl import models

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/page.md").read_text()
RECORD = json.loads((ROOT / "records/drawings.json").read_text())
NETS = {  # nets that were added later have a record of their own
    net["model"]: net
    for path in sorted((ROOT / "records").glob("page*.json"))
    for net in json.loads(path.read_text())["nets"].values()
}
CLASSIFIERS = {model: net for model, net in NETS.items() if "digits" in net["float32"]}


def test_sizes_times_and_drawings_are_those_of_the_record():
    page, generator = RECORD["page"], RECORD["generator_page"]
    describing, writing = page["seconds_describing"], page["seconds_writing"]
    for label, value in (
        ("page of conv with MNIST's 10,000 test digits", f"{page['bytes'] / 1e6:.2f} MB"),
        ("page of cgan", f"{generator['bytes'] / 1e6:.2f} MB"),
        (
            "processor time to describe conv and to check the description",
            f"{describing:.1f} s",
        ),
        ("processor time to write the page after the evaluation", f"{writing:.1f} s"),
        ("mean difference of the two pictures", f"{RECORD['mean_difference']:.1f} grey levels"),
        ("from the canvas to the answer, median", f"{RECORD['median_milliseconds']:.0f} ms"),
    ):
        assert f"| {label} | {value} |" in PAGE
    assert f"read by the page as by `eval --image` from a screenshot | {RECORD['equal_answers']} |" in PAGE
    assert f"`{RECORD['command']}`, `records/drawings.json`" in PAGE


def test_record_meets_the_limits():
    assert RECORD["drawings"] == len(RECORD["each"]) == 50
    assert RECORD["mean_difference"] <= 6
    assert RECORD["equal_answers"] >= 49
    assert max(RECORD["page"]["bytes"], RECORD["generator_page"]["bytes"]) < 8_000_000


def test_pictures_of_the_page_are_small():
    pictures = sorted((ROOT / "docs").glob("page-*.png"))
    assert len(pictures) == 4
    assert all(f"({path.name})" in PAGE and path.stat().st_size < 60_000 for path in pictures)


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_differences_sizes_and_times_of_a_net_are_those_of_the_record(model):
    page, exact = CLASSIFIERS[model]["in_the_page"], CLASSIFIERS[model]["float32"]
    cells = [
        model,
        f"{page['bytes'] / 1e6:.2f}",
        f"{page['largest_difference']:.4f}",
        f"{exact['largest_difference']:.0e}",
        f"{page['other_answers']}",
        f"{page['thread_milliseconds']:.1f}",
        f"{page['gradient_thread_milliseconds']:.1f}",
    ]
    assert f"| {' | '.join(cells)} |" in PAGE


def test_record_of_the_nets_meets_the_limits():
    assert set(NETS) == set(models.CLASSIFIERS | models.GENERATORS)
    for net in CLASSIFIERS.values():
        assert net["in_the_page"]["weights"] == "float16"
        assert net["in_the_page"]["largest_difference"] <= 0.02
        assert net["float32"]["largest_difference"] <= 1e-3
        assert net["in_the_page"]["other_answers_without_ties"] == net["float32"]["other_answers"] == 0
    assert CLASSIFIERS["conv"]["in_the_page"]["thread_milliseconds"] <= 30
    assert CLASSIFIERS["simple"]["in_the_page"]["thread_milliseconds"] <= 500


def test_sentences_about_images_and_gradients_are_those_of_the_record():
    images = [NETS[model] for model in ("gan", "cgan")]
    assert [net["in_the_page"]["largest_grey_difference"] for net in images] == [1, 1]
    assert [net["float32"]["largest_grey_difference"] for net in images] == [0, 0]
    slowest = max(net["in_the_page"]["thread_milliseconds"] for net in images)
    assert f"take {slowest:.0f} ms each" in PAGE
    exact = {model: net["float32"]["largest_gradient_difference"] for model, net in CLASSIFIERS.items()}
    assert f"{100 * exact.pop('wsimple'):.2f} % of their length (wsimple" in PAGE
    assert max(exact.values()) < 1e-6
    rounded = max(net["in_the_page"]["largest_gradient_difference"] for net in CLASSIFIERS.values())
    assert f"it is up to {100 * rounded:.0f} %" in PAGE
