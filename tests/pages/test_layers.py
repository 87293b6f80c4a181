"""The kinds of layers in the documented format are those that torch and JavaScript compute."""

import re
from pathlib import Path

from mnistctl.pages import computing, layers

INPUTS = {"pixels", "noise", "digit"}


def documented():
    table = re.search(r"\| kind \|.*?\n\|---.*?\n((?:\|.*\n)+)", layers.__doc__)[1]
    return {name for row in table.splitlines() for name in re.findall(r"`([a-z ]+)`", row.split("|")[1])}


def test_the_format_has_a_row_for_every_kind_that_is_computed():
    assert documented() - INPUTS == set(computing._KINDS)


def test_javascript_computes_every_kind():
    text = Path(layers.__file__).with_name("net.js").read_text()
    assert documented() - INPUTS <= set(re.findall(r'"([a-z ]+)"\]?(?::| =)', text))
