"""The digits of image files, from the names of folders and files and from tables."""

from pathlib import Path

import pytest

from mnistctl.data import labels
from mnistctl.errors import UsageError


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("0/a.png", 0),
        ("me_label3_001.png", 3),
        ("label-7.png", 7),
        ("three.png", 3),
        ("my-Nine.jpg", 9),
        ("bone.png", None),
        ("label33.png", None),
        ("one_two.png", None),
        ("12/a.png", None),
        ("img_7.png", None),
    ],
)
def test_label_is_in_the_name_of_a_folder_or_file(name, label):
    assert labels.label_of(Path("pictures") / name) == label


def test_table_gives_labels_by_path_and_by_name(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nb.png,4\nfolder/c.png,5\n")
    found = labels.find_labels([Path("x/three.png"), Path("x/b.png"), Path("folder/c.png")], table)
    assert found == [None, 4, 5]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_of_a_table_end_as_in_any_system(ending, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_bytes(ending.join(["file,label", "a.png,3", "b.png,4", ""]).encode())
    assert labels.find_labels([Path("a.png"), Path("b.png")], table) == [3, 4]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("x" * 200_000, "not a table in CSV", id="long"),
        ("a.png,ten\n", "line 1: give a file and its digit"),
        ("file,label\na.png,306\n", "line 2: only pictures of one digit can have a label"),
        ("file,label\na.png,3\na.png,4\n", "line 3: a.png has two digits"),
        ("other.png,3\n", "has none of the images"),
        (None, "cannot be read"),
    ],
)
def test_table_that_is_not_valid_is_an_error_with_its_line(content, reason, tmp_path):
    table = tmp_path / "labels.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(UsageError, match=reason):
        labels.find_labels([Path("a.png")], table)


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n./a.png,3\n",
        "image,label\na.png,3\n",
        "a.png,3\n",
        "label,writer,file\n3,me,a.png\n",
        "id,File,Label,note\n1,{folder}/a.png,3,four\n",
    ],
)
def test_columns_are_found_by_their_names_and_files_by_any_path(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text(text.format(folder=tmp_path))
    assert labels.find_labels([Path("a.png"), Path("b.png")], Path("labels.csv")) == [3, None]


@pytest.mark.parametrize(
    "text", ["name,digit\na.png,3\n", "file;label\na.png;3\n", "file,label,x\na.png,3\n"]
)
def test_columns_that_are_not_found_are_named(text, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match=r"line \d: give a file and its digit") as caught:
        labels.find_labels([Path("a.png")], tmp_path / "labels.csv")
    assert ("has file and label" in str(caught.value)) == ("file,label" not in text)
