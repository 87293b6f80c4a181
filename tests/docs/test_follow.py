"""tools/follow.py finds the commands of a page and compares what they print with what the page shows."""

import http.client

import follow
import pytest

PAGE = """\
Before.

```sh
make all
make install
```

```text
built 3 files
```

```console
$ tool count  # a comment
1 found
...

$ tool show
```

![an image](of.png)

```sh
python -m pytest
```

```python
not_run()
```
"""


def shown(page):
    lines = page.splitlines()
    return [
        (command.script, [lines[i] for i in command.output_lines]) for command in follow.find_commands(page)
    ]


def test_commands_are_scripts_and_console_lines_with_the_output_below():
    assert shown(PAGE) == [
        ("make all\nmake install", ["built 3 files"]),
        ("tool count", ["1 found", "..."]),
        ("tool show", []),
    ]


def test_text_block_after_other_text_is_no_output():
    assert shown("```sh\nmake\n```\nA table:\n```text\n1\n```\n") == [("make", [])]


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("12 found\nand more\nlines", True),
        ("-1.5 found", True),
        ("   1   found", True),
        ("one found", False),
        ("1 lost", False),
        ("0 started\n1 found", False),
        ("", False),
    ],
)
def test_output_must_be_as_shown_except_for_numbers(printed, same):
    assert (follow.match_output(["1 found", "..."], printed) is not None) is same


def test_digests_may_differ_and_other_words_may_not():
    assert follow.match_output(["SHA-256 a78b5c8a1c6a"], "SHA-256 9d2f0f21d295") == ["SHA-256 9d2f0f21d295"]
    assert follow.match_output(["SHA-256 a78b5c8a1c6a"], "SHA-256 words") is None


def test_update_writes_the_printed_numbers_into_the_page():
    entries = [
        {"output": ["built 4 files"]},
        {"output": ["  12 found", "and more"]},
        {"output": ["anything"]},
    ]
    expected = PAGE.replace("built 3 files", "built 4 files").replace("1 found", "  12 found")
    assert follow.update_page(PAGE, entries) == expected


def test_update_leaves_output_that_is_not_as_shown():
    entries = [{"output": ["failed"]}, {"output": []}, {"output": []}]
    assert follow.update_page(PAGE, entries) == PAGE


def test_running_a_command_records_exit_code_and_output(tmp_path, capsys):
    entry = follow.run("echo 2 found; exit 3", ["1 found"], tmp_path, {})
    assert (entry["exit"], entry["as_shown"], entry["output"]) == (3, True, ["2 found"])
    assert "exit 3  as shown" in capsys.readouterr().out


def test_folder_is_served_as_a_mirror(tmp_path):
    (tmp_path / "digits.gz").write_bytes(b"packed")
    with follow.serve(tmp_path) as environment:
        address = environment["MNISTCTL_MIRROR"].removeprefix("http://")
        connection = http.client.HTTPConnection(address)
        connection.request("GET", "/digits.gz")
        assert connection.getresponse().read() == b"packed"
        connection.close()
    with follow.serve(None) as environment:
        assert environment == {}


def test_named_python_blocks_are_files_and_others_are_not():
    page = "This is a net, `my_net.py`:\n\n```python\nnet = 1\n```\n\nThe file:\n\n```python\nother()\n```\n"
    assert follow.find_files(page) == {"my_net.py": "net = 1\n"}


def test_files_are_written_before_the_commands_of_their_page(tmp_path):
    page = "`my_net.py`:\n```python\n1\n```\n```console\n$ cat my_net.py\n1\n```\n"
    (entry,) = follow.follow_page("page.md", page, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert (entry["exit"], entry["as_shown"]) == (0, True)


def test_commands_that_need_the_repository_are_left_out_with_the_wheel(tmp_path):
    page = "```sh\nfalse\n```\n```console\n$ cat docs/README.md\n$ echo 1  # of docs/README.md\n1\n```\n"
    entries = follow.follow_page("page.md", page, tmp_path, {"PATH": "/usr/bin:/bin"}, wheel=True)
    assert [entry["command"] for entry in entries] == ["echo 1"]


def test_hints_are_the_commands_in_an_error_without_words_that_are_left_open():
    error = (
        "no model; see `mnistctl train --list`, use `mnistctl train MODEL` or `mnistctl eval NAME`; "
        "run pip install onnx onnxruntime"
    )
    assert follow.find_hints(error, {"MODEL": "logit"}) == [
        "mnistctl train --list",
        "mnistctl train logit",
        "pip install onnx onnxruntime",
    ]


def test_following_hints_reports_one_that_fails(tmp_path, monkeypatch):
    program = tmp_path / "mnistctl"
    program.write_text(
        '#!/bin/sh\ncase "$1" in bad) echo "use \\`mnistctl worse\\`" >&2; exit 2;; worse) exit 3;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(follow, "FAILING", (follow.Hint("mnistctl bad"), follow.Hint("mnistctl good")))
    entries = follow.follow_hints(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert [follow.succeeded(entry) for entry in entries] == [True, True, False, False]
