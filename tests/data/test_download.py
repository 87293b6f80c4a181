"""Downloads from faulty mirrors: four verified files, or the folder as it was."""

import gzip
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mnistctl.cli.download import ensure
from mnistctl.cli.errors import describe_error
from mnistctl.data import datasets, download
from mnistctl.data.datasets import Dataset, File
from mnistctl.errors import DataError, UsageError


class Mirror:
    """A local server that answers each request with the function `answer`, and lists the requested paths."""

    def __init__(self, answer):
        self.requests = []
        self.stop = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                answer(self, mirror)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/files/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()


def send(handler, body, *, status=200, length=None):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    with suppress(OSError):  # the client may have closed the connection
        handler.wfile.write(body)


VALID = {
    file.name: (datasets._SAMPLE / f"{file.name}.gz").read_bytes() for file in datasets._files(*[None] * 4)
}


def name_of(handler):
    return handler.path.rsplit("/", 1)[-1].removesuffix(".gz")


def good(handler, _):
    send(handler, VALID[name_of(handler)])


def forbidden(handler, _):
    send(handler, b"no", status=403)


def html(handler, _):
    send(handler, b"<html>" + b"please log in " * 5000 + b"</html>")


@cache  # compressed once: compressing while the client waits would make the server slow
def flipped(name):
    plain = bytearray(gzip.decompress(VALID[name]))
    plain[-1] ^= 1
    return gzip.compress(bytes(plain), 1)


@cache
def exploding(name):
    return gzip.compress(gzip.decompress(VALID[name]) + bytes(30_000_000), 1)


def endless_gzip(start):
    """Sends `start` and then the same bytes for ever: a gzip that unpacks to nothing."""

    def answer(handler, mirror):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(start)
            while not mirror.stop.is_set():
                handler.wfile.write(start[-20:] * 1000)

    return answer


endless_name = endless_gzip(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 20)
empty_members = endless_gzip(gzip.compress(b"", mtime=0))


def wrong(handler, _):
    send(handler, flipped(name_of(handler)))


