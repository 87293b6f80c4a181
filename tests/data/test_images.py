"""Pictures of one's own: read whatever they are stored as, made into what MNIST's are, told, and refused."""

import io
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import drawing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets, images
from mnistctl.errors import OutputError
from mnistctl.inference.predict import MIN_CONFIDENCE, predict_images

RECORDS = Path(__file__).parents[2] / "records"
CONV = str(RECORDS / "conv.safetensors")
DIGITS = datasets.load("sample", None, "test")[0]


def enlarged(n, times=6, margin=5, inverted=True):
    """A digit of the sample as a picture, dark on light."""
    image = np.pad(DIGITS.images[n], margin)
    image = 255 - image if inverted else image
    return Image.fromarray(image).resize((round(len(image) * times),) * 2, Image.Resampling.BICUBIC)


def prepared(picture, path):
    picture.save(path)
    return images.to_mnist(images.load_image(path)[0])


def apart(image, n):
    """How far a picture is from a digit of the sample, as a share of the ink of that digit."""
    away = np.abs(image.astype(int) - DIGITS.images[n]).sum()
    return away / DIGITS.images[n].sum(dtype=int)


def alike(image, n):
    """The correlation with a digit of the sample, a pixel's shift let pass."""
    ours, its = (
        ndimage.gaussian_filter(each.astype(float), 1.5).ravel() for each in (image, DIGITS.images[n])
    )
    return np.corrcoef(ours, its)[0, 1]


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(0, 199),
    times=st.floats(1, 12),
    margin=st.integers(0, 20),
    inverted=st.booleans(),
)
def test_an_enlarged_digit_comes_back(n, times, margin, inverted):
    picture = enlarged(n, times, margin, inverted)
    seen = images.to_mnist(images.to_grey(picture))
    assert seen is not None
    assert (seen.shape, seen.dtype) == ((28, 28), np.uint8)
    assert alike(seen, n) > 0.85  # of two different digits 1 pair in 100 is
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    mass = seen.sum()
    for axis in (0, 1):
        centre = (seen.sum(1 - axis) * np.arange(28)).sum() / mass
        assert abs(centre - 14) <= 0.51


def test_an_original_digit_comes_back_nearly_to_the_pixel():
    assert np.mean([apart(images.to_mnist(DIGITS.images[n].astype(np.float32)), n) for n in range(50)]) < 0.15


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_gives_the_same_digit(mode, tmp_path):
    n, picture = 3, enlarged(3)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 16)  # of 12 bits, say
    else:
        picture = picture.convert(mode)
    path = tmp_path / ("digit.tif" if mode in ("CMYK", "I;16") else "digit.png")
    with_grey = images.to_mnist(images.to_grey(enlarged(n)))
    assert np.abs(prepared(picture, path).astype(int) - with_grey).mean() < (
        15 if mode == "1" else 2
    )  # dithered
    with Image.open(path) as stored:
        assert stored.mode == mode


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (250, 220, 40), (200, 30, 30)])
def test_ink_on_nothing_is_seen_whatever_its_colour(ink, tmp_path):
    alpha = enlarged(3, inverted=False)
    picture = Image.new("RGBA", alpha.size, (*ink, 0))
    picture.putalpha(alpha)
    assert apart(prepared(picture, tmp_path / "digit.png"), 3) < 0.6


def test_a_palette_with_transparency_is_ink_on_nothing(tmp_path):
    alpha = np.asarray(enlarged(3, inverted=False)) > 127
    picture = Image.fromarray(alpha.astype(np.uint8), "L").convert("P")
    picture.putpalette([90, 90, 90, 20, 20, 20])
    picture.save(tmp_path / "digit.gif", transparency=0)
    assert apart(images.to_mnist(images.load_image(tmp_path / "digit.gif")[0]), 3) < 0.7


def test_yellow_on_white_is_seen(tmp_path):
    ink = np.asarray(enlarged(3, inverted=False), np.float32)[..., None] / 255
    pixels = (255 * (1 - ink) + np.array([255, 250, 60]) * ink).round().astype(np.uint8)
    assert apart(prepared(Image.fromarray(pixels), tmp_path / "digit.png"), 3) < 0.6


