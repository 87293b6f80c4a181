"""Images from files: formats, modes, colours, transparency, damaged files; the digit looks as in MNIST."""

import os

import numpy as np
import pytest
from digit_images import DIGITS, INVALID_IMAGES, difference, encoded, enlarged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from mnistctl.data import photos
from mnistctl.errors import OutputError, UsageError


def save_and_convert(image, path):
    image.save(path)
    return photos.to_mnist(photos.load_image(path)[0])


def correlation(image, n):
    """The correlation of an image with digit `n`, blurred so that a shift by a pixel hardly matters."""
    one, other = (
        ndimage.gaussian_filter(each.astype(float), 1.5).ravel() for each in (image, DIGITS.images[n])
    )
    return np.corrcoef(one, other)[0, 1]


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(0, 199),
    factor=st.floats(1, 12),
    margin=st.integers(0, 20),
    inverted=st.booleans(),
)
def test_enlarged_digit_is_converted_back(n, factor, margin, inverted):
    converted = photos.to_mnist(photos.to_grey(enlarged(n, factor, margin, inverted)))
    assert converted is not None
    assert (converted.shape, converted.dtype) == ((28, 28), np.uint8)
    assert correlation(converted, n) > 0.85  # 1 in 100 pairs of different digits has more
    rows, columns = (np.flatnonzero(converted.any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    mass = converted.sum()
    for axis in (0, 1):
        centre = (converted.sum(1 - axis) * np.arange(28)).sum() / mass
        assert abs(centre - 14) <= 0.51


def test_digit_of_mnist_is_hardly_changed():
    converted = [photos.to_mnist(DIGITS.images[n].astype(np.float32)) for n in range(50)]
    # It is enlarged, cropped and reduced again, so that its edges differ by less than half a pixel.
    assert np.mean([difference(image, n) for n, image in enumerate(converted)]) < 0.35
    assert min(correlation(image, n) for n, image in enumerate(converted)) > 0.9


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_gives_the_same_digit(mode, tmp_path):
    n, image = 3, enlarged(3)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 16)  # 12 bits
    else:
        image = image.convert(mode)
    path = tmp_path / ("digit.tif" if mode in ("CMYK", "I;16") else "digit.png")
    expected = photos.to_mnist(photos.to_grey(enlarged(n)))
    mean_difference = np.abs(save_and_convert(image, path).astype(int) - expected).mean()
    assert mean_difference < (15 if mode == "1" else 2)  # mode 1 is dithered
    with Image.open(path) as stored:
        assert stored.mode == mode


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (250, 220, 40), (200, 30, 30)])
def test_ink_of_any_colour_is_found_on_a_transparent_image(ink, tmp_path):
    alpha = enlarged(3, inverted=False)
    image = Image.new("RGBA", alpha.size, (*ink, 0))
    image.putalpha(alpha)
    assert difference(save_and_convert(image, tmp_path / "digit.png"), 3) < 0.6


@pytest.mark.parametrize("worst", [np.inf, -np.inf, np.nan])
def test_pixels_that_are_no_finite_numbers_are_paper(worst, tmp_path):
    values = np.asarray(enlarged(3), np.float32) / 255
    values[:2, :5] = worst
    Image.fromarray(values).save(tmp_path / "digit.tif")
    assert difference(photos.to_mnist(photos.load_image(tmp_path / "digit.tif")[0]), 3) < 0.6


@pytest.mark.parametrize("margin", [3, 90])
def test_sheet_with_a_transparent_margin_is_cropped_to_the_sheet(margin, tmp_path):
    sheet = Image.new("RGBA", (200 + 2 * margin,) * 2)
    sheet.paste(enlarged(3).convert("RGBA").resize((200, 200)), (margin, margin))
    assert difference(save_and_convert(sheet, tmp_path / "digit.png"), 3) < 0.6


