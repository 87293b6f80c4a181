"""Downloads from mirrors that misbehave: four verified files, or the folder as it was."""

import gzip
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mnistctl.data import datasets, download
from mnistctl.data.datasets import Dataset, File
from mnistctl.errors import DataError, UsageError


class Mirror:
    """A server on the loopback that answers each path by a function of the handler; counts what is asked."""

    def __init__(self, answer):
        self.asked = []
        self.stop = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
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
    with suppress(OSError):  # the client may have hung up, as it should
        handler.wfile.write(body)


SOUND = {
    file.name: (datasets._SAMPLE / f"{file.name}.gz").read_bytes() for file in datasets._files(*[None] * 4)
}


def name_of(handler):
    return handler.path.rsplit("/", 1)[-1].removesuffix(".gz")


def good(handler, _):
    send(handler, SOUND[name_of(handler)])


def forbidden(handler, _):
    send(handler, b"no", status=403)


def html(handler, _):
    send(handler, b"<html>" + b"please log in " * 5000 + b"</html>")


@cache  # packed once: a server that packs while its client waits is a slow one
def flipped(name):
    plain = bytearray(gzip.decompress(SOUND[name]))
    plain[-1] ^= 1
    return gzip.compress(bytes(plain), 1)


@cache
def exploding(name):
    return gzip.compress(gzip.decompress(SOUND[name]) + bytes(30_000_000), 1)


def wrong(handler, _):
    send(handler, flipped(name_of(handler)))


def cut(handler, _):
    body = SOUND[name_of(handler)]
    send(handler, body[: len(body) // 2], length=len(body))


def cut_unannounced(handler, _):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(SOUND[name_of(handler)][:-20])


def empty(handler, _):
    send(handler, b"")


def bomb(handler, _):
    send(handler, exploding(name_of(handler)))


def hang(handler, mirror):
    mirror.stop.wait(20)


def trickle(handler, mirror):
    handler.send_response(200)
    handler.end_headers()
    for byte in SOUND[name_of(handler)][:400]:
        if mirror.stop.wait(0.05):
            return
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return


def garbage(handler, _):
    handler.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")


FAULTS = (forbidden, html, wrong, cut, cut_unannounced, empty, bomb, hang, trickle, garbage)


for made in (flipped, exploding):
    for file_name in SOUND:
        made(file_name)


@pytest.fixture
def mirrors(monkeypatch):
    """Makes mirrors of the answers given, and `mnist` a small data set that only they have."""
    monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    made = []

    def make(*answers):
        made.extend(Mirror(answer) for answer in answers)
        files = []
        for file in datasets._files(*[None] * 4):
            plain = gzip.decompress(SOUND[file.name])
            files.append(
                File(file.name, file.split, file.kind, len(plain), hashlib.sha256(plain).hexdigest())
            )
        urls = tuple(mirror.url for mirror in made)
        monkeypatch.setitem(datasets.DATASETS, "mnist", Dataset("mnist", "small", tuple(files), urls))
        return made

    yield make
    for mirror in made:
        mirror.close()


def standing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_faulty_mirror_is_passed_over_for_the_good_one(fault, mirrors, tmp_path):
    bad, sound = mirrors(fault, good)
    found = download.fetch("mnist", tmp_path, timeout=0.5)
    assert [(s.action, s.count) for s in found] == [("fetched", n) for n in (4000, 4000, 1000, 1000)]
    assert standing(tmp_path) == {name: gzip.decompress(body) for name, body in SOUND.items()}
    assert len(sound.asked) == 4
    tries = {cut: 12, cut_unannounced: 12, empty: 12, garbage: 12, hang: 3, trickle: 3}
    assert len(bad.asked) == tries.get(fault, 4)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_without_a_good_mirror_the_folder_stays_as_it_was(fault, mirrors, tmp_path):
    (bad,) = mirrors(fault)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"damaged before")
    before = standing(tmp_path)
    with pytest.raises(DataError) as caught:
        download.fetch("mnist", tmp_path, timeout=0.5)
    assert standing(tmp_path) == before
    message = str(caught.value)
    for word in ("t10k-labels", str(tmp_path), bad.url, "--from", "--mirror", "--dataset sample"):
        assert word in message


def test_one_file_that_nobody_has_leaves_the_folder_as_it_was(mirrors, tmp_path):
    mirrors(lambda h, m: forbidden(h, m) if "t10k-labels" in h.path else good(h, m))
    with pytest.raises(DataError, match="answered 403"):
        download.fetch("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_server_that_recovers_is_asked_again(mirrors, tmp_path):
    (flaky,) = mirrors(lambda h, m: good(h, m) if m.asked.count(h.path) == 3 else send(h, b"", status=503))
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"fetched"}
    assert len(flaky.asked) == 12


def test_a_redirect_is_followed(mirrors, tmp_path):
    def moved(handler, _):
        if "moved" in handler.path:
            return good(handler, _)
        handler.send_response(302)
        handler.send_header("Location", f"/moved/{name_of(handler)}.gz")
        return handler.end_headers()

    mirrors(moved)
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"fetched"}


