"""A file is whole or as it was before."""

import os
import subprocess
import sys

import pytest

from mnistctl.artifacts import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_what_stood_there_and_nothing_else(tmp_path):
    path = tmp_path / "kept"
    files.write(path, "before")
    with pytest.raises(RuntimeError), files.atomic_write(path) as file:
        file.write(b"half of")
        raise RuntimeError
    assert path.read_text() == "before"
    assert names(tmp_path) == ["kept"]


def test_the_bytes_are_flushed_before_the_name_is_taken(tmp_path, monkeypatch):
    seen = []
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append((tmp_path / "new").exists()) or flush(fd))
    files.write(tmp_path / "new", b"bytes")
    assert seen == [False, True]  # the file, then its folder


def test_folders_on_the_way_are_made(tmp_path):
    files.write(tmp_path / "a/b/c", "text")
    assert (tmp_path / "a/b/c").read_text() == "text"


def test_the_dead_are_swept_and_the_living_are_left(tmp_path):
    made = (
        "import sys, pathlib, os; from mnistctl.artifacts import files\n"
        "with files.atomic_write(pathlib.Path(sys.argv[1])) as f: f.write(b'x'); f.flush(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", made, str(tmp_path / "killed")], check=False)
    (left,) = names(tmp_path)
    assert left.endswith(".part")
    with files.atomic_write(tmp_path / "alive") as file:
        file.write(b"y")
        (tmp_path / ".someone's.part").write_text("not ours")
        files.remove_stale_temp_files(tmp_path)
        assert left not in names(tmp_path)
    assert names(tmp_path) == [".someone's.part", "alive"]
