"""What may be written where: endings, existing files, files of runs, links, pipes and devices."""

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from mnistctl.artifacts import checkpoint, files
from mnistctl.artifacts.outputs import ONNX, PICTURE, TABLE, Output, check_outputs, kind_of, owner_of
from mnistctl.errors import OutputError, UsageError


def named(path, form=PICTURE):
    return Output(path, form, "png")


@pytest.fixture
def run(tmp_path):
    """The files of a generator's run called gan, and of a classifier's run called conv."""
    checkpoint.save(tmp_path / "gan.safetensors", checkpoint.NET, {"model": "gan"}, {"a": torch.ones(1)})
    checkpoint.save(tmp_path / "conv.safetensors", checkpoint.NET, {"model": "conv"}, {"a": torch.ones(1)})
    for name in ("gan.gif", "gan01.png", "gan02.png", "conv.png", "conv01.png"):
        (tmp_path / name).write_bytes(b"picture")
    return tmp_path


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", ".png", "a.pngx"])
def test_an_ending_that_does_not_fit_the_format_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"needs a name that ends in \.png"):
        check_outputs([named(tmp_path / name)])
    check_outputs([named(tmp_path / "a.PNG"), named(tmp_path / "b c.png")])


def test_an_existing_named_file_is_replaced_only_on_request_and_a_default_one_always(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    with pytest.raises(UsageError, match="exists already") as raised:
        check_outputs([named(path)])
    assert raised.value.remedies == ("overwrite",)
    check_outputs([named(path)], overwrite=True)
    check_outputs([Output(path, PICTURE)])


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("record", b'{\n "version": 3,\n "checksum": "sha256:'),
        ("file of trials", b'{\n "version": 2,\n "models": [\n  "swa"'),
        ("file of trials", b'{"version": 2, "command": "mnistctl trials \\"a\\"", "started": "2026'),
        ("log", b'{"epoch": 1, "lr": 0.1'),
        ("IDX file", b"\0\0\x08\x03" + bytes(20)),
        ("IDX file", gzip.compress(b"\0\0\x08\x01" + bytes(20), mtime=0)),
        ("checkpoint", (20).to_bytes(8, "little") + b'{"__metadata__":{}}   '),
        (None, b'{"version": 2, "name": "conv"'),  # printed by eval
        (None, b"\x89PNG"),
        (None, b""),
        (None, b"\x1f\x8bgarbage"),
    ],
)
def test_files_are_recognised_by_their_content_and_never_replaced(kind, content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert kind_of(path) == kind
    if kind is None:
        check_outputs([named(path)], overwrite=True)
    else:
        for output in (named(path), Output(path, PICTURE)):
            with pytest.raises(UsageError, match="never replaced"):
                check_outputs([output], overwrite=True)


def test_files_of_a_run_are_known_by_the_files_next_to_them(run):
    owners = {path.name: owner_of(path) for path in run.iterdir()}
    assert owners == {
        "gan.safetensors": "gan",
        "gan.gif": "gan",
        "gan01.png": "gan",
        "gan02.png": "gan",
        "conv.safetensors": "conv",
        "conv.png": "conv",
        "conv01.png": None,  # conv leaves no picture of each epoch
    }
    for name in ("gan01.png", "conv.png", "gan.png"):
        with pytest.raises(UsageError, match="belongs to the run"):
            check_outputs([named(run / name)], overwrite=True)
    check_outputs([Output(run / "gan01.png", PICTURE, run="gan")])


def test_links_are_followed_and_the_file_behind_is_protected(run):
    (run / "link.png").symlink_to("conv.safetensors")
    with pytest.raises(UsageError, match="is a checkpoint"):
        check_outputs([named(run / "link.png")], overwrite=True)
    (run / "a.png").symlink_to("b.png")
    check_outputs([named(run / "a.png")])
    files.write(run / "a.png", b"new")
    assert ((run / "a.png").is_symlink(), (run / "b.png").read_bytes()) == (True, b"new")
    (run / "b.png").unlink()
    (run / "b.png").symlink_to("a.png")
    with pytest.raises(OutputError, match="symbolic links"):
        check_outputs([named(run / "a.png")])
    with pytest.raises(OutputError, match="symbolic links"):
        files.write(run / "a.png", b"new")


def test_two_outputs_in_one_file_are_refused(tmp_path):
    (tmp_path / "link.csv").symlink_to("a.onnx")
    with pytest.raises(UsageError, match="the same file as"):
        check_outputs([named(tmp_path / "a.onnx", ONNX), named(tmp_path / "link.csv", TABLE)])
    (tmp_path / "b.csv").write_text("text")
    os.link(tmp_path / "b.csv", tmp_path / "b.onnx")
    with pytest.raises(UsageError, match="the same file as"):
        check_outputs([named(tmp_path / "b.onnx", ONNX), named(tmp_path / "b.csv", TABLE)], overwrite=True)
    check_outputs([named(Path("/dev/null"), ONNX), named(Path("/dev/null"), TABLE)])


def test_folders_and_names_that_cannot_be_written_are_found_before_the_work(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("text")
    for path, message in (
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "file/a.png", "/file is not a folder"),
        (tmp_path / "missing" / ("x" * 300) / "a.png", "too long"),
        (tmp_path / ("x" * 252 + ".png"), "at most 255 bytes"),
    ):
        with pytest.raises((OutputError, UsageError), match=message):
            check_outputs([named(path)])
    longest = tmp_path / ("x" * 251 + ".png")
    check_outputs([named(longest)])
    files.write(longest, b"its temporary file has a shorter name")
    assert not (tmp_path / "missing").exists()


def test_pipes_and_devices_are_written_to_and_stay_what_they_are(tmp_path):
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    check_outputs([named(pipe)])
    files.write(pipe, b"bytes")
    reader.join()
    assert (received, pipe.is_fifo()) == ([b"bytes"], True)
    files.write(Path("/dev/null"), b"bytes")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OutputError, match="No space left"):
        files.write(Path("/dev/full"), b"bytes")


def test_pipe_is_not_opened_to_see_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    os.mkfifo(tmp_path / "a.json")
    assert kind_of(tmp_path / "a.jsonl") is None
    check_outputs([named(tmp_path / "a.png")])  # which looks whether a is a run


def test_stdout_and_open_files_are_written_after_what_is_in_them(tmp_path):
    code = (
        "import sys, pathlib; from mnistctl.artifacts import files; print('printed')\n"
        "for name in ('-', '/dev/stdout', '/dev/fd/1'): files.write(pathlib.Path(name), name + ' ')"
    )
    with (tmp_path / "out").open("w") as out:
        out.write("before\n")
        out.flush()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=out)
    assert (tmp_path / "out").read_text() == "before\nprinted\n- /dev/stdout /dev/fd/1 "
