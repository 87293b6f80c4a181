"""Folders of pictures become a data set: prepared or as they are, split honestly, nothing lost silently."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from mnistctl.artifacts import grids
from mnistctl.data import datasets, pictures
from mnistctl.errors import DataError, UsageError


def save_digits(folder, each, *, split="train", scale=1):
    """Save pictures of the sample's digits into folders 0 to 9, enlarged and black on white if scale > 1."""
    arrays, _ = datasets.load("sample", None, split)
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for number, image in enumerate(arrays.images[arrays.labels == digit][:each]):
            picture = Image.fromarray(image if scale == 1 else 255 - image.repeat(scale, 0).repeat(scale, 1))
            picture.save(folder / f"{digit}/{number:02}.png")
    return arrays


@pytest.fixture
def folder(tmp_path):
    save_digits(tmp_path / "pictures", 6)
    return tmp_path / "pictures"


def test_pictures_of_28x28_pixels_are_taken_as_they_are_and_split_by_digit(folder, tmp_path):
    result = pictures.import_pictures(folder, tmp_path / "data", as_is=True)
    assert (result.train, result.test, result.left_out) == ((5,) * 10, (1,) * 10, ())
    sample, _ = datasets.load("sample", None, "train")
    expected = {(int(d), i.tobytes()) for d in range(10) for i in sample.images[sample.labels == d][:6]}
    found = []
    for split, count in (("train", 50), ("test", 10)):
        arrays, _ = datasets.load("own", tmp_path / "data", split)
        assert arrays.images.shape == (count, 28, 28)
        assert arrays.labels.tolist() != sorted(arrays.labels.tolist())
        found += [(int(d), i.tobytes()) for d, i in zip(arrays.labels, arrays.images, strict=True)]
    assert set(found) == expected
    assert len(found) == 60


def test_same_seed_gives_the_same_files_and_another_seed_another_split(folder, tmp_path):
    contents = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        result = pictures.import_pictures(folder, tmp_path / name, as_is=True, seed=seed)
        contents.append([path.read_bytes() for path in result.paths])
    assert contents[0] == contents[1] != contents[2]


def test_photographs_are_prepared_as_for_a_prediction(tmp_path):
    save_digits(tmp_path / "pictures", 2, scale=8)
    result = pictures.import_pictures(tmp_path / "pictures", tmp_path / "data")
    assert (sum(result.train), sum(result.test), result.left_out) == (10, 10, ())
    arrays, _ = datasets.load("own", tmp_path / "data", "train")
    assert arrays.images.max() == 255
    assert (arrays.images[:, 0] == 0).all()  # white on black, with MNIST's margin


def test_folders_train_and_test_keep_their_split(tmp_path):
    source = tmp_path / "pictures"
    save_digits(source / "train", 3)
    save_digits(source / "test", 2, split="test")
    result = pictures.import_pictures(source, tmp_path / "data", as_is=True)
    assert (result.train, result.test) == ((3,) * 10, (2,) * 10)


def test_share_of_the_test_split_is_refused_where_the_folders_say_it(mnistctl, tmp_path):
    for split in ("train", "test"):
        save_digits(tmp_path / "pics" / split, 2, split=split)
    ran = mnistctl("import", "pics", "--as-is", "--test-share", "0.3")
    message = "--test-share 0.3: pics has the folders train and test, which say the split of each picture"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"mnistctl: {message}\n")
    assert not (tmp_path / "data").exists()


def test_split_without_folders_of_digits_is_named(tmp_path):
    (tmp_path / "train/3").mkdir(parents=True)
    message = f"train has folders of digits, but test has none; make both, or name {tmp_path / 'train'}, "
    with pytest.raises(UsageError, match=message):
        pictures.import_pictures(tmp_path, tmp_path / "data")


@pytest.mark.parametrize(
    ("folders", "where"),
    [
        (("3", "train/3", "test/3"), "train and test"),
        (("3", "train/4"), "train"),
        (("3", "test/3"), "test"),
    ],
)
def test_folders_of_digits_beside_those_of_the_splits_are_refused(folders, where, mnistctl, tmp_path):
    for folder in folders:
        (tmp_path / "pics" / folder).mkdir(parents=True)
        Image.new("L", (28, 28), 9).save(tmp_path / "pics" / folder / "a.png")
    ran = mnistctl("import", "pics", "--as-is")
    message = f"pics: has folders of digits itself, and in {where}; move all into train and test, or all out"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"mnistctl: {message} of them\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_what_lies_beside_the_folders_of_the_digits_is_left_out_and_listed(splits, tmp_path):
    source, beside = tmp_path / "pics", {"notes.txt", "10", "A"}
    for split in splits:
        save_digits(source / split, 2, split=split or "train")
    for name in ("10", "A"):
        (source / name).mkdir()
    (source / "notes.txt").touch()
    (source / ".hidden").touch()
    if "train" in splits:
        (source / "train/index.csv").touch()
        beside.add("train/index.csv")
    result = pictures.import_pictures(source, source / "data", as_is=True)
    assert {(each.file, each.reason) for each in result.left_out} == {
        (str(source / name), "not in a folder called 0, 1, ... 9") for name in beside
    }
    assert sum(result.train) + sum(result.test) == 20 * len(splits)


