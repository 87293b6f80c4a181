"""train --copy: files with unusual names can be read, and the commands in them can be typed."""

import ast
import shlex
import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["x\\Users.py", 'a"""b.py', 'it\'s "mine".py', "my file.py", "caf\u00e9.py"])
def test_copy_is_python_and_its_commands_name_the_file(name, mnistctl, tmp_path):
    ran = mnistctl("train", "--copy", "conv", name)
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.rstrip().partition("`")[2].rstrip("`")
    assert shlex.split(printed) == ["mnistctl", "train", name]
    docstring = ast.get_docstring(ast.parse((tmp_path / name).read_text(encoding="utf-8")))
    (line,) = (line for line in docstring.splitlines() if line.startswith("Train it:"))
    assert shlex.split(line.removeprefix("Train it:")) == ["mnistctl", "train", name]
    first = mnistctl("show", "--model", name, "--toml").stdout.splitlines()[0]
    assert shlex.split(first.rpartition(": ")[2]) == ["mnistctl", "train", name, "--config", "FILE.toml"]


def test_copy_that_cannot_be_written_whole_is_not_left_behind(tmp_path):
    command = shlex.join([sys.executable, "-m", "mnistctl", "train", "--copy", "conv", "mine.py"])
    limited = f"ulimit -f 1; exec {command}"  # 512 or 1,024 bytes
    ran = subprocess.run(["sh", "-c", limited], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "mnistctl: mine.py: cannot be written (File too large)\n"
    assert list(tmp_path.iterdir()) == []
