"""Hostile names and outputs: nothing that exists is lost, and an error is one line."""

import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

RECORDS = Path(__file__).parents[2] / "records"
ENDINGS = ("png", "gif", "csv", "onnx", "safetensors", "json", "jsonl", "txt", "PNG", "", "idx3-ubyte.gz")
# fmt: off
NAMES = (
    "", " ", "  a", "a ", ".", "..", "...", ".hidden", "-", "--", "-x", "--overwrite", "~", "~nobody/x", "*",
    "?", "[a]", "[bold red]", "a\tb", "a\nb", "\x1b[31mred", "\x7f", "\u202eabc", "\ud800", "\udcff\udcfe",
    "é", "e\u0301", "日本語", "🙂" * 60, "🙂" * 61, "a" * 239, "a" * 243, "a" * 244, "a" * 255, "a" * 300,
    "a" * 5000, "b/" * 3000, "a/b/c", "/dev/null", "/dev/full", "/dev/fd/99", "/dev/fd/-1", "/dev/fd/x",
    "/proc/self/mem", "/proc/1/x", "/sys/x", "out", "out/", "out/conv", "out/conv.json/x", "data", "con",
    "nul", "./out/../out/conv", "a:b", "a|b", "a;rm -rf b", "$(touch hacked)", "`touch hacked`", "%s%n",
    "{0}", "'", '"', "\\", "conv", "gan", "gan01", "gan1", "conv-eval-own-test", "mine", "folder", "link",
    "net", "loop", "dangling", "digits", "data/train-images-idx3-ubyte", "data/t10k-labels-idx1-ubyte",
    "train-images",
)
# fmt: on


@pytest.fixture(scope="module")
def template(tmp_path_factory, own):
    """A folder with runs, digits, files of the user's, and links to them."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "out").mkdir()
    shutil.copytree(own, folder / "data")
    for run in ("conv", "cgan"):
        for ending in ("safetensors", "json", "jsonl"):
            shutil.copy(RECORDS / f"{run}.{ending}", folder / f"out/{run}.{ending}")
    shutil.copy(RECORDS / "gan.safetensors", folder / "out/gan.safetensors")
    for name in ("conv.png", "gan.gif", "gan01.png", "gan02.png"):
        (folder / "out" / name).write_bytes(b"a picture of a run")
    for ending in ENDINGS:
        (folder / f"mine.{ending}").write_bytes(b"mine")
        (folder / f"net.{ending}").symlink_to("out/conv.safetensors")
        (folder / f"digits.{ending}").symlink_to("data/train-images-idx3-ubyte")
        (folder / f"link.{ending}").symlink_to(f"mine.{ending}")
        (folder / f"loop.{ending}").symlink_to(f"loop.{ending}")
        (folder / f"dangling.{ending}").symlink_to(f"target.{ending}")
        (folder / f"folder.{ending}").mkdir()
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def with_ending(name, rng):
    ending = rng.choice(ENDINGS)
    plain = not ending or name.startswith("/dev") or rng.random() < 0.2
    return name if plain else f"{name}.{ending}"


def commands(name, rng):
    """A command that is to write to `name`, and whether the name is that of a single file."""
    cgan, conv = "out/cgan.safetensors", "out/conv.safetensors"
    small = ("--dataset", "own", "--epochs", "1", "--batch-size", "100", "--quiet")
    return rng.choice(
        [
            *4 * [("show", "--dataset", "sample", f"--png={with_ending(name, rng)}")],
            *3 * [("generate", cgan, "--digits", "1", f"--out={with_ending(name, rng)}")],
            ("generate", cgan, "-n", "1", "--digits", "12", "--morph", f"--out={with_ending(name, rng)}"),
            ("generate", cgan, "-n", "2", f"--idx={name}"),
            ("generate", cgan, "--digits", "1", f"--out-dir={name}"),
            ("eval", conv, "--dataset", "own", "--quiet", f"--predictions={with_ending(name, rng)}"),
            *3 * [("train", "logit", *small, f"--name={name}")],
            ("train", "logit", *small, f"--out-dir={name}"),
        ]
    )


def may_be_replaced(path, words, folder):
    """Whether a file is one that --overwrite may replace: the user's own, or one of the run that is named."""
    if "--overwrite" not in words:
        return False
    if path.parent == folder:
        return path.name.startswith(("mine.", "target."))
    return any(word == f"--name={path.stem}" for word in words) and path.parent.name == "out"


def check(before, after, words, ran, folder):
    """Check that the command ended as it should, and that nothing of the user's was lost."""
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("mnistctl: warning: ")]
    assert ran.returncode in (0, 1, 2)
    assert len(lines) == (ran.returncode != 0)
    for path, content in before.items():
        replaced = ran.returncode == 0 and may_be_replaced(path, words, folder)
        assert replaced or after.get(path) == content, path
    if ran.returncode and "No space left" not in ran.stderr:  # which shows only when it is written
        assert after.keys() == before.keys()
    assert not [path for path in after if path.name.endswith((".part", ".lock")) or path.name == "hacked"]
    assert all((folder / f"net.{ending}").is_symlink() for ending in ENDINGS)
    assert all(Path(device).is_char_device() for device in ("/dev/null", "/dev/full"))


@pytest.mark.long
def test_500_hostile_names_and_outputs_lose_nothing(template, tmp_path, mnistctl, capfd):
    rng, seen, wrong = random.Random(0), Counter(), []
    for number in range(500):
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(template, tmp_path, symlinks=True, dirs_exist_ok=True)
        words = commands(NAMES[number % len(NAMES)], rng)
        words += ("--overwrite",) if rng.random() < 0.5 else ()
        before = contents(tmp_path)
        try:
            ran = mnistctl(*words, HOME=str(tmp_path.with_name("home")))
            seen[words[0], ran.returncode] += 1
            check(before, contents(tmp_path), words, ran, tmp_path)
        except Exception as error:  # noqa: BLE001
            wrong.append((words, repr(error), getattr(ran, "stderr", "")))
    shutil.rmtree(tmp_path.with_name("home"), ignore_errors=True)
    with capfd.disabled():
        counts = "".join(f"\n{command}: exit {code}: {n}" for (command, code), n in sorted(seen.items()))
        sys.stdout.write(counts + "\n")
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert seen.total() == 500
