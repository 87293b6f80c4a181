"""The command eval --image: predictions for image files, and one line for each that is invalid."""

import json
import os
import shutil
from pathlib import Path

import pytest
from digit_images import DIGITS, INVALID_IMAGES, enlarged
from PIL import Image

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.inference.confidence import MIN_CONFIDENCE

RECORDS = Path(__file__).parents[2] / "records"
CONV = str(RECORDS / "conv.safetensors")


@pytest.mark.parametrize("name", INVALID_IMAGES)
def test_invalid_image_is_one_line_and_the_others_are_classified(name, mnistctl, tmp_path):
    content, reason = INVALID_IMAGES[name]
    (tmp_path / name).write_bytes(content)
    enlarged(3).save(tmp_path / "valid.png")
    ran = mnistctl("eval", CONV, "--image", name, "--image", "valid.png", "--quiet")
    assert (ran.returncode, ran.stdout) == (1, f"valid.png: {DIGITS.labels[3]}\n")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith(f"mnistctl: {name}: {reason}")
    assert "; " in ran.stderr


def test_predictions_are_printed_before_a_file_that_cannot_be_written_is_reported(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "digit.png")
    ran = mnistctl("eval", CONV, "--image", "digit.png", "--boxes", "/dev/full", "--quiet")
    assert (ran.returncode, ran.stdout) == (1, f"digit.png: {DIGITS.labels[3]}\n")
    assert ran.stderr.startswith("mnistctl: /dev/full: cannot be written")