def cut(handler, _):
    body = VALID[name_of(handler)]
    send(handler, body[: len(body) // 2], length=len(body))


def cut_unannounced(handler, _):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(VALID[name_of(handler)][:-20])


def empty(handler, _):
    send(handler, b"")


def bomb(handler, _):
    send(handler, exploding(name_of(handler)))


def hang(handler, mirror):
    mirror.stop.wait(20)


def trickle(handler, mirror):
    handler.send_response(200)
    handler.end_headers()
    for byte in VALID[name_of(handler)][:400]:
        if mirror.stop.wait(0.05):
            return
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return


def garbage(handler, _):
    handler.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")


FAULTS = {
    "forbidden": forbidden,
    "html": html,
    "wrong": wrong,
    "cut": cut,
    "cut_unannounced": cut_unannounced,
    "empty": empty,
    "bomb": bomb,
    "hang": hang,
    "trickle": trickle,
    "garbage": garbage,
    "endless_name": endless_name,
    "empty_members": empty_members,
}


for build in (flipped, exploding):
    for file_name in VALID:
        build(file_name)


@pytest.fixture
def mirrors(monkeypatch):
    """Starts mirrors with these answers, and makes `mnist` a small data set that they have."""
    monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
    monkeypatch.setattr("mnistctl.data.mirror.WINDOW", 0.5)
    monkeypatch.setenv("no_proxy", "*")
    started = []

    def start(*answers):
        started.extend(Mirror(answer) for answer in answers)
        files = []
        for file in datasets._files(*[None] * 4):
            plain = gzip.decompress(VALID[file.name])
            files.append(
                File(file.name, file.split, file.kind, len(plain), hashlib.sha256(plain).hexdigest())
            )
        urls = tuple(mirror.url for mirror in started)
        monkeypatch.setitem(datasets.DATASETS, "mnist", Dataset("mnist", "small", tuple(files), urls))
        return started

    yield start
    for mirror in started:
        mirror.close()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_mirror_is_skipped_for_the_good_one(fault, mirrors, tmp_path, monkeypatch):
    bad, sound = mirrors(FAULTS[fault], good)
    monkeypatch.setattr("mnistctl.data.mirror.WINDOW", 2.0)
    statuses = download.fetch("mnist", tmp_path, timeout=2)
    assert [(s.action, s.count) for s in statuses] == [("fetched", n) for n in (4000, 4000, 1000, 1000)]
    assert contents(tmp_path) == {name: gzip.decompress(body) for name, body in VALID.items()}
    assert len(sound.requests) == 4
    repeated, useless = (
        ("cut", "cut_unannounced", "empty", "garbage"),
        ("hang", "trickle", "endless_name", "empty_members"),
    )
    assert len(bad.requests) == (12 if fault in repeated else 1 if fault in useless else 4)


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_good_mirror_the_folder_is_unchanged(fault, mirrors, tmp_path):
    (bad,) = mirrors(FAULTS[fault])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"damaged before")
    before = contents(tmp_path)
    with pytest.raises(DataError) as caught:
        download.fetch("mnist", tmp_path, timeout=0.5)
    assert contents(tmp_path) == before
    message = describe_error(caught.value)
    for word in ("t10k-labels", str(tmp_path), bad.url, "--from", "--mirror", "--dataset sample"):
        assert word in message


def test_one_file_that_no_mirror_has_leaves_the_folder_unchanged(mirrors, tmp_path):
    mirrors(lambda h, m: forbidden(h, m) if "t10k-labels" in h.path else good(h, m))
    with pytest.raises(DataError, match="answered 403"):
        download.fetch("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_server_that_recovers_is_tried_again(mirrors, tmp_path):
    (flaky,) = mirrors(lambda h, m: good(h, m) if m.requests.count(h.path) == 3 else send(h, b"", status=503))
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"fetched"}
    assert len(flaky.requests) == 12


def test_redirect_is_followed(mirrors, tmp_path):
    def redirect(handler, _):
        if "moved" in handler.path:
            return good(handler, _)
        handler.send_response(302)
        handler.send_header("Location", f"/moved/{name_of(handler)}.gz")
        return handler.end_headers()

    mirrors(redirect)
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"fetched"}


def test_second_run_downloads_only_damaged_files(mirrors, tmp_path):
    (sound,) = mirrors(good)
    download.fetch("mnist", tmp_path)
    sound.requests.clear()
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"present"}
    assert sound.requests == []
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    assert [s.action for s in download.check("mnist", tmp_path)] == [
        "present",
        "present",
        "damaged",
        "present",
    ]
    download.fetch("mnist", tmp_path)
    assert sound.requests == ["/files/t10k-images-idx3-ubyte.gz"]


def test_sound_files_of_the_user_are_kept_unless_they_are_to_be_replaced(mirrors, tmp_path, mnistctl, own):
    (sound,) = mirrors(good)
    data = tmp_path / "data"
    data.mkdir()
    for path in sorted(own.iterdir())[1:]:  # the fourth is missing, so that train would download it
        (data / path.name).write_bytes(path.read_bytes())
    before = contents(data)
    for words in (["download"], ["download", "--check"], ["train", "logit"], ["eval", "pretrained"]):
        ran = mnistctl(*words, MNISTCTL_OFFLINE="0")
        assert (ran.returncode, ran.stderr.count("\n")) == (3, 1), ran.stderr
        for word in (
            "train-images-idx3-ubyte",
            "--dataset own",
            "mnistctl download --dataset mnist --overwrite",
        ):
            assert word in ran.stderr
    assert (contents(data), sound.requests) == (before, [])
    assert mnistctl("download", "--overwrite").returncode == 0
    assert contents(data) == {name: gzip.decompress(body) for name, body in VALID.items()}


