"""Files that a command is about to write: what each may replace. Checked before the work begins."""

import errno
import os
import re
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from mnistctl.artifacts import files
from mnistctl.errors import MnistctlError, OutputError, UsageError

Kind = Literal["checkpoint", "record", "log", "file of trials", "IDX file"]
_HEAD = 1 << 16  # bytes that show what a file is
_IDX = re.compile(rb"\0\0[\x08-\x0e][\x01-\x03]")  # two zeros, a type, a number of dimensions
_RECORD = re.compile(rb'\{\n "version": \d')  # a printed object has no line breaks
_JOURNAL = re.compile(rb'\{"version": \d+, "command": "(?:[^"\\]|\\.)*", "started": ')


@dataclass(frozen=True)
class Format:
    """A format of output files.

    Args:
        title: what a file is called in messages, with its article.
        endings: the endings that its name may have, the usual one first; empty if it may have any.
        replaces: the kind of existing file that it may replace. Files of other kinds are never replaced.
    """

    title: str
    endings: tuple[str, ...] = ()
    replaces: Kind | None = None


PICTURE = Format("a picture", (".png",))
CHART = Format("a chart", (".png", ".svg", ".pdf"))
ANIMATION = Format("an animation", (".gif",))
TABLE = Format("a table", (".csv",))
MARKDOWN = Format("a table in Markdown", (".md",))
LATEX = Format("a table in LaTeX", (".tex",))
ONNX = Format("an ONNX model", (".onnx",))
PAGE = Format("a page", (".html",))
IDX = Format("an IDX file")
DOWNLOAD = Format("a file of the data set", replaces="IDX file")
WEIGHTS = Format("a checkpoint", (".safetensors",), "checkpoint")
RECORD = Format("a record", (".json",), "record")
LOG = Format("a log", (".jsonl",), "log")
TRIALS = Format("a file of trials", (".json", ".jsonl"), "file of trials")


