"""Records of runs: every field is checked when a record is read, and records of older versions are read."""

import json
from pathlib import Path

import pytest

from mnistctl.artifacts import checkpoint, json_file
from mnistctl.errors import CheckpointError
from mnistctl.training.record import RunRecord, find_record, read_record

RECORDS = Path(__file__).parents[2] / "records"
CLASSIFIER, GAN = "wsimple-6", "gan"  # of version 2; the first one with averaged weights
RUNS = [path.stem for path in sorted(RECORDS.glob("*.json")) if '"rates"' in path.read_text()]
RUNS = [name for name in RUNS if not name.startswith(("trials", "slices"))]


def body_of(name):
    """A committed record with the keys of this version."""
    return json.loads(json.dumps(read_record(RECORDS / f"{name}.json").to_json()))


def fields_of(body, prefix=()):
    """The path of each value in the JSON of a record, those of the first entry of a list included."""
    for key, value in body.items():
        yield (*prefix, key)
        if isinstance(value, dict) and key not in ("sha256", "versions", "settings"):
            yield from fields_of(value, (*prefix, key))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from fields_of(value[0], (*prefix, key, 0))


FIELDS = [(name, path) for name in (CLASSIFIER, GAN) for path in fields_of(body_of(name))]


@pytest.mark.parametrize(("name", "path"), FIELDS, ids=[f"{name}-{path[-1]}" for name, path in FIELDS])
def test_field_of_the_wrong_type_is_named_in_the_error(name, path, tmp_path):
    body = body_of(name)
    *parents, last = path
    target = body
    for key in parents:
        target = target[key]
    target[last] = {"not": ["a", "valid", "value"]}
    json_file.write(tmp_path / "r.json", body)
    with pytest.raises(CheckpointError, match=r"r\.json: not a record of a run") as refused:
        read_record(tmp_path / "r.json")
    assert refused.value.exit_code == 5
    assert str(last) in str(refused.value) or f"{path[0]}[0]" in str(refused.value)


@pytest.mark.parametrize("name", [CLASSIFIER, GAN])
def test_missing_result_is_named_in_the_error(name, tmp_path):
    complete = body_of(name)
    optional = {"swa", "state_digest", "started", "processor_seconds", "resumed"}
    for key in complete.keys() - optional:
        json_file.write(tmp_path / "r.json", {k: v for k, v in complete.items() if k != key})
        with pytest.raises(CheckpointError, match=key):
            read_record(tmp_path / "r.json")


def test_number_of_epochs_out_of_range_is_refused(tmp_path):
    body = body_of(GAN)
    for epochs in (0, 1_000_001, 2**70):
        json_file.write(tmp_path / "r.json", body | {"recipe": body["recipe"] | {"epochs": epochs}})
        with pytest.raises(CheckpointError, match="epochs"):
            read_record(tmp_path / "r.json")


def test_record_is_read_as_it_was_written(tmp_path):
    for name in (CLASSIFIER, GAN):
        original = RunRecord.from_json(body_of(name))
        original.write(tmp_path / "r.json")
        assert read_record(tmp_path / "r.json") == original


def test_keys_without_a_value_are_not_written():
    assert not {"swa", "accuracy", "losses", "resumed"} & body_of(GAN).keys()
    assert "label_smoothing" not in body_of(GAN)["recipe"]
    assert "generator_losses" not in body_of(CLASSIFIER)


@pytest.mark.parametrize("name", RUNS)
def test_record_of_an_older_version_is_read(name):
    old = json.loads((RECORDS / f"{name}.json").read_text())
    new = read_record(RECORDS / f"{name}.json")
    assert old["version"] in (1, 2)
    assert new.recipe.batch_size == old["recipe"]["batch"]
    assert new.recipe.lr_schedule == tuple(old["recipe"]["rates"])
    assert (new.digest, new.seconds, new.accuracy) == (old["digest"], old["seconds"], old.get("accuracy"))
    assert [score.to_json() for score in new.swa or ()] == old.get("averages", [])


@pytest.mark.parametrize("name", ["conv", "gan", "cgan"])
def test_weights_of_an_older_format_are_read(name):
    header, weights = checkpoint.load(RECORDS / f"{name}.safetensors", checkpoint.NET)
    assert header["format"] == 2
    assert checkpoint.digest(weights) == read_record(RECORDS / f"{name}.json").digest


def test_record_is_matched_by_the_digest_of_its_weights(tmp_path):
    path = RECORDS / "conv.json"
    assert find_record(path.with_suffix(".safetensors"), read_record(path).digest) == read_record(path)
    assert find_record(path, "0" * 64) is None
    assert find_record(tmp_path / "missing.safetensors", "0" * 64) is None
    (tmp_path / "damaged.json").write_text("{}")
    assert find_record(tmp_path / "damaged.safetensors", "0" * 64) is None


def test_environment_change_of_version_2_is_read():
    body = body_of(CLASSIFIER) | {"version": 2}
    body["recipe"] = body["recipe"] | {"averaged": 0}
    body["resumed"] = [{"after": 1, "inexact": {"threads": [1, 2]}}]
    (resumption,) = RunRecord.from_json(body).resumed
    assert resumption.environment_changes == {"threads": (1, 2)}
