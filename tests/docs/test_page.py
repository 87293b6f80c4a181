"""The figures of docs/page.md are those of its records, and its pictures are small."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/page.md").read_text()
RECORD = json.loads((ROOT / "records/drawings.json").read_text())


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
