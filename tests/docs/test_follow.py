"""The tool that follows the README tells what is as shown from what is not."""

import http.client

import follow
import pytest

PAGE = """\
Before.

    $ tool count  # a remark
    1 found
    ...

    $ tool show

![a picture](of.png)

    not followed
"""


def test_the_commands_are_those_behind_a_dollar_with_what_stands_below():
    assert follow.shown(PAGE) == [("tool count", ["1 found", "..."]), ("tool show", [])]


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("12 found\nand more\nlines", True),
        ("-1.5 found", True),
        ("   1   found", True),
        ("one found", False),
        ("1 lost", False),
        ("0 begun\n1 found", False),
        ("", False),
    ],
)
def test_output_is_as_shown_but_for_its_numbers(printed, same):
    assert follow.like(["1 found", "..."], printed) is same


def test_a_folder_is_served_as_a_mirror(tmp_path):
    (tmp_path / "digits.gz").write_bytes(b"packed")
    with follow.mirror(tmp_path) as told:
        place = told["MNISTCTL_MIRROR"].removeprefix("http://")
        connection = http.client.HTTPConnection(place)
        connection.request("GET", "/digits.gz")
        assert connection.getresponse().read() == b"packed"
        connection.close()
    with follow.mirror(None) as told:
        assert told == {}
