"""Data sets: the sample in the package, and the user's own files."""

import gzip

import numpy as np
import pytest

from mnistctl.cli.errors import describe_error
from mnistctl.data import datasets, idx
from mnistctl.errors import DataError, UsageError


def write_own(folder, **changed):
    """Write four small IDX files; `changed` replaces arrays by name, for example train_labels."""
    files = {
        "train-images": np.arange(20 * 784).reshape(20, 28, 28).astype(np.uint8),
        "train-labels": np.arange(20, dtype=np.uint8) % 10,
        "t10k-images": np.zeros((10, 28, 28), np.uint8),
        "t10k-labels": np.arange(10, dtype=np.uint8),
    } | {name.replace("_", "-"): values for name, values in changed.items()}
    for name, values in files.items():
        ending = "idx3" if name.endswith("images") else "idx1"
        (folder / f"{name}-{ending}-ubyte.gz").write_bytes(gzip.compress(idx.dump(values)))


def test_sample_has_4000_and_1000_images_with_labels_in_turn():
    for split, count in (("train", 4000), ("test", 1000)):
        arrays, sums = datasets.load("sample", None, split)
        assert arrays.images.shape == (count, 28, 28)
        assert arrays.labels.tolist() == list(range(10)) * (count // 10)
        assert len(sums) == 2
    train, _ = datasets.load("sample", None, "train")
    test, _ = datasets.load("sample", None, "test")
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}


def test_sample_is_verified_and_own_files_are_only_readable(mnistctl, tmp_path):
    assert mnistctl("download", "--check", "--dataset", "sample").stdout.count("verified") == 4
    (tmp_path / "data").mkdir()
    write_own(tmp_path / "data")
    own = mnistctl("download", "--check", "--dataset", "own").stdout
    assert (own.count("readable, no checksum known"), own.count("verified")) == (4, 0)


def test_unpacked_files_are_preferred_to_gzipped_ones(tmp_path):
    write_own(tmp_path)
    assert datasets.load("own", tmp_path, "train")[0].labels.tolist() == list(range(10)) * 2
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx.dump(np.full(20, 7, np.uint8)))
    assert set(datasets.load("own", tmp_path, "train")[0].labels.tolist()) == {7}


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [("mnist", "MNIST/raw"), ("mnist", "raw"), ("mnist", "."), ("fashion", "FashionMNIST/raw")],
)
@pytest.mark.parametrize(
    "name", ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", "t10k-labels.idx1-ubyte.gz"]
)
def test_files_are_found_under_other_names_and_where_torchvision_puts_them(dataset, folder, name, tmp_path):
    path = tmp_path / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (file,) = (file for file in datasets.get_dataset(dataset).files if file.name.startswith("t10k-labels"))
    found = datasets.find_file(datasets.dataset_folder(dataset, tmp_path), file)
    assert found is not None
    assert found.resolve() == path
    assert len(datasets.missing_files(dataset, tmp_path)) == 3


def test_own_files_with_a_dot_in_their_names_are_read_and_those_of_torchvision_are_not_own(tmp_path):
    write_own(tmp_path)
    expected = datasets.load("own", tmp_path, "train")[0].labels.tolist()
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    assert datasets.load("own", tmp_path, "train")[0].labels.tolist() == expected
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for path in list(tmp_path.glob("*.gz")):
        path.rename(tmp_path / "MNIST/raw" / path.name)
    assert len(datasets.missing_files("own", tmp_path)) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_labels": np.full(20, 10, np.uint8)}, "a label 10"),
        ({"train_labels": np.zeros(19, np.uint8)}, "20 images but 19 labels"),
        ({"train_images": np.zeros((20, 27, 28), np.uint8)}, "28x28"),
        ({"train_images": np.zeros(20, np.uint8)}, "28x28"),
        ({"train_labels": np.zeros((20, 28, 28), np.uint8)}, r"\[N\] from 0 to 9"),
    ],
)
def test_wrong_shape_or_label_is_a_data_error(changed, message, tmp_path):
    write_own(tmp_path, **changed)
    with pytest.raises(DataError, match=message):
        datasets.load("own", tmp_path, "train")


