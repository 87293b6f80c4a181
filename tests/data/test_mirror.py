"""Mirrors that waste time: none holds a download longer than the window of the least speed."""

import base64
import gzip
import hashlib
import itertools
import random
import socket
import sys
import threading
import time
from contextlib import suppress

import pytest

from mnistctl.cli.errors import describe_error
from mnistctl.data import datasets, download, mirror
from mnistctl.data.datasets import Dataset, File
from mnistctl.errors import DataError, UsageError

WINDOW = 0.3  # seconds, in place of 30
LIMIT = 15.0  # seconds; the slowest answers would take 20 or more
LABELS = (datasets._SAMPLE / "t10k-labels-idx1-ubyte.gz").read_bytes()
PLAIN = gzip.decompress(LABELS)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY_MEMBER = gzip.compress(b"", mtime=0)


class RawMirror:
    """A local server that answers each request with the blocks of bytes that `answer` yields.

    Args:
        answer: returns the blocks of one answer, which may be endless.
        pause: seconds to wait after each block.
    """

    def __init__(self, answer, pause=0.0):
        self.requests, self._stop, self._answer, self._pause = [], threading.Event(), answer, pause
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection):
        with connection, suppress(OSError):
            self.requests.append(connection.recv(65536).decode())
            for block in self._answer():
                connection.sendall(block)
                if self._stop.wait(self._pause):
                    return

    def close(self):
        self._stop.set()
        self._server.close()


@pytest.fixture
def fetch(monkeypatch, tmp_path):
    """Downloads a data set of one small file from a mirror with this answer, which is returned."""
    monkeypatch.setattr(download, "RETRY_DELAY", 0.001)
    monkeypatch.setenv("no_proxy", "*")
    file = File("t10k-labels-idx1-ubyte", "test", "labels", len(PLAIN), hashlib.sha256(PLAIN).hexdigest())
    monkeypatch.setitem(
        datasets.DATASETS, "mnist", Dataset("mnist", "small", (file,), ("http://127.0.0.1:1/",))
    )
    mirrors = []

    def run(answer, pause=0.0, address="{url}", window=30.0, timeout=None):
        monkeypatch.setattr(mirror, "WINDOW", window)
        mirrors.append(RawMirror(answer, pause))
        url = address.format(url=mirrors[-1].url, port=mirrors[-1].port)
        download.fetch("mnist", tmp_path / "data", mirrors=[url], timeout=timeout or window)
        return mirrors[-1]

    yield run
    for each in mirrors:
        each.close()


def sound():
    yield OK + b"\r\n" + LABELS


def bytes_of(content):
    return (content[i : i + 1] for i in range(len(content)))


ENDLESS = {
    "gzip_members": (lambda: itertools.chain([OK + b"\r\n"], itertools.repeat(EMPTY_MEMBER)), 0.01),
    "gzip_name": (
        lambda: itertools.chain([OK + b"\r\n\x1f\x8b\x08\x08" + bytes(6)], itertools.repeat(b"n")),
        0.01,
    ),
    "trailers": (
        lambda: itertools.chain(
            [CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(LABELS) - 9, LABELS[:-9])], itertools.repeat(b"a: b\r\n")
        ),
        0.01,
    ),
    "status_line": (lambda: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"O")), 0.01),
    "continues": (lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.01),
    "continues_fast": (lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), 0.0),
    "trailers_fast": (
        lambda: itertools.chain([CHUNKED + b"0\r\n"], itertools.repeat(b"a: b\r\n" * 1000)),
        0.0,
    ),
    "header_by_bytes": (lambda: bytes_of(OK + b"X: " + b"y" * 5000), 0.02),
    "body_by_bytes": (lambda: itertools.chain([OK + b"\r\n"], bytes_of(LABELS)), 0.02),
    "silence": (lambda: iter([b""]), 20),
    "silence_in_the_header": (lambda: iter([OK]), 20),
    "silence_in_the_body": (lambda: iter([OK + b"\r\n" + LABELS[:99]]), 20),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_answer_is_left_after_one_window(kind, fetch):
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        fetch(*ENDLESS[kind], window=WINDOW)
    assert time.monotonic() - started < LIMIT
    assert "\n" not in str(caught.value)


def test_slow_mirror_is_told_from_a_silent_one(fetch):
    with pytest.raises(DataError, match=r"sent less than 10 kB of the file per second for 0\.3 s"):
        fetch(*ENDLESS["header_by_bytes"], window=WINDOW)
    with pytest.raises(DataError, match=r"timed out after 0\.1 s"):
        fetch(*ENDLESS["silence_in_the_header"], window=WINDOW, timeout=0.1)


def test_sound_mirror_that_takes_two_windows_is_accepted(fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "MIN_BYTES_PER_SECOND", 50)
    monkeypatch.setattr(download, "_PIECE", 10)
    pieces = [PLAIN[i : i + 50] for i in range(0, len(PLAIN), 50)]  # unpacked: each is counted at once
    fetch(lambda: iter([OK + b"\r\n", *pieces]), 0.1, window=1.0)
    assert (tmp_path / "data" / "t10k-labels-idx1-ubyte").read_bytes() == PLAIN


def test_user_and_password_of_an_address_are_sent_and_never_printed(fetch):
    served = fetch(sound, address="http://me:p%40ss@127.0.0.1:{port}/files?key=tok3n")
    expected = base64.b64encode(b"me:p@ss").decode()
    assert f"Authorization: Basic {expected}\r\n" in served.requests[0]
    assert served.requests[0].startswith("GET /files/t10k-labels-idx1-ubyte.gz?key=tok3n HTTP/1.1")


