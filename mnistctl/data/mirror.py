"""Requests to a mirror: its address without secrets, and answers that must arrive at a least speed.

`http.client` reads status lines, headers and trailers by itself, with a timeout for each read only. Here all
that it reads passes a meter. A mirror that sends little of the file is left, whatever else it sends.
"""

import base64
import functools
import http.client
import io
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from mnistctl import __version__

MIN_BYTES_PER_SECOND = 10_000  # of the unpacked file, on average over a window
WINDOW = 30.0  # seconds
_MAX_OVERHEAD = 2**19  # bytes that are not of the file: status lines, headers, trailers
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,9}://)?([^/?#]*)(.*)", re.DOTALL)  # scheme, host, the rest
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?")


class SlowError(Exception):
    """A mirror sent less than the least speed, or too much that is not the file."""


@dataclass(frozen=True)
class Address:
    """The address of a mirror. Its password, or a token in it, is never part of `str`.

    Args:
        url: without user name and password.
        authorization: the HTTP header with user name and password; None without.
        public: what may be printed: the scheme and the host.
    """

    url: str = field(repr=False)
    authorization: str | None = field(repr=False)
    public: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address in `text`, with or without `user:password@`.

        Raises:
            ValueError: not an http or https address; the message does not repeat it.
        """
        public = public_address(text)
        try:
            parts = urlsplit(text)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # for example a port that is no number
            valid = False
        if not valid or re.search(r"[^!-~]", text) or public == f"{parts.scheme}://...":
            raise ValueError("not an http or https address")
        user, at, host = parts.netloc.rpartition("@")
        header = f"Basic {base64.b64encode(unquote(user).encode()).decode()}" if at else None
        return cls(parts._replace(netloc=host, fragment="").geturl(), header, public)

    def of_file(self, name: str) -> str:
        """The address of the file `name` below this one. A query stays at the end."""
        parts = urlsplit(self.url)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()

    def __str__(self) -> str:
        return self.public


def public_address(text: str) -> str:
    """What may be printed of an address that the user gave: scheme, host and port.

    User name and password, path and query may hold a secret. So may all of a malformed address.
    """
    scheme, login_and_host, rest = _PARTS.match(text).groups("")  # type: ignore[union-attr]
    host = login_and_host.rpartition("@")[2]
    if not scheme or not _HOST.fullmatch(host) or "@" in rest:
        return f"{scheme}..."
    return f"{scheme}{host}{rest if rest in ('', '/') else '/...'}"


class Meter:
    """Watches one request, redirects included.

    Args:
        timeout: seconds of silence to wait.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout, self._window = timeout, max(WINDOW, timeout)
        self._since = time.monotonic()
        self._received = self._unpacked = self._before = 0

    def unpacked(self, count: int) -> None:
        """Count bytes of the file."""
        self._unpacked += count

    def received(self, count: int) -> None:
        """Count bytes that arrived, of whatever kind.

        Raises:
            SlowError: as `patience`, or they are too many for what was unpacked.
        """
        self._received += count
        if self._received > 2 * self._unpacked + _MAX_OVERHEAD:
            raise SlowError("sent too many bytes that are not of the file")
        self.patience()

    def patience(self, silent_since: float | None = None) -> float:
        """The seconds to wait for the next bytes.

        Args:
            silent_since: when the last bytes arrived, in the time of `time.monotonic`; None for now.

        Raises:
            TimeoutError: nothing arrived during the timeout.
            SlowError: too little of the file was unpacked in the last window.
        """
        now = time.monotonic()
        silence = 0.0 if silent_since is None else now - silent_since
        if silence >= self._timeout:
            raise TimeoutError
        left = self._since + self._window - now
        if left <= 0:
            if self._unpacked - self._before < MIN_BYTES_PER_SECOND * self._window:
                speed = f"{MIN_BYTES_PER_SECOND / 1000:g} kB"
                raise SlowError(f"sent less than {speed} of the file per second for {self._window:g} s")
            self._since, self._before, left = now, self._unpacked, self._window
        return min(left, self._timeout - silence)


class _MeteredStream(io.RawIOBase):
    """What a socket receives, counted by a meter, which also sets the time to wait for it."""

    def __init__(self, connection: socket.socket, meter: Meter) -> None:
        self._socket, self._meter = connection, meter
        self._stream: Any = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        silent_since = time.monotonic()
        while True:
            self._socket.settimeout(self._meter.patience(silent_since))
            try:
                count = self._socket.recv_into(buffer)
            except TimeoutError:
                continue  # `patience` decides whether to wait on
            self._meter.received(count)
            return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose every byte passes the meter."""

    def __init__(
        self, meter: Meter, stack: ExitStack, connection: socket.socket, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(connection, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_MeteredStream(connection, meter))
        stack.callback(self.close)  # urllib leaves it open if a redirect is malformed


class _MeteredHandler(urllib.request.HTTPSHandler):
    """Opens http and https addresses, and no others. The answers are closed with `stack`."""

    def __init__(self, meter: Meter, stack: ExitStack) -> None:
        super().__init__()
        self._meter, self._stack = meter, stack
        self.http_request = self.https_request

    def http_open(self, request: urllib.request.Request) -> Any:
        connect: Any = functools.partial(self._connect, http.client.HTTPConnection)
        return self.do_open(connect, request)

    def https_open(self, request: urllib.request.Request) -> Any:
        connect: Any = functools.partial(self._connect, http.client.HTTPSConnection)
        return self.do_open(connect, request)

    def _connect(self, kind: type[http.client.HTTPConnection], host: str, **options: Any) -> Any:
        connection = kind(host, **(options | {"timeout": self._meter.patience()}))
        response: Any = functools.partial(_Response, self._meter, self._stack)
        connection.response_class = response
        return connection


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects. User name and password go to no other scheme, host or port."""

    def redirect_request(self, request: urllib.request.Request, *args: Any) -> urllib.request.Request | None:
        following = super().redirect_request(request, *args)
        secret = request.unredirected_hdrs.get("Authorization")
        if following is not None and secret is not None:
            here, there = urlsplit(request.full_url), urlsplit(following.full_url)
            if (here.scheme, here.netloc) == (there.scheme, there.netloc):
                following.add_unredirected_header("Authorization", secret)
        return following


@contextmanager
def open_file(address: Address, name: str, meter: Meter) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request for the file `name`. The proxies of the environment are used.

    Raises:
        SlowError: while it is read, too.
        OSError, http.client.HTTPException, ValueError: as `urllib.request.urlopen`.
    """
    opener, stack = urllib.request.OpenerDirector(), ExitStack()
    for handler in (
        urllib.request.ProxyHandler(),
        _MeteredHandler(meter, stack),
        _RedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = []
    request = urllib.request.Request(address.of_file(name), headers={"User-Agent": f"mnistctl/{__version__}"})
    if address.authorization is not None:
        request.add_unredirected_header("Authorization", address.authorization)
    with stack:
        yield opener.open(request, timeout=meter.patience())