def test_missing_file_and_pipe_are_reported(mnistctl, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    ran = mnistctl("eval", CONV, "--image", "none.png", "--image", "pipe", "--json")
    assert ran.returncode == 1
    assert [line.split(" (")[0] for line in ran.stderr.splitlines()] == [
        "mnistctl: none.png: cannot be read",
        "mnistctl: pipe: cannot be read",
    ]
    for image in json.loads(ran.stdout)["images"]:
        assert image["error"].startswith(f"{image['file']}: cannot be read")
        assert (image["digit"], image["probability"], image["top3"]) == (None, None, [])


def test_first_image_of_an_animation_is_classified_and_reported(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "moving.gif", save_all=True, append_images=[enlarged(5)], duration=9)
    ran = mnistctl("eval", CONV, "--image", "moving.gif")
    assert (ran.returncode, ran.stderr) == (0, "")
    first = ran.stdout.splitlines()[0]
    assert first.startswith(f"moving.gif: {DIGITS.labels[3]} (")
    assert first.endswith("; the first of 2 images")


def test_predictions_as_json_as_text_and_quiet(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "digit.png")
    Image.new("L", (90, 90), 200).save(tmp_path / "blank.png")
    words = ("eval", CONV, "--image", "digit.png", "--image", "blank.png")
    result = json.loads(mnistctl(*words, "--json").stdout)
    digest = json.loads((RECORDS / "conv.json").read_text())["digest"]
    assert (result["version"], result["model"], result["digest"]) == (2, "conv", digest)
    assert result["min_confidence"] == MIN_CONFIDENCE
    three, blank = result["images"]
    assert (three["file"], three["digit"], three["low_confidence"]) == ("digit.png", DIGITS.labels[3], False)
    assert three["top3"][0] == [three["digit"], three["probability"]]
    probabilities = [probability for _, probability in three["top3"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)
    assert (blank["digit"], blank["error"], blank["low_confidence"]) == (None, None, False)
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    top3 = ", ".join(f"{digit} {100 * probability:.1f} %" for digit, probability in three["top3"])
    assert lines[0] == f"digit.png: {three['digit']} ({top3})"
    assert len(lines) == 1 + 14 + 1
    assert lines[-1] == "blank.png: no digit found"
    quiet = mnistctl(*words, "--quiet", "--min-confidence", "1").stdout
    assert quiet == f"digit.png: {three['digit']}, unsure\nblank.png: no digit found\n"
    assert list((tmp_path).glob("out")) == []


def test_images_of_a_folder_are_classified_in_the_order_of_their_names(mnistctl, tmp_path):
    (tmp_path / "many/below").mkdir(parents=True)
    for name in ("b.png", "a.JPG", ".hidden.png", "below/c.png"):
        enlarged(3).save(tmp_path / "many" / name)
    (tmp_path / "many/notes.txt").write_text("text")
    result = json.loads(mnistctl("eval", CONV, "--image", "many", "--json").stdout)
    assert [image["file"] for image in result["images"]] == ["many/a.JPG", "many/b.png"]
    (tmp_path / "none").mkdir()
    ran = mnistctl("eval", CONV, "--image", "many", "--image", "none")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "mnistctl: --image none: no image in this folder\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--split test", "--split cannot be combined with --image"),
        ("--dataset mnist", "--dataset cannot be combined with --image"),
        ("--data-dir data", "--data-dir cannot be combined with --image"),
        ("--offline", "--offline cannot be combined with --image"),
        ("--predictions p.csv", "--predictions cannot be combined with --image"),
        ("--onnx o.onnx", "--onnx cannot be combined with --image"),
        ("--corrupt", "--corrupt cannot be combined with --image"),
        ("--judge conv", "--judge cannot be combined with --image"),
        ("-n 5", "-n cannot be combined with --image"),
        ("--seed 0", "--seed cannot be combined with --image"),
        ("--min-confidence 1.5", "--min-confidence 1.5: give a probability"),
        ("--min-confidence nan", "--min-confidence nan: give a probability"),
    ],
)
def test_options_that_do_not_apply_to_images_are_refused(options, message, mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    ran = mnistctl("eval", CONV, "--image", "three.png", *options.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert message in ran.stderr


def test_images_need_a_single_classifier_and_a_minimum_confidence_needs_images(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    shutil.copy(CONV, tmp_path / "again.safetensors")
    for words in ([CONV, "again.safetensors"], [str(RECORDS / "cgan.safetensors")]):
        ran = mnistctl("eval", *words, "--image", "three.png")
        assert (ran.returncode, ran.stderr) == (2, "mnistctl: --image is only for a single classifier\n")
    ran = mnistctl("eval", CONV, "--min-confidence", "0.5")
    assert (ran.returncode, ran.stderr) == (
        2,
        "mnistctl: --min-confidence needs --image\n",
    )


def test_data_folder_in_the_environment_is_ignored_for_images(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    ran = mnistctl("eval", CONV, "--image", "three.png", "--quiet", MNISTCTL_DATA_DIR="elsewhere")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("model", models.CLASSIFIERS)
def test_every_classifier_classifies_images(model, mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "a.png")
    weights = models.load_classifier(model).net().state_dict()
    checkpoint.save(tmp_path / "out/net.safetensors", checkpoint.NET, {"model": model}, weights)
    ran = mnistctl("eval", "net", "--image", "a.png", "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["model"], "paths" in report) == (model, False)  # of a file whose digit is not known


def test_labelled_folder_gives_the_accuracy_and_a_picture_of_the_misread_ones(mnistctl, tmp_path):
    for n in range(3):
        folder = tmp_path / "mine" / str(DIGITS.labels[n])
        folder.mkdir(parents=True, exist_ok=True)
        enlarged(n).save(folder / f"{n}.png")
    wrong = (DIGITS.labels[3] + 1) % 10
    enlarged(3).save(tmp_path / f"mine/me_label{wrong}_1.png")
    (tmp_path / "mine/scan.pdf").touch()
    ran = mnistctl("eval", CONV, "--image", "mine", "--quiet")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert f"mine/me_label{wrong}_1.png: {DIGITS.labels[3]}, wrong: it is {wrong}" in lines
    assert "left out, not images of a known format: mine/scan.pdf" in lines
    assert "accuracy: 75.00 % (3 of 4)" in lines
    with Image.open(tmp_path / "out/conv-eval-images-errors.png") as image:
        assert image.width > 28
    report = json.loads(mnistctl("eval", CONV, "--image", "mine", "--json").stdout)
    assert (report["accuracy"]["right"], report["accuracy"]["images"]) == (3, 4)
    assert 30 < report["accuracy"]["low"] < 75 < report["accuracy"]["high"] < 96
    assert report["left_out"] == ["mine/scan.pdf"]
    assert report["paths"] == ["out/conv-eval-images-errors.png"]


def test_labels_in_a_table_are_used(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(f"file,label\na.png,{DIGITS.labels[3]}\n")
    ran = mnistctl("eval", CONV, "--image", "a.png", "--labels", "labels.csv", "--quiet")
    assert ran.stdout.splitlines()[-1] == "accuracy: 100.00 % (1 of 1)"
    ran = mnistctl("eval", CONV, "--image", "a.png", "--labels", "none.csv")
    assert ran.returncode == 2
    assert ran.stderr.startswith("mnistctl: --labels none.csv: cannot be read")
