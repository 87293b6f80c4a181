"""How a row is cut into digits."""

from number_images import picture

from mnistctl.data import photos, rows
from mnistctl.inference import numbers


def row_of(number, gap):
    (row,) = rows.find_rows(photos.find_ink(photos.to_grey(picture(number, gap=gap)))[0])
    return row


def test_pieces_of_the_best_way_cover_the_row():
    row = row_of("2026", 4)
    ((_, pieces),) = numbers.choose([row])
    assert len(pieces) == 4
    assert [piece.first for piece in pieces] == [0, *(piece.last for piece in pieces[:-1])]
    assert pieces[-1].last == len(row.seams) - 1


def test_touching_digits_are_cut():
    ((_, pieces),) = numbers.choose([row_of("306", -2)])
    assert len(pieces) == 3


def test_expected_number_of_digits_is_found_over_all_rows():
    found = [row_of("306", 4), row_of("42", 4)]
    assert [len(pieces) for _, pieces in numbers.choose(found, 5)] == [3, 2]


def test_fewer_digits_are_found_where_the_ink_cannot_be_cut_into_more():
    ((_, pieces),) = numbers.choose([row_of("1", 0)], 40)
    assert 1 <= len(pieces) < 40