def test_password_goes_to_no_other_host(fetch):
    other = RawMirror(sound)
    same = iter(["/again", f"{other.url}x"])
    served = fetch(
        lambda: iter([f"HTTP/1.1 302 Found\r\nLocation: {next(same)}\r\nConnection: close\r\n\r\n".encode()]),
        address="http://me:pass@127.0.0.1:{port}/",
    )
    other.close()
    assert ["Authorization" in request for request in served.requests] == [True, True]
    assert "Authorization" not in other.requests[0]


SECRET = "s3cr3t"
ADDRESSES = [
    "http://me:{s}@127.0.0.1:1/",
    "http://{s}@127.0.0.1:1/x",
    "http://127.0.0.1:1/{s}/",
    "http://127.0.0.1:1/?token={s}",
    "http://127.0.0.1:1/#{s}",
    "http://me:{s}@127.0.0.1:{s}/",
    "http://me:a/{s}@127.0.0.1:1/",
    "http://me:{s}/b@127.0.0.1:1/",
    "http://me:1?{s}@127.0.0.1:1/",
    "http://me: {s}@127.0.0.1:1/",
    "http://me:{s}@[::1/",
    "http://me:{s}@",
    "http://me:{s}@127.0.0.1:99999/",
    "http://me:{s}\n@127.0.0.1:1/",
    "ftp://me:{s}@127.0.0.1/",
    "me:{s}@127.0.0.1/",
    "//me:{s}@127.0.0.1/",
    "{s}",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_secret_in_an_address_is_in_no_error_and_in_no_representation(address, fetch):
    address = address.replace("{s}", SECRET)
    with pytest.raises((UsageError, DataError)) as caught:
        fetch(sound, address=address)
    assert SECRET not in describe_error(caught.value) + repr(caught.value) + repr(vars(caught.value))
    with suppress(ValueError):
        assert SECRET not in repr(mirror.Address.parse(address))


def test_secrets_in_variables_are_not_in_the_description_of_the_machine(mnistctl):
    addresses = " ".join(address.replace("{s}", SECRET) for address in ADDRESSES)
    for arguments in (["show", "--machine"], ["show", "--machine", "--json"]):
        ran = mnistctl(*arguments, MNISTCTL_MIRROR=addresses)
        assert ran.returncode == 0
        assert SECRET not in ran.stdout + ran.stderr
        assert "http://127.0.0.1:1/" in ran.stdout


def test_what_a_mirror_sends_is_not_printed(fetch):
    with pytest.raises(DataError) as caught:
        fetch(lambda: iter([b"HTTP/1.1 s3cr3t\x1b[2J oh no\r\n\r\n"]))
    assert "sent something that is not HTTP" in str(caught.value)
    assert SECRET not in str(caught.value)


def hostile_answer(rng):
    """A function that returns the blocks of an answer that is wrong in several places, and a pause."""
    part = rng.randbytes(rng.randrange(1, 2000))
    places = [b"/", b"ftp://h/", b"http://[", b"\x00", b"//"]
    start = rng.choice(
        [
            OK,
            OK,
            OK,
            b"",
            b"HTTP/1.1 " + str(rng.randrange(0, 1200)).encode() + b" x\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: " + rng.choice(places) + b"\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * rng.randrange(1, 100) + OK,
            b"HTTP/9.9 200\r\n",
            part,
        ]
    )
    headers = rng.choice(
        [
            b"",
            b"Content-Length: " + rng.choice([b"-1", b"9" * 30, b"0", b"x", b"5", b"1, 2"]) + b"\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Encoding: gzip\r\n",
            b"".join(b"H%d: x\r\n" % n for n in range(rng.choice([50, 101, 5000]))),
            b"X: " + b"y" * rng.choice([100, 70_000]) + b"\r\n",
            part,
        ]
    )
    cut = LABELS[: rng.randrange(len(LABELS))]
    chunk = b"%x\r\n" % len(LABELS) + LABELS
    body = rng.choice([LABELS + part, cut, part, EMPTY_MEMBER * 500, PLAIN[:-1], chunk, LABELS, b""])
    tail = rng.choice([[], [part], *map(itertools.repeat, (part, b"a: b\r\n", bytes(999)))])
    blocks = rng.choice([[start + headers + b"\r\n" + body], bytes_of(start + headers + b"\r\n" + body)])
    content, tail = list(blocks), list(itertools.islice(tail, 20_000))
    return (lambda: itertools.chain(content, tail)), rng.choice([0.0, 0.0, 0.0, 0.005])


@pytest.mark.long
def test_200_hostile_answers_end_in_one_line_within_the_time_limit(fetch, tmp_path, capsys):
    """Three tries are the most that a mirror gets for a file, each of at most two windows."""
    rng, refused, accepted, longest = random.Random(0), 0, 0, 0.0
    for _ in range(200):
        answer, pause = hostile_answer(rng)
        started = time.monotonic()
        try:
            fetch(answer, pause, window=WINDOW)
            accepted += 1  # only the very file
            (tmp_path / "data" / "t10k-labels-idx1-ubyte").unlink()
        except DataError as error:
            refused += 1
            assert error.exit_code == 3
            assert "\n" not in describe_error(error)
            assert not (tmp_path / "data").exists() or not any((tmp_path / "data").iterdir())
        longest = max(longest, time.monotonic() - started)
    assert longest < LIMIT
    with capsys.disabled():
        sys.stdout.write(f"\n{refused} refused, {accepted} with the right file, longest {longest:.2f} s\n")
    assert refused > 150