@pytest.mark.parametrize(("orientation", "turn"), [(1, None), (3, 180), (6, 90), (8, 270)])
def test_a_photograph_is_read_upright(orientation, turn, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = enlarged(3) if turn is None else enlarged(3).rotate(turn, expand=True)
    picture.save(tmp_path / "photo.jpg", exif=exif)
    assert apart(images.to_mnist(images.load_image(tmp_path / "photo.jpg")[0]), 3) < 0.6


@pytest.mark.parametrize("name", ["photo.mpo", "photo.webp", "photo.bmp", "photo.ppm"])
def test_other_formats_are_read(name, tmp_path):
    if name.endswith("mpo"):
        enlarged(3).save(tmp_path / name, save_all=True, append_images=[enlarged(4)])
        assert images.load_image(tmp_path / name)[1] == 1
        assert apart(images.to_mnist(images.load_image(tmp_path / name)[0]), 3) < 0.6
    else:
        assert apart(prepared(enlarged(3), tmp_path / name), 3) < 0.6


def paper(n, margin=60):
    """A digit of the sample in the middle of a page, in greys."""
    return np.pad(np.asarray(enlarged(n, 7, 0), np.float32), margin, constant_values=255)


def shaded(page):
    return page * np.linspace(0.35, 1, page.shape[1], dtype=np.float32)


def ruled(page):
    page = page.copy()
    for row in range(15, len(page), 45):
        page[row : row + 2] = np.minimum(page[row : row + 2], 150)
    return page


def squared(page):
    return np.minimum(ruled(page), ruled(page.T).T)


def framed(page):
    page = page.copy()
    page[:4] = page[:, -9:] = 40
    return page


def specked(page):
    chance, page = np.random.default_rng(0), page.copy()
    for row, column in chance.integers(0, len(page) - 4, (30, 2)):
        page[row : row + 4, column : column + 4] = 50
    return page


def on_table(page):
    return np.pad(page, 70, constant_values=50)


def noisy(page):
    return page * 0.6 + np.random.default_rng(0).normal(40, 12, page.shape).astype(np.float32)


@pytest.mark.parametrize("spoil", [shaded, ruled, squared, framed, specked, on_table, noisy])
def test_what_is_not_the_digit_is_left_out(spoil):
    plain = [images.to_mnist(paper(n)) for n in range(6)]
    spoilt = [images.to_mnist(spoil(paper(n)).clip(0, 255)) for n in range(6)]
    away = [np.abs(s.astype(int) - p).sum() / p.sum(dtype=int) for s, p in zip(spoilt, plain, strict=True)]
    assert np.median(away) < 0.25
    assert max(away) < 0.7


def test_the_strokes_of_a_broken_five_belong_together():
    page = np.full((200, 200), 240, np.float32)
    page[40:50, 90:150] = 30  # the bar, apart from
    page[62:150, 80:90] = 30
    widths = (images.to_mnist(page) > 100).sum(1)
    assert widths.max() >= 9  # the bar
    assert (widths[widths.argmax() :] == 2).sum() > 9


@pytest.mark.parametrize(
    "page",
    [
        np.full((300, 200), 240.0),
        np.zeros((50, 50)),
        np.random.default_rng(0).normal(220, 8, (300, 300)),
        np.tile(np.linspace(60, 250, 300), (200, 1)),
        np.full((1, 900), 3.0),
    ],
    ids=["white", "black", "noise", "slope", "line"],
)
def test_there_is_no_digit_on_an_empty_page(page):
    assert images.to_mnist(page.astype(np.float32).clip(0, 255)) is None


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb():
    """A PNG of 3.6 thousand million pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def encoded(form):
    buffer = io.BytesIO()
    enlarged(3).save(buffer, form)
    return buffer.getvalue()


FAULTS = {
    "empty.png": (b"", "empty"),
    "huge.png": (bomb(), "more than 67,108,864 pixels"),
    "text.jpg": (b"no picture at all\n", "not a picture"),
    "truncated.png": (encoded("PNG")[:400], "damaged"),
    "truncated.jpg": (encoded("JPEG")[:900], "damaged"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_and_the_others_go_on(name, mnistctl, tmp_path):
    content, why = FAULTS[name]
    (tmp_path / name).write_bytes(content)
    enlarged(3).save(tmp_path / "sound.png")
    ran = mnistctl("eval", CONV, "--image", name, "--image", "sound.png", "--quiet")
    assert (ran.returncode, ran.stdout) == (1, f"sound.png: {DIGITS.labels[3]}\n")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith(f"mnistctl: {name}: {why}")
    assert "; " in ran.stderr


def test_files_that_are_not_there_or_not_to_be_read(mnistctl, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    ran = mnistctl("eval", CONV, "--image", "none.png", "--image", "pipe", "--json")
    assert ran.returncode == 1
    assert [line.split(" (")[0] for line in ran.stderr.splitlines()] == [
        "mnistctl: none.png: cannot be read",
        "mnistctl: pipe: cannot be read",
    ]
    for image in json.loads(ran.stdout)["images"]:
        assert image["error"].startswith(f"{image['file']}: cannot be read")
        assert (image["digit"], image["probability"], image["likeliest"]) == (None, None, [])


def test_a_damaged_tiff_is_one_line_too(tmp_path, capfd):
    enlarged(3).save(tmp_path / "page.tif", compression="tiff_lzw")
    content = bytearray((tmp_path / "page.tif").read_bytes())
    content[300:400] = b"\xff" * 100
    (tmp_path / "page.tif").write_bytes(content)
    with pytest.raises(OutputError, match="damaged"):
        images.load_image(tmp_path / "page.tif")
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)), kind=st.integers(0, 3), seed=st.integers(0, 99)
)
def test_whatever_the_picture_shows_a_digit_or_none_is_made_of_it(shape, kind, seed):
    chance = np.random.default_rng(seed)
    page = np.full(shape, chance.integers(256), np.float32)
    row, column = chance.integers(shape[0]), chance.integers(shape[1])
    if kind == 0:
        page[row] = chance.integers(256)  # a hairline
    elif kind == 1:
        page[row:, : column + 1] = chance.integers(256)
    elif kind == 2:
        page[row, column] = chance.integers(256)
    else:
        page[:] = chance.uniform(0, 255, shape)
    seen = images.to_mnist(page)
    assert seen is None or (seen.shape == (28, 28) and seen.max() > 100)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_file_never_raises_anything_else(tmp_path_factory, data):
    content = bytearray(encoded(data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 700) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "picture"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        grey, frames = images.load_image(path)
    except OutputError as fault:
        assert "\n" not in str(fault)
        return
    assert grey.dtype == np.float32
    assert frames >= 1
    assert max(grey.shape) <= 640
    images.to_mnist(grey)


def test_of_an_animation_the_first_picture_is_read_and_said_to_be(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "moving.gif", save_all=True, append_images=[enlarged(5)], duration=9)
    ran = mnistctl("eval", CONV, "--image", "moving.gif")
    assert (ran.returncode, ran.stderr) == (0, "")
    first = ran.stdout.splitlines()[0]
    assert first.startswith(f"moving.gif: {DIGITS.labels[3]} (")
    assert first.endswith("; the first of 2 pictures")


def test_what_is_told_of_a_picture(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    Image.new("L", (90, 90), 200).save(tmp_path / "blank.png")
    words = ("eval", CONV, "--image", "three.png", "--image", "blank.png")
    told = json.loads(mnistctl(*words, "--json").stdout)
    digest = json.loads((RECORDS / "conv.json").read_text())["digest"]
    assert (told["version"], told["model"], told["digest"]) == (1, "conv", digest)
    assert told["threshold"] == MIN_CONFIDENCE
    three, blank = told["images"]
    assert (three["file"], three["digit"], three["unsure"]) == ("three.png", DIGITS.labels[3], False)
    assert three["likeliest"][0] == [three["digit"], three["probability"]]
    chances = [chance for _, chance in three["likeliest"]]
    assert len(chances) == 3
    assert chances == sorted(chances, reverse=True)
    assert (blank["digit"], blank["error"], blank["unsure"]) == (None, None, False)
    ran = mnistctl(*words)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    shares = ", ".join(f"{digit} {100 * chance:.1f} %" for digit, chance in three["likeliest"])
    assert lines[0] == f"three.png: {three['digit']} ({shares})"
    assert len(lines) == 1 + 14 + 1
    assert lines[-1] == "blank.png: no digit found"
    above = mnistctl(*words, "--quiet", "--min-confidence", "0.99").stdout
    assert above == f"three.png: {three['digit']}, unsure\nblank.png: no digit found\n"
    assert list((tmp_path).glob("out")) == []


def test_a_folder_is_its_pictures_by_name(mnistctl, tmp_path):
    (tmp_path / "many/below").mkdir(parents=True)
    for name in ("b.png", "a.JPG", ".hidden.png", "below/c.png"):
        enlarged(3).save(tmp_path / "many" / name)
    (tmp_path / "many/notes.txt").write_text("no picture")
    told = json.loads(mnistctl("eval", CONV, "--image", "many", "--json").stdout)
    assert [image["file"] for image in told["images"]] == ["many/a.JPG", "many/b.png"]
    (tmp_path / "none").mkdir()
    ran = mnistctl("eval", CONV, "--image", "many", "--image", "none")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "mnistctl: --image none: no picture in this folder; give one, or a file\n"


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--split test", "--split is for eval without --image only"),
        ("--dataset mnist", "--dataset is for"),
        ("--data-dir data", "--data-dir is for"),
        ("--offline", "--offline is for"),
        ("--predictions p.csv", "--predictions is for"),
        ("--onnx o.onnx", "--onnx is for"),
        ("--corrupt", "--corrupt is for"),
        ("--judge conv", "--judge is for"),
        ("-n 5", "-n is for"),
        ("--seed 0", "--seed is for"),
        ("--min-confidence 1.5", "--min-confidence 1.5: give a probability"),
        ("--min-confidence nan", "--min-confidence nan: give a probability"),
    ],
)
def test_what_makes_no_sense_of_pictures_is_refused(words, refused, mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    ran = mnistctl("eval", CONV, "--image", "three.png", *words.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert refused in ran.stderr


def test_several_nets_generators_and_a_threshold_alone_are_refused(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    shutil.copy(CONV, tmp_path / "again.safetensors")
    for words in ([CONV, "again.safetensors"], [str(RECORDS / "cgan.safetensors")]):
        ran = mnistctl("eval", *words, "--image", "three.png")
        assert (ran.returncode, ran.stderr) == (2, "mnistctl: --image is for a single classifier only\n")
    ran = mnistctl("eval", CONV, "--min-confidence", "0.5")
    assert (ran.returncode, ran.stderr) == (2, "mnistctl: --min-confidence is for --image only\n")


def test_a_data_folder_of_the_environment_does_not_stand_in_the_way(mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    ran = mnistctl("eval", CONV, "--image", "three.png", "--quiet", MNISTCTL_DATA_DIR="elsewhere")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("model", models.CLASSIFIERS)
def test_every_classifier_reads_pictures(model, mnistctl, tmp_path):
    enlarged(3).save(tmp_path / "three.png")
    weights = models.load_classifier(model).net().state_dict()
    checkpoint.save(tmp_path / "out/net.safetensors", checkpoint.NET, {"model": model}, weights)
    ran = mnistctl("eval", "net", "--image", "three.png", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["model"] == model


def test_drawn_pictures_are_read(tmp_path):
    """Ten in fifty of those that bench/images.py reads, none of them large."""
    drawn = [drawing.drawing(n, 120) for n in range(drawing.COUNT) if n // 10 % 5 == 0]
    for n, picture in enumerate(drawn):
        picture.picture.save(tmp_path / f"{n:03}.{picture.ending}")
    read = predict_images(Path(CONV), [tmp_path]).images
    right = [
        image.likeliest[:1] and image.likeliest[0][0] == d.digit for image, d in zip(read, drawn, strict=True)
    ]
    assert len(drawn) >= 60
    assert sum(map(bool, right)) >= 0.9 * len(drawn)


def test_what_the_record_says_is_misread_is_misread(tmp_path):
    failures = json.loads((RECORDS / "images.json").read_text())["drawn"]["failures"]
    for failure in failures:
        drawn = drawing.drawing(failure["number"])
        drawn.picture.save(tmp_path / f"drawn.{drawn.ending}", quality=90)
        (image,) = predict_images(Path(CONV), [tmp_path / f"drawn.{drawn.ending}"]).images
        assert (drawn.digit, drawn.how) == (failure["digit"], failure["how"])
        assert image.likeliest[0][0] != drawn.digit


def test_the_same_number_draws_the_same_picture():
    first, again, other = drawing.drawing(40), drawing.drawing(40), drawing.drawing(50)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.picture.tobytes() != other.picture.tobytes()