def test_a_second_run_fetches_nothing_and_a_damaged_file_alone_is_fetched_again(mirrors, tmp_path):
    (sound,) = mirrors(good)
    download.fetch("mnist", tmp_path)
    sound.asked.clear()
    assert {s.action for s in download.fetch("mnist", tmp_path)} == {"present"}
    assert sound.asked == []
    path = tmp_path / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    assert [s.action for s in download.check("mnist", tmp_path)] == [
        "present",
        "present",
        "damaged",
        "present",
    ]
    download.fetch("mnist", tmp_path)
    assert sound.asked == ["/files/t10k-images-idx3-ubyte.gz"]


def test_the_users_mirror_comes_first_and_progress_is_told(mirrors, tmp_path):
    given, listed = mirrors(good, good)
    told = []
    download.fetch("mnist", tmp_path, mirrors=[given.url], progress=lambda *moved: told.append(moved))
    assert (len(given.asked), len(listed.asked)) == (4, 0)
    body = len(SOUND["t10k-labels-idx1-ubyte"])
    assert told[-1] == ("t10k-labels-idx1-ubyte", body, body)


def test_the_environment_names_mirrors_as_the_option_does(mirrors, mnistctl, tmp_path):
    silent, given, listed = mirrors(forbidden, good, good)
    ran = mnistctl("download", MNISTCTL_MIRROR=f"{silent.url} {given.url}")
    assert (ran.returncode, len(given.asked), listed.asked) == (0, 4, [])
    assert silent.asked


def test_eight_at_once_end_with_four_verified_files(mirrors, tmp_path):
    mirrors(cut, good)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: download.fetch("mnist", tmp_path), range(8)))
    assert standing(tmp_path) == {name: gzip.decompress(body) for name, body in SOUND.items()}


def test_a_local_folder_stands_in_for_the_mirrors(mirrors, tmp_path):
    (unasked,) = mirrors(good)
    source = tmp_path / "source"
    source.mkdir()
    for name, body in SOUND.items():
        plain = name.startswith("train")
        (source / (name if plain else f"{name}.gz")).write_bytes(gzip.decompress(body) if plain else body)
    download.fetch("mnist", tmp_path / "data", source=source)
    assert {s.action for s in download.check("mnist", tmp_path / "data")} == {"present"}
    (source / "t10k-labels-idx1-ubyte.gz").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="not IDX"):
        download.fetch("mnist", tmp_path / "more", source=source)
    assert unasked.asked == []


def test_ensure_asks_nobody_offline_or_where_all_is_there(mirrors, tmp_path):
    (sound,) = mirrors(good)
    with pytest.raises(DataError, match="offline"):
        download.ensure("mnist", tmp_path, offline=True)
    download.ensure("mnist", tmp_path, offline=False)
    assert len(sound.asked) == 4
    download.ensure("mnist", tmp_path, offline=True)
    assert len(sound.asked) == 4


def test_a_server_that_is_not_there_is_told_by_name(mirrors, tmp_path):
    mirrors(forbidden)
    began = time.monotonic()
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:1/: Connection refused"):
        download.fetch("mnist", tmp_path, mirrors=["http://127.0.0.1:1/"])
    with pytest.raises(DataError, match=r"not an address"):
        download.fetch("mnist", tmp_path, mirrors=["http://[::1/"])
    assert time.monotonic() - began < 5


def test_what_is_not_fetched_is_said_to_be_so(tmp_path):
    with pytest.raises(UsageError, match="not fetched"):
        download.fetch("sample", tmp_path)
    with pytest.raises(UsageError, match="--mirror"):
        download.fetch("mnist", tmp_path, mirrors=["ftp://somewhere/"])
