"""The digits that are found in an image: one, several in rows, or one of several."""

import numpy as np
import pytest
from digit_images import DIGITS, enlarged
from number_images import picture
from PIL import Image, ImageDraw

from mnistctl.data import photos
from mnistctl.inference import detector, reading
from mnistctl.inference.reading import find_digits


def find(image, expect=None):
    return find_digits(*photos.find_ink(photos.to_grey(image)), expect)


def test_digits_of_a_number_are_found_in_order_with_their_boxes():
    found, unread = find(picture("2026"))
    assert (len(found), unread) == (4, 0)
    lefts = [each.box[0] for each in found]
    assert lefts == sorted(lefts)
    for left, top, width, height in (each.box for each in found):
        assert 0 <= left < left + width <= 1
        assert 0 <= top < top + height <= 1


@pytest.mark.parametrize("number", ["86", "500", "406", "756"])
def test_wide_row_of_touching_digits_is_never_one_digit(number):
    found, _ = find(picture(number, gap=-3))
    assert len(found) > 1


def test_rows_are_read_from_top_to_bottom():
    found, _ = find(picture("20", "263"))
    assert [each.row for each in found] == [0, 0, 1, 1, 1]


def test_one_of_several_is_read_on_request_and_the_others_are_counted():
    found, unread = find(picture("2026", gap=12), 1)
    assert (len(found), unread) == (1, 3)


@pytest.mark.parametrize("expect", [2, 3])
def test_the_others_are_counted_if_separate_digits_cannot_be_cut_into_as_few_as_expected(expect):
    found, unread = find(picture("2026", gap=12), expect)
    assert (len(found), unread) == (1, 3)


@pytest.mark.parametrize("n", range(40))
def test_single_digit_is_read_as_one(n):
    found, unread = find(enlarged(n))
    assert (len(found), unread) == (1, 0)
    assert np.array_equal(found[0].image, photos.to_mnist(photos.to_grey(enlarged(n))))


def test_five_with_a_loose_bar_is_one_digit():
    image = Image.new("L", (200, 240), 250)
    draw = ImageDraw.Draw(image)
    draw.line([(75, 50), (70, 110)], 30, 12)
    draw.arc((50, 95, 140, 200), 230, 150, 30, 12)
    draw.line([(95, 42), (150, 38)], 30, 12)
    found, unread = find(image)
    assert (len(found), unread) == (1, 0)


def test_four_of_two_strokes_that_do_not_meet_is_one_digit():
    image = Image.new("L", (200, 240), 250)
    draw = ImageDraw.Draw(image)
    draw.line([(70, 50), (55, 130), (112, 128)], 30, 12, joint="curve")
    draw.line([(130, 60), (126, 200)], 30, 12)
    found, unread = find(image)
    assert (len(found), unread) == (1, 0)


@pytest.mark.parametrize(
    "odds, wide, number",
    [
        ((-5.3, -1.6), True, False),  # a wide 1 with a foot
        ((-1.7, -2.8), True, True),  # 31, touching
        ((-3.8, -5.9, 3.6, 2.3), False, False),  # a 2 with a loop
        ((4.0, 4.0), False, True),
        ((2.0, 2.0), False, False),  # a 4 of two strokes
    ],
)
def test_pieces_that_are_hardly_digits_are_strokes_of_one(odds, wide, number):
    assert reading._is_number(odds, wide) is number


def test_of_little_and_much_shared_ink_the_detector_chooses():
    """The pieces of touching digits are better digits than with a fixed share."""
    chosen = np.stack([each.image for each in find(picture("306", gap=-3))[0]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_SHARED", (4,))
        fixed = np.stack([each.image for each in find(picture("306", gap=-3))[0]])
    assert (detector.digit_odds(chosen) >= detector.digit_odds(fixed)).all()
    assert (chosen != fixed).any()


def test_box_of_a_small_picture_is_where_its_ink_is():
    """A picture of 28x28 pixels is enlarged and gets a margin before it is read."""
    n = 3
    (found,), _ = find(Image.fromarray(255 - DIGITS.images[n]))
    rows, columns = (np.flatnonzero((DIGITS.images[n] > 100).any(axis)) for axis in (1, 0))
    left, top, width, height = (28 * share for share in found.box)
    assert abs(left - columns[0]) < 1.5
    assert abs(left + width - columns[-1] - 1) < 1.5
    assert abs(top - rows[0]) < 1.5
    assert abs(top + height - rows[-1] - 1) < 1.5
