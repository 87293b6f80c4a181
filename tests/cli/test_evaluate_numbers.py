"""The command eval --image on pictures of numbers."""

import json
from pathlib import Path

import pytest
from number_images import picture
from PIL import Image

CONV = str(Path(__file__).parents[2] / "records/conv.safetensors")


def test_number_is_read_in_order_with_a_probability_for_each_digit(mnistctl, tmp_path):
    picture("306").save(tmp_path / "number.png")
    (image,) = json.loads(mnistctl("eval", CONV, "--image", "number.png", "--json").stdout)["images"]
    assert (image["number"], image["digit"], image["n_unread"]) == ("306", None, 0)
    assert [each["digit"] for each in image["digits"]] == [3, 0, 6]
    assert all(0 <= each["confidence"] <= each["probability"] <= 1 for each in image["digits"])
    assert mnistctl("eval", CONV, "--image", "number.png", "--quiet").stdout.startswith("number.png: 306")
    lines = mnistctl("eval", CONV, "--image", "number.png").stdout.splitlines()
    assert lines[0].startswith("number.png: 306")
    assert [line[0] for line in lines[1:] if "%" in line and line[0].isdigit()] == ["3", "0", "6"]


def test_rows_are_separated_by_a_space(mnistctl, tmp_path):
    picture("30", "64").save(tmp_path / "rows.png")
    assert mnistctl("eval", CONV, "--image", "rows.png", "--quiet").stdout.startswith("rows.png: 30 64")


def test_expected_number_of_digits_is_read_and_of_one_the_others_are_mentioned(mnistctl, tmp_path):
    picture("306", gap=12).save(tmp_path / "number.png")
    words = ("eval", CONV, "--image", "number.png")
    (image,) = json.loads(mnistctl(*words, "--expect", "1", "--json").stdout)["images"]
    assert (len(image["digits"]), image["n_unread"]) == (1, 2)
    assert "; 2 more digits seem to be there" in mnistctl(*words, "--expect", "1").stdout
    (image,) = json.loads(mnistctl(*words, "--expect", "3", "--json").stdout)["images"]
    assert image["number"] == "306"


@pytest.mark.parametrize("count", ["0", "-2"])
def test_expected_number_of_digits_below_one_is_refused(count, mnistctl, tmp_path):
    picture("306").save(tmp_path / "number.png")
    ran = mnistctl("eval", CONV, "--image", "number.png", "--expect", count)
    assert (ran.returncode, ran.stderr) == (2, f"mnistctl: --expect {count}: give 1 or more\n")


def test_picture_shows_a_box_around_each_digit(mnistctl, tmp_path):
    picture("306").save(tmp_path / "number.png")
    Image.new("L", (90, 90), 200).save(tmp_path / "blank.png")
    words = ("eval", CONV, "--image", "number.png", "--image", "blank.png", "--boxes", "boxes.png")
    assert mnistctl(*words).returncode == 0
    with Image.open(tmp_path / "boxes.png") as boxes, Image.open(tmp_path / "number.png") as number:
        assert boxes.width >= number.width
        coloured = sum(count for count, (r, g, b) in boxes.getcolors(1 << 20) if not r == g == b)
    assert coloured > 3 * 100


def test_no_picture_is_written_where_no_image_can_be_read(mnistctl, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    ran = mnistctl("eval", CONV, "--image", "text.png", "--boxes", "boxes.png")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "boxes.png").exists()


def test_picture_replaces_no_other_file(mnistctl, tmp_path):
    picture("306").save(tmp_path / "number.png")
    words = ("eval", CONV, "--image", "number.png", "--boxes")
    ran = mnistctl(*words, "number.png")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "number.png: exists already" in ran.stderr
    assert "a name that ends in .png" in mnistctl(*words, "boxes.jpg").stderr


def test_grid_that_the_program_wrote_is_read_cell_by_cell(mnistctl, tmp_path):
    mnistctl(
        "show",
        "--dataset",
        "sample",
        "--digit",
        "7",
        "-n",
        "3",
        "--seed",
        "1",
        "--png",
        "sevens.png",
        "--scale",
        "4",
    )
    ran = mnistctl("eval", "pretrained", "--image", "sevens.png", "--json")
    (image,) = json.loads(ran.stdout)["images"]
    assert (image["number"], len(image["digits"])) == ("777", 3)
    assert image["digits"][1]["box"] == [1 / 3, 0, 1 / 3, 1]


def test_expected_digits_of_a_grid_are_those_in_its_cells(mnistctl):
    mnistctl("generate", "pretrained-cgan", "-n", "13", "--out", "grid.png")
    ran = mnistctl("eval", "pretrained", "--image", "grid.png", "--quiet")
    assert (
        mnistctl("eval", "pretrained", "--image", "grid.png", "--quiet", "--expect", "13").stdout
        == ran.stdout
    )


@pytest.mark.parametrize("images", ["number.png", "."])
def test_boxes_never_replace_an_image_that_is_read(images, mnistctl, tmp_path):
    picture("306").save(tmp_path / "number.png")
    before = (tmp_path / "number.png").read_bytes()
    ran = mnistctl("eval", CONV, "--image", images, "--boxes", "./number.png", "--overwrite")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--boxes number.png: is one of the images that are read; name another file" in ran.stderr
    assert (tmp_path / "number.png").read_bytes() == before
