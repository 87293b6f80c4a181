"""The HTML file around a page: what may run in it, and that no text of its data becomes markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from page_files import classifier_page, fitted

from mnistctl.errors import UsageError
from mnistctl.pages import document
from mnistctl.pages.document import PageContent, check_size, max_bytes, render

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]><svg onload=alert(1)>",
    "\"'`${alert(1)}\\",
    "\u2028\u2029\u202e",
    "{{script}}{{data}}",
    "&lt;b&gt;&amp;",
    "caf\udce9",  # a file's name that is not valid text
)


class Elements(HTMLParser):
    """The elements of a page, with their attributes and their text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], None
        self.feed(page.decode())

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), []))
        self.open = self.found[-1]

    def handle_data(self, data):
        if self.open:
            self.open[2].append(data)

    def handle_endtag(self, tag):
        self.open = None

    def all(self, tag):
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


@pytest.mark.parametrize("generator", [False, True])
def test_policy_allows_the_script_and_the_style_of_the_page_and_nothing_else(generator):
    elements = Elements(render(PageContent("a net", {"a": 1}, generator)))
    (_, data), (_, script) = elements.all("script")
    ((_, style),) = elements.all("style")
    assert json.loads(data) == {"a": 1}

    def digest(text):
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    policies = [each["content"] for each, _ in elements.all("meta") if "http-equiv" in each]
    allowed = [f"'sha256-{digest(text)}'" for text in (script, style)]
    policy = f"default-src 'none'; script-src {allowed[0]}; style-src {allowed[1]}; img-src data: blob:"
    assert policies == [policy]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    page = render(PageContent(text, {"name": text, text: [text]}))
    elements = Elements(page)
    harmless = Elements(render(PageContent("a", {})))
    assert [name for name, _, _ in elements.found] == [name for name, _, _ in harmless.found]
    ((_, title),) = elements.all("title")
    assert title == text.encode(errors="replace").decode()
    assert json.loads(elements.all("script")[0][1]) == {"name": text, text: [text]}
    assert elements.all("script")[1] == harmless.all("script")[1]


def test_data_is_ascii_and_has_no_character_that_ends_a_script():
    page = render(PageContent("", {"a": "".join(HOSTILE)})).decode()
    data = page[page.index('id="data">') + 10 : page.index("</script>")]
    assert data.isascii()
    assert not set("<>&") & set(data)


def test_page_names_no_address_and_makes_no_markup_from_text():
    for generator in (False, True):
        page = render(PageContent("", {}, generator)).decode()
        addresses = set(re.findall(r"[a-z]+://[^\s\"'`)]*", page))
        assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a kind of element, not fetched
        assert not re.search(r"(?:inner|outer|insertAdjacent)HTML|document\.write|\beval\(|Function\(", page)
        assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(|@import|url\(", page)


def test_page_that_is_too_large_is_refused_in_one_sentence():
    check_size(8_000_000, max_bytes(1))
    check_size(12_000_000, max_bytes(2))
    with pytest.raises(UsageError, match=r"the page would have 8\.1 MB; a page has at most 8 MB"):
        check_size(8_100_000, max_bytes(1))


def test_page_with_less_room_has_fewer_digits_but_every_misread_one(monkeypatch):
    net = fitted(100)
    whole, evaluation = classifier_page({"fitted": net}, count=1000)
    monkeypatch.setattr(document, "_MAX_BYTES_ONE", len(whole) - 50_000)
    smaller, _ = classifier_page({"fitted": net}, count=1000)
    data = json.loads(Elements(smaller).all("script")[0][1])
    assert len(data["digits"]["indices"]) == 500
    assert set(evaluation.mismatches.indices) <= set(data["digits"]["indices"])
    assert data["digits"]["all_misread"]
    monkeypatch.setattr(document, "_MAX_BYTES_ONE", 100_000)
    with pytest.raises(UsageError, match="MB; a page has at most"):
        classifier_page({"fitted": net}, count=1000)