def test_palette_with_transparency_is_read(tmp_path):
    alpha = np.asarray(enlarged(3, inverted=False)) > 127
    image = Image.fromarray(alpha.astype(np.uint8), "L").convert("P")
    image.putpalette([90, 90, 90, 20, 20, 20])
    image.save(tmp_path / "digit.gif", transparency=0)
    assert difference(photos.to_mnist(photos.load_image(tmp_path / "digit.gif")[0]), 3) < 0.7


def test_yellow_ink_on_white_is_found(tmp_path):
    ink = np.asarray(enlarged(3, inverted=False), np.float32)[..., None] / 255
    pixels = (255 * (1 - ink) + np.array([255, 250, 60]) * ink).round().astype(np.uint8)
    assert difference(save_and_convert(Image.fromarray(pixels), tmp_path / "digit.png"), 3) < 0.6


@pytest.mark.parametrize(("orientation", "turn"), [(1, None), (3, 180), (6, 90), (8, 270)])
def test_photo_is_turned_upright(orientation, turn, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = enlarged(3) if turn is None else enlarged(3).rotate(turn, expand=True)
    image.save(tmp_path / "photo.jpg", exif=exif)
    assert difference(photos.to_mnist(photos.load_image(tmp_path / "photo.jpg")[0]), 3) < 0.6


@pytest.mark.parametrize("name", ["photo.mpo", "photo.webp", "photo.bmp", "photo.ppm"])
def test_other_formats_are_read(name, tmp_path):
    if name.endswith("mpo"):
        enlarged(3).save(tmp_path / name, save_all=True, append_images=[enlarged(4)])
        assert photos.load_image(tmp_path / name)[1] == 1
        assert difference(photos.to_mnist(photos.load_image(tmp_path / name)[0]), 3) < 0.6
    else:
        assert difference(save_and_convert(enlarged(3), tmp_path / name), 3) < 0.6


@pytest.mark.parametrize("name", INVALID_IMAGES)
def test_invalid_file_is_an_output_error_with_its_reason(name, tmp_path):
    content, reason = INVALID_IMAGES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OutputError) as caught:
        photos.load_image(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_pipe_are_output_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("none.png", "pipe"):
        with pytest.raises(OutputError, match=f"{name}: cannot be read"):
            photos.load_image(tmp_path / name)


def test_damaged_tiff_writes_nothing_to_stderr(tmp_path, capfd):
    enlarged(3).save(tmp_path / "page.tif", compression="tiff_lzw")
    content = bytearray((tmp_path / "page.tif").read_bytes())
    content[300:400] = b"\xff" * 100
    (tmp_path / "page.tif").write_bytes(content)
    with pytest.raises(OutputError, match="damaged"):
        photos.load_image(tmp_path / "page.tif")
    assert capfd.readouterr().err == ""
    os.write(2, b"restored")
    assert capfd.readouterr().err == "restored"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_file_is_read_or_gives_an_output_error(tmp_path_factory, data):
    content = bytearray(encoded(data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 700) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "picture"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        grey, frames = photos.load_image(path)
    except OutputError as error:
        assert "\n" not in str(error)
        return
    assert grey.dtype == np.float32
    assert frames >= 1
    assert max(grey.shape) <= 512
    photos.to_mnist(grey)


def test_folder_is_replaced_by_its_images_in_the_order_of_their_names(tmp_path):
    (tmp_path / "many/below").mkdir(parents=True)
    (tmp_path / "many/7").mkdir()
    for name in (
        "b.png",
        "a.JPG",
        ".hidden.png",
        "below/c.png",
        "7/d.png",
        "scan.pdf",
        "photo.heic",
        "7/e.avif",
    ):
        (tmp_path / "many" / name).touch()
    found, left_out = photos.find_images([tmp_path / "first.png", tmp_path / "many"])
    assert [path.name for path in found] == ["first.png", "a.JPG", "b.png", "d.png"]
    assert [path.name for path in left_out] == ["photo.heic", "scan.pdf", "e.avif"]
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no image in this folder"):
        photos.find_images([tmp_path / "none"])