def test_sound_files_that_are_not_those_of_mnist_are_named_as_somebodys_own(tmp_path):
    write_own(tmp_path)
    with pytest.raises(DataError, match="another IDX file: expected SHA-256") as caught:
        datasets.load("mnist", tmp_path, "train")
    command = f"mnistctl download --dataset mnist --data-dir {tmp_path} --overwrite"
    advice = f"use --dataset own or replace them with `{command}`"
    assert describe_error(caught.value).endswith(advice)
    path = datasets.find_file(tmp_path, datasets.DATASETS["mnist"].files[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"truncated|size") as caught:
        datasets.load("mnist", tmp_path, "train")
    command = f"mnistctl download --dataset mnist --data-dir {tmp_path}"
    assert describe_error(caught.value).endswith(f"run `{command}`")


def test_unusable_file_of_ones_own_says_what_to_do(tmp_path):
    write_own(tmp_path, train_labels=np.zeros(3, np.uint8))
    hint = "make the files from pictures with `mnistctl import FOLDER --data-dir DIR` or use --data-dir"
    with pytest.raises(DataError) as caught:
        datasets.load("own", tmp_path, "train")
    assert describe_error(caught.value).endswith(f"hold 20 images but 3 labels; {hint}")
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"junk")
    with pytest.raises(DataError) as caught:
        datasets.load("own", tmp_path, "train")
    assert describe_error(caught.value).endswith(hint)


@pytest.mark.parametrize(
    ("dataset", "help_"),
    [
        ("mnist", "run `mnistctl download --dataset mnist`"),
        (
            "own",
            "make the files from pictures with `mnistctl import FOLDER --data-dir DIR` or use --data-dir",
        ),
        ("sample", "install mnistctl again"),
    ],
)
def test_check_of_missing_files_says_what_helps(dataset, help_, mnistctl, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "_SAMPLE", tmp_path)
    ran = mnistctl("download", "--check", "--dataset", dataset)
    assert (ran.returncode, ran.stdout.count("missing"), ran.stderr.count("\n")) == (3, 4, 1)
    assert ran.stderr.endswith(f"; {help_}\n")


def test_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}.*train-images-idx3-ubyte is missing"):
        datasets.load("own", tmp_path, "train")


def test_fashion_is_in_a_subfolder(tmp_path):
    assert datasets.dataset_folder("fashion", tmp_path) == tmp_path / "fashion-mnist"
    assert datasets.dataset_folder("mnist", tmp_path) == tmp_path


def test_images_are_chosen_by_index_digit_and_seed():
    arrays, _ = datasets.load("sample", None, "test")

    def choose(**options):
        defaults = {"index": None, "digit": None, "count": 1, "seed": None}
        return datasets.choose(arrays, **(defaults | options)).tolist()

    assert choose(index=12, count=3) == [12, 13, 14]
    assert choose(index=12, digit=5, count=2) == [15, 25]
    assert len(set(choose(digit=4, count=100))) == 100
    assert choose(count=5, seed=1) == choose(count=5, seed=1) != choose(count=5, seed=2)
    for wrong in ({"index": 1000}, {"digit": -1}, {"count": 101, "digit": 0}, {"seed": -1}):
        with pytest.raises(UsageError):
            choose(**wrong)


@pytest.mark.parametrize(
    ("index", "where"), [(999, "index 999: no image from here on"), (None, "digit 3: no image")]
)
def test_digit_that_is_not_there_is_named(index, where):
    arrays, _ = datasets.load("sample", None, "test")
    rest = datasets.Arrays(arrays.images, arrays.labels % 3)
    with pytest.raises(UsageError, match=f"{where} is a 3$"):
        datasets.choose(rest, index=index, digit=3, count=1, seed=None)


def test_label_issues_are_known_of_mnist_test_alone():
    issues = datasets.label_issues("mnist", "test")
    assert len(set(issues.indices)) == 15
    assert sorted(issues.indices) == list(issues.indices)
    assert issues.indices[-1] < 10_000
    assert "2103.14749" in issues.source
    assert datasets.label_issues("mnist", "train") is None
    assert datasets.label_issues("sample", "test") is None


def test_unknown_data_set_gives_a_suggestion():
    with pytest.raises(UsageError, match="did you mean fashion"):
        datasets.load("fashoin", None, "train")