@dataclass(frozen=True)
class Output:
    """A file that is to be written.

    Args:
        path: where; `-` is stdout.
        format: its format.
        field: the option that named it; None if it has the default name, which the same command may replace.
        run: the name of the run that it belongs to, if it belongs to one.
    """

    path: Path
    format: Format
    field: str | None = None
    run: str | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether it is written to stdout."""
        return files.is_stdout(self.path)

    @property
    def remedies(self) -> tuple[str, ...]:
        """What gives the file another name."""
        return () if self.field else ("name", "out_dir") if self.run else ("out_dir",)

    def check_ending(self) -> None:
        """Check that the ending of the name fits the format.

        Raises:
            UsageError: it does not.
        """
        endings = self.format.endings
        if endings and self.path.suffix.lower() not in endings:
            self.fail(f"{self.format.title} needs a name that ends in {' or '.join(endings)}")

    def fail(self, message: str, *remedies: str, kind: type[MnistctlError] = UsageError) -> NoReturn:
        """Raise an error about this file."""
        if self.field is None:
            raise kind(f"{self.path}: {message}", remedies=remedies)
        raise kind(message, field=self.field, value=self.path, remedies=remedies)


def check_outputs(outputs: Sequence[Output], *, overwrite: bool = False) -> None:
    """Check that all files can be written, and that none replaces what it must not. Nothing is written.

    The ending of a name must fit the format. A checkpoint, a record, a log, a file of trials, an IDX file or
    a file of another run is never replaced. Any other existing file is replaced if it has a default name, or
    with `overwrite`. Links are followed. Pipes and devices are written to as they are.

    Args:
        outputs: the files.
        overwrite: replace existing files that were named.

    Raises:
        UsageError: a name does not fit, a file exists, or two outputs are the same file.
        OutputError: a file cannot be written.
    """
    for output in outputs:
        if not files.is_stream(output.path):
            _check_file(output, overwrite)
    _check_distinct(outputs)


def _check_file(output: Output, overwrite: bool) -> None:
    output.check_ending()
    try:
        target = output.path
        target = files.resolve(target)
        status = target.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            _check_owner(output, target)
            _check_can_create(output, target)
        if error.errno == errno.ENOENT:
            return
        why = files.reason(error)
        output.fail(f"cannot be written ({why})", *files.write_remedies(error), kind=OutputError)
    if stat.S_ISDIR(status.st_mode):
        output.fail("is a folder; a file of this name is to be written", kind=OutputError)
    if stat.S_ISBLK(status.st_mode):
        output.fail("is a disk", kind=OutputError)
    _check_replaceable(output, target, overwrite)
    _check_writable(output, target.parent)


def _check_replaceable(output: Output, target: Path, overwrite: bool) -> None:
    kind = kind_of(target)
    if kind is not None and kind != output.format.replaces:
        article = "an" if kind[0] == "I" else "a"
        output.fail(
            f"is {article} {kind}, which is never replaced by {output.format.title}", *output.remedies
        )
    _check_owner(output, target)
    if output.field is not None and not overwrite:
        output.fail("exists already", "overwrite")


def _check_owner(output: Output, target: Path) -> None:
    owner = owner_of(target)
    if owner not in (None, output.run):
        output.fail(f"belongs to the run {owner}", *output.remedies)


def _check_can_create(output: Output, target: Path) -> None:
    """Check that the file, which does not exist, and its folders can be created at `target`."""
    folder = target.parent
    names = [target.name]
    while not os.path.lexists(folder):
        names.append(folder.name)
        folder = folder.parent
    if not folder.is_dir():
        output.fail(f"{folder} is not a folder", kind=OutputError)
    _check_writable(output, folder)
    limit = files.max_name_bytes(folder)
    for name in names:
        if len(os.fsencode(name)) > limit:
            output.fail(f"the name is too long; a name has at most {limit} bytes here")


def _check_writable(output: Output, folder: Path) -> None:
    """Check that `folder` can be written, except for a file without which the command has its result too."""
    needed = output.field is not None or output.run is not None
    if needed and not os.access(folder, os.W_OK | os.X_OK):
        output.fail(f"the folder {folder} cannot be written", "other_folder", kind=OutputError)


def _check_distinct(outputs: Sequence[Output]) -> None:
    seen: dict[object, Output] = {}
    for output in outputs:
        identity = _identity(output.path)
        if identity in seen:
            output.fail(f"is the same file as {seen[identity].path}; two outputs need two files")
        if identity is not None:
            seen[identity] = output


def _identity(path: Path) -> object:
    """What two paths of one file have in common; None for a device, which can take two outputs."""
    if files.is_stdout(path):
        return files.STDOUT
    try:
        status = path.stat()
    except OSError:
        return str(files.resolve(path))
    return None if stat.S_ISCHR(status.st_mode) else (status.st_dev, status.st_ino)


def kind_of(path: Path) -> Kind | None:
    """What the file at `path` is, judged by its first bytes; None if it is something else or unreadable."""
    try:
        if not path.is_file():  # a pipe would wait for its writer
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if _IDX.match(_unpacked_start(head)):
        return "IDX file"
    if head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return "checkpoint"  # a safetensors file, of whatever program
    if _JOURNAL.match(head):
        return "file of trials"
    if _RECORD.match(head):
        return "file of trials" if b'\n "models": [' in head else "record"
    return "log" if re.match(rb'\{"(?:epoch|event)": ', head) else None


def _unpacked_start(head: bytes) -> bytes:
    """The first four bytes of a file that begins with `head`, unpacked if it is a gzip."""
    if not head.startswith(b"\x1f\x8b"):
        return head[:4]
    try:
        return zlib.decompressobj(31).decompress(head, 4)
    except zlib.error:
        return b""


def owner_of(path: Path) -> str | None:
    """The name of the run whose file a file at `path` is or would be, judged by the files next to it."""
    if path.suffix.removeprefix(".") not in ("png", "gif", "json", "jsonl", "safetensors"):
        return None
    if _is_run(path.with_suffix("")):
        return path.stem
    if path.suffix != ".png":
        return None
    run = path.stem.removesuffix("-curves")
    if run not in ("", path.stem) and _is_run(path.with_name(run)):
        return run
    digits = len(path.stem) - len(path.stem.rstrip("0123456789"))
    for length in range(2, min(digits, len(path.stem) - 1) + 1):  # a picture of an epoch: gan01.png
        name = path.stem[:-length]
        run_path = path.with_name(name)
        animated = any(
            os.path.lexists(files.with_ending(run_path, ending)) for ending in ("gif", "unfinished")
        )
        if animated and _is_run(run_path):
            return name
    return None


def _is_run(run_path: Path) -> bool:
    """Whether there is a run, finished or not, whose files begin with `run_path`."""
    weights, unfinished = (files.with_ending(run_path, ending) for ending in ("safetensors", "unfinished"))
    if os.path.lexists(weights) or os.path.lexists(unfinished):  # Path.exists() raises on a name too long
        return True
    return any(kind_of(files.with_ending(run_path, ending)) is not None for ending in ("json", "jsonl"))
