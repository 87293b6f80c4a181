"""A file is written completely, or stays as it was."""

import errno
import os
import subprocess
import sys

import pytest

from mnistctl.artifacts import files
from mnistctl.errors import OutputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "old"
    files.write(path, "before")
    with pytest.raises(RuntimeError), files.atomic_write(path) as file:
        file.write(b"half of")
        raise RuntimeError
    assert path.read_text() == "before"
    assert names(tmp_path) == ["old"]


def test_bytes_are_flushed_before_the_file_is_renamed(tmp_path, monkeypatch):
    flushed = []
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append((tmp_path / "new").exists()) or flush(fd))
    files.write(tmp_path / "new", b"bytes")
    assert flushed == [False, True]  # the file, then its folder


def test_missing_folders_are_created(tmp_path):
    files.write(tmp_path / "a/b/c", "text")
    assert (tmp_path / "a/b/c").read_text() == "text"


def test_temporary_files_of_dead_processes_are_deleted_and_others_stay(tmp_path):
    code = (
        "import sys, pathlib, os; from mnistctl.artifacts import files\n"
        "with files.atomic_write(pathlib.Path(sys.argv[1])) as f: f.write(b'x'); f.flush(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "killed")], check=False)
    (left,) = names(tmp_path)
    assert left.endswith(".part")
    with files.atomic_write(tmp_path / "alive") as file:
        file.write(b"y")
        (tmp_path / ".someone's.part").write_text("not ours")
        files.remove_stale_temp_files(tmp_path)
        assert left not in names(tmp_path)
    assert names(tmp_path) == [".someone's.part", "alive"]


def test_windows_is_not_asked_for_a_process_which_would_send_it_a_signal(tmp_path, monkeypatch):
    ended = 2**31 - 1  # beyond the numbers of processes
    new, old = (tmp_path / f".{name}.{files._HOST}.{ended}.0123abcd.part" for name in ("new", "old"))
    for path in (new, old):
        path.write_text("half of")
    os.utime(old, (0, 0))
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    files.remove_stale_temp_files(tmp_path)
    assert names(tmp_path) == [new.name]
    monkeypatch.undo()
    files.remove_stale_temp_files(tmp_path)
    assert names(tmp_path) == []


def test_checksum_covers_every_byte():
    content = files.add_checksum(b'{"checksum": "' + files.CHECKSUM_PLACEHOLDER.encode() + b'", "a": 1}')
    assert files.verify_checksum(content)
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        assert not files.verify_checksum(bytes(changed))


@pytest.mark.parametrize("process", ["99999999999", "9" * 150, "0x10", "٣", "-1", ""])
def test_names_of_other_programs_are_not_taken_for_temporary_files(process, tmp_path):
    host = files._HOST
    for name in (f".x.{host}.{process}.abcd.part", f".x.{host}.{process}.0123abcd.part", f".{process}.part"):
        (tmp_path / name).write_text("not ours")
    before = names(tmp_path)
    files.prepare_folder(tmp_path)
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("number", "remedies"),
    [
        (errno.ENOSPC, ("free_space",)),
        (errno.EDQUOT, ("free_space",)),
        (errno.EROFS, ("other_folder",)),
        (errno.EACCES, ("other_folder",)),
        (errno.EIO, ()),
    ],
)
def test_error_of_writing_says_what_helps(number, remedies, tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as caught:
        files.write(tmp_path / "new", b"bytes")
    assert caught.value.message == f"{tmp_path / 'new'}: cannot be written ({os.strerror(number)})"
    assert caught.value.remedies == remedies
    assert names(tmp_path) == []
