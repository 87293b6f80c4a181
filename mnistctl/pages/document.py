"""One self-contained HTML file: the page, its style, its scripts and its data, with a policy of what may run.

The data can have any text, such as the name of a file that somebody else chose. It stands in a script element
as JSON without `<`, which cannot end the element, and the scripts show it as text only.
"""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path

from mnistctl.errors import UsageError

_FOLDER = Path(__file__).parent
_SCRIPTS = ("net", "dom", "charts", "training")
_CLASSIFIER_SCRIPTS = (*_SCRIPTS, "canvas", "draw", "inside", "gallery", "report", "page")
_GENERATOR_SCRIPTS = (*_SCRIPTS, "generator", "page")
_MAX_BYTES_ONE, _MAX_BYTES_SEVERAL = 8_000_000, 12_000_000


@dataclass(frozen=True)
class PageContent:
    """What a page shows.

    Args:
        title: its title.
        data: a JSON object for the scripts.
        generator: whether the net generates images; otherwise the nets classify them.
    """

    title: str
    data: dict[str, object]
    generator: bool = False


def render(content: PageContent) -> bytes:
    """The HTML file of a page, in UTF-8."""
    scripts = _GENERATOR_SCRIPTS if content.generator else _CLASSIFIER_SCRIPTS
    style = (_FOLDER / "page.css").read_text("utf-8")
    script = "\n".join(['"use strict";', *((_FOLDER / f"{name}.js").read_text("utf-8") for name in scripts)])
    parts = {
        "policy": _policy(script, style),
        "title": html.escape(content.title),
        "style": style,
        "data": _json_text(content.data),
        "script": script,
    }
    page = (_FOLDER / "page.html").read_text("utf-8")
    pieces = page.split("{{")  # not one replacement after another: the data may have any text
    text = pieces[0] + "".join(
        parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:])
    )
    return text.encode(errors="replace")  # a file's name on disk need not be valid text


def max_bytes(nets: int) -> int:
    """The largest size of a page with so many nets."""
    return _MAX_BYTES_ONE if nets == 1 else _MAX_BYTES_SEVERAL


def check_size(size: int, limit: int) -> None:
    """Check that a page of `size` bytes, or what is known of it, has at most `limit` bytes.

    Raises:
        UsageError: it has more.
    """
    if size > limit:
        message = f"the page would have {size / 1e6:.1f} MB; a page has at most {limit / 1e6:.0f} MB"
        raise UsageError(message, field="page")


def _policy(script: str, style: str) -> str:
    """The Content-Security-Policy: this script and this style only, pictures made in the page, no request."""
    hashes = [f"'sha256-{_digest(text)}'" for text in (script, style)]
    return f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; img-src data: blob:"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json_text(value: dict[str, object]) -> str:
    """JSON in ASCII without the characters that mean something in HTML."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def encode(content: bytes) -> str:
    """Bytes as text in base 64."""
    return base64.b64encode(content).decode()