def test_what_is_left_out_is_said_with_its_reason(folder, tmp_path):
    (folder / "3/notes.txt").write_text("no image")
    (folder / "3/.hidden").write_text("ignored")
    (folder / "3/more").mkdir()
    Image.new("L", (32, 30)).save(folder / "4/large.png")
    (folder / "5/copy.png").write_bytes((folder / "3/00.png").read_bytes())
    result = pictures.import_pictures(folder, tmp_path / "data", as_is=True)
    reasons = {each.file.removeprefix(f"{folder}/"): each.reason for each in result.left_out}
    assert reasons == {
        "3/more": "a folder",
        "3/notes.txt": "not an image of a known format; give a PNG or JPEG",
        "4/large.png": "32x30 pixels, not 28x28",
        "5/copy.png": f"the same image as {folder}/3/00.png",
    }
    assert sum(result.train) + sum(result.test) == 60


@pytest.mark.parametrize("as_is", [False, True])
def test_picture_that_show_wrote_of_one_image_is_taken_as_it_is(as_is, folder, tmp_path):
    arrays, _ = datasets.load("sample", None, "test")
    for name, count, scale in (("one", 1, 1), ("large", 1, 4), ("two", 2, 1)):
        grid = grids.make_grid(arrays.images[arrays.labels == 7][:count], count)
        grids.write_png(folder / f"7/{name}.png", grids.enlarge(grid, scale))
    result = pictures.import_pictures(folder, tmp_path / "data", as_is=as_is)
    same = f"the same image as {folder}/7/large.png"
    reasons = {f"{folder}/7/one.png": same, f"{folder}/7/two.png": "a grid of 2 images"}
    assert {each.file: each.reason for each in result.left_out} == reasons
    stored = [datasets.load("own", tmp_path / "data", split)[0].images for split in ("train", "test")]
    assert (np.concatenate(stored) == arrays.images[arrays.labels == 7][0]).all((1, 2)).sum() == 1


def test_empty_picture_has_no_digit(folder, tmp_path):
    Image.new("L", (200, 200), 255).save(folder / "0/paper.png")
    result = pictures.import_pictures(folder, tmp_path / "data")
    assert [(each.file, each.reason) for each in result.left_out] == [
        (f"{folder}/0/paper.png", "no digit found")
    ]


def test_digit_with_one_picture_is_only_trained_on(folder, tmp_path):
    for path in sorted((folder / "7").iterdir())[1:]:
        path.unlink()
    result = pictures.import_pictures(folder, tmp_path / "data", as_is=True, test_share=0.9)
    assert (result.train[7], result.test[7]) == (1, 0)
    assert (result.train[6], result.test[6]) == (1, 5)


def test_existing_data_set_is_never_replaced(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "t10k-labels.idx1-ubyte").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"t10k-labels\.idx1-ubyte exists already"):
        pictures.import_pictures(folder, data, as_is=True)
    assert [path.name for path in data.iterdir()] == ["t10k-labels.idx1-ubyte"]


@pytest.mark.parametrize("share", [0, 1, -1, float("nan")])
def test_share_of_the_test_split_is_between_0_and_1(share, folder, tmp_path):
    with pytest.raises(UsageError, match="test_share"):
        pictures.import_pictures(folder, tmp_path / "data", test_share=share)


def test_folder_without_digits_and_unusable_pictures_are_errors(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        pictures.import_pictures(tmp_path / "nothing", tmp_path / "data")
    with pytest.raises(UsageError, match=r"has no pictures in folders called 0, 1, \.\.\. 9"):
        pictures.import_pictures(tmp_path, tmp_path / "data")
    (tmp_path / "3").mkdir()
    (tmp_path / "3/junk.png").write_bytes(b"junk")
    (tmp_path / "readme.txt").touch()  # beside the pictures, so not the reason
    with pytest.raises(DataError, match=r"the train split; left out: 2 files \(\S*junk.png: not an image of"):
        pictures.import_pictures(tmp_path, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_command_prints_counts_and_what_to_run_next_and_the_data_can_be_trained_on(folder, mnistctl):
    (folder / "0/junk.png").write_bytes(b"junk")
    ran = mnistctl("import", "pictures", "--as-is", "--data-dir", "my digits")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[1].split() == ["0", "5", "1"]
    assert lines[11].split() == ["all", "50", "10"]
    assert lines[12] == "left out: 1 file"
    assert lines[-1] == (
        "train on it with `mnistctl train conv --dataset own --data-dir 'my digits' --batch-size 50`"
    )
    _, *words = shlex.split(lines[-1].partition("`")[2].removesuffix("`"))
    assert mnistctl(*words, "--epochs", "1").returncode == 0
    again = mnistctl("import", "pictures", "--as-is", "--data-dir", "my digits")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.endswith("exists already; it is not replaced; use --data-dir\n")


@pytest.mark.parametrize(("typed", "words"), [((), ""), (("--data-dir", "data"), " --data-dir data")])
def test_what_to_run_next_names_a_folder_that_the_environment_does_not(typed, words, folder, mnistctl):
    ran = mnistctl("import", "pictures", "--as-is", *typed, MNISTCTL_DATA_DIR="elsewhere")
    assert ran.returncode == 0, ran.stderr
    assert f"`mnistctl train conv --dataset own{words} --batch-size 50`" in ran.stdout


def test_json_lists_everything_that_is_left_out(folder, mnistctl):
    for number in range(30):
        (folder / f"0/junk{number}.png").write_bytes(b"junk")
    shown = json.loads(mnistctl("import", "pictures", "--as-is", "--json").stdout)
    assert (shown["version"], len(shown["left_out"]), shown["seed"]) == (2, 30, 0)
    text = mnistctl("import", "pictures", "--as-is", "--data-dir", "other").stdout
    assert text.count("junk") == 20
    assert "and 10 more; --json lists all" in text
    assert np.array(shown["train"]).sum() == 50