def test_users_mirror_comes_first_and_progress_is_reported(mirrors, tmp_path):
    users, listed = mirrors(good, good)
    progress = []
    download.fetch("mnist", tmp_path, mirrors=[users.url], progress=lambda *update: progress.append(update))
    assert (len(users.requests), len(listed.requests)) == (4, 0)
    body = len(VALID["t10k-labels-idx1-ubyte"])
    assert progress[-1] == ("t10k-labels-idx1-ubyte", body, body)


def test_mirrors_can_be_set_in_the_environment(mirrors, mnistctl, tmp_path):
    first, second, listed = mirrors(forbidden, good, good)
    ran = mnistctl("download", MNISTCTL_MIRROR=f"{first.url} {second.url}")
    assert (ran.returncode, len(second.requests), listed.requests) == (0, 4, [])
    assert first.requests


def test_mirrors_of_the_environment_serve_every_command_that_downloads(mirrors, mnistctl):
    users, listed = mirrors(good, good)
    ran = mnistctl("show", "--index", "3", MNISTCTL_MIRROR=users.url, MNISTCTL_OFFLINE="0")
    assert (ran.returncode, len(users.requests), listed.requests) == (0, 4, [])


def test_wrong_mirror_of_the_environment_is_reported_by_every_command(mirrors, mnistctl):
    (listed,) = mirrors(good)
    ran = mnistctl("show", "--index", "3", MNISTCTL_MIRROR="ftp://there", MNISTCTL_OFFLINE="0")
    assert (ran.returncode, listed.requests) == (2, [])
    assert ran.stderr == "mnistctl: MNISTCTL_MIRROR=ftp://there: not an http or https address\n"


def test_unknown_data_set_is_not_said_to_be_a_mirror(tmp_path):
    with pytest.raises(UsageError) as raised:
        ensure("foo", tmp_path, offline=False)
    assert (raised.value.field, raised.value.given_by) == ("dataset", None)


def test_eight_simultaneous_downloads_end_with_four_verified_files(mirrors, tmp_path):
    mirrors(cut, good)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: download.fetch("mnist", tmp_path), range(8)))
    assert contents(tmp_path) == {name: gzip.decompress(body) for name, body in VALID.items()}


def test_local_folder_replaces_the_mirrors(mirrors, tmp_path):
    (unused,) = mirrors(good)
    source = tmp_path / "source"
    source.mkdir()
    for name, body in VALID.items():
        plain = name.startswith("train")
        (source / (name if plain else f"{name}.gz")).write_bytes(gzip.decompress(body) if plain else body)
    download.fetch("mnist", tmp_path / "data", source=source, mirrors=["of no use, so not even parsed"])
    assert {s.action for s in download.check("mnist", tmp_path / "data")} == {"present"}
    (source / "t10k-labels-idx1-ubyte.gz").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="not IDX"):
        download.fetch("mnist", tmp_path / "more", source=source)
    assert unused.requests == []


def test_ensure_downloads_nothing_offline_or_if_all_files_exist(mirrors, tmp_path):
    (sound,) = mirrors(good)
    with pytest.raises(DataError, match="downloads are turned off"):
        download.ensure("mnist", tmp_path, offline=True)
    download.ensure("mnist", tmp_path, offline=False)
    assert len(sound.requests) == 4
    download.ensure("mnist", tmp_path, offline=True)
    assert len(sound.requests) == 4


def test_unreachable_server_is_named(mirrors, tmp_path):
    mirrors(forbidden)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:1/: Connection refused"):
        download.fetch("mnist", tmp_path, mirrors=["http://127.0.0.1:1/"])
    assert time.monotonic() - start < 20


def test_what_cannot_be_downloaded_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be downloaded"):
        download.fetch("sample", tmp_path)
    with pytest.raises(UsageError, match="not an http or https address"):
        download.fetch("mnist", tmp_path, mirrors=["ftp://somewhere/"])
    with pytest.raises(UsageError, match="not an http or https address"):
        download.fetch("mnist", tmp_path, mirrors=["http://[::1/"])
