"""A trial gives the bits of `train --threads 1`, and refuses a worker with other versions or data."""

import json
import sys
from collections import Counter
from dataclasses import replace

import pytest
from conftest import few_digits
from trial_settings import make_settings

from mnistctl.artifacts import files
from mnistctl.errors import DataError, DivergedError, UsageError
from mnistctl.models import CLASSIFIERS, load
from mnistctl.nn.schedules import OneCycle
from mnistctl.training import classifier
from mnistctl.training.options import RunOptions
from mnistctl.training.run import train
from mnistctl.trials.task import TrialResult
from mnistctl.trials.worker import arms_of, run_trial, shared_epochs


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A data folder with 200 digits to train on, 100 to test."""
    return few_digits(tmp_path_factory.mktemp("few"), 200, 100)


def assert_bits_of_train(model, own, tmp_path, seed, epochs):
    result = run_trial(model, seed, make_settings(own, epochs=epochs))
    assert result.accuracies.keys() == arms_of(model).keys()
    for arm, recipe in arms_of(model).items():
        options = RunOptions(
            dataset="own",
            data_dir=own,
            out_dir=tmp_path,
            threads=1,
            device="cpu",
            seed=seed,
            epochs=epochs,
            batch_size=100,
        )
        list(train(recipe, options, overwrite=True))
        record = json.loads(files.with_ending(options.run_path(recipe), "json").read_text())
        assert (result.digests[arm], result.accuracies[arm]) == (record["digest"], record["accuracy"])
        assert result.mismatches[arm] == tuple(tuple(row.values()) for row in record["mismatches"])
        last_epoch = record["accuracies"][-1] if record.get("swa") else None
        assert result.before_averaging.get(arm) == last_epoch


@pytest.mark.parametrize("model", ["logit", "swa"])
def test_trial_has_the_bits_of_train(model, few, tmp_path):
    assert_bits_of_train(model, few, tmp_path, seed=3, epochs=4)


@pytest.mark.long
@pytest.mark.parametrize("model", CLASSIFIERS)
def test_trial_of_every_model_has_the_bits_of_train(model, own, tmp_path):
    for seed, epochs in ((0, 6), (1, 1), (5, 3)):
        assert_bits_of_train(model, own, tmp_path, seed, epochs)


def test_result_of_a_trial_is_valid_json(own):
    result = run_trial("logit", 1, make_settings(own, epochs=1))
    assert TrialResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert result.seconds > 0
    assert result.processor_seconds > 0
    assert result.machine.cores > 0


def test_shared_epochs_are_those_of_equal_learning_rates():
    swa, wsimple = load("swa"), load("wsimple")
    assert shared_epochs(swa.baseline, swa) == 31  # of 50: the first averaged epoch is the last one shared
    assert shared_epochs(wsimple.baseline, wsimple) == 0
    assert arms_of("swa") == {"baseline": "conv", "averaged": "swa"}
    assert arms_of("wsimple") == {"baseline": "simple", "averaged": "wsimple"}
    assert arms_of("conv") == {"conv": "conv"}
    for epochs, shared in ((1, 1), (2, 2), (3, 3), (10, 7), (25, 16)):
        pair = [RunOptions(epochs=epochs).recipe(name) for name in ("conv", "swa")]
        assert shared_epochs(*pair) == shared


def test_shared_epochs_of_a_rate_for_every_step_end_with_the_first_averaged_one():
    def down_and_up(peak_lr, count):
        return tuple(peak_lr * abs(2 * (n + 0.5) / count - 1) for n in range(count))

    # The rates in the middle of epochs 1 and 2 are equal, those of their steps are not.
    down_and_up.every_step = True
    baseline = replace(load("conv"), epochs=2, lr_schedule=down_and_up)
    averaged = replace(baseline, swa_fraction=1.0)
    assert averaged.learning_rates() == baseline.learning_rates()
    assert averaged.learning_rates_by_step(3)(2) != baseline.learning_rates_by_step(3)(2)
    assert shared_epochs(baseline, averaged) == 1
    assert shared_epochs(baseline, replace(baseline, lr_schedule=OneCycle())) == 0
    assert shared_epochs(baseline, baseline) == 2


def test_shared_epochs_are_trained_once(own, monkeypatch):
    epochs = []
    batches = classifier.iterate_batches

    def counting_batches(training, train, epoch):
        epochs.append(epoch)
        return batches(training, train, epoch)

    monkeypatch.setattr(classifier, "iterate_batches", counting_batches)
    run_trial("swa", 0, make_settings(own, epochs=5, batch_size=600))
    assert Counter(epochs) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2}


def test_what_a_trial_prints_is_on_stderr(own, monkeypatch, capsys):
    batches = classifier.iterate_batches

    def printing_batches(training, train, epoch):
        sys.stdout.write(f"epoch {epoch}\n")
        return batches(training, train, epoch)

    monkeypatch.setattr(classifier, "iterate_batches", printing_batches)
    run_trial("logit", 0, make_settings(own, epochs=1))
    assert capsys.readouterr() == ("", "epoch 1\n")


def test_worker_with_other_versions_or_data_is_refused(own, tmp_path):
    settings = make_settings(own)
    with pytest.raises(UsageError, match=r"other versions: torch .* instead of 1\.0"):
        run_trial("logit", 0, make_settings(own, versions=settings.versions | {"torch": "1.0"}))
    with pytest.raises(DataError, match="not those of the process that started it"):
        run_trial("logit", 0, make_settings(own, sha256=settings.sha256 | {"t10k-labels-idx1-ubyte": "0"}))
    with pytest.raises(DataError, match="missing"):
        run_trial("logit", 0, make_settings(own, data_dir=str(tmp_path / "nowhere")))


def test_diverging_trial_raises(own):
    with pytest.raises(DivergedError, match="finite"):
        run_trial("logit", 0, make_settings(own, lr=1e30, epochs=1))


def test_arms_of_a_result_must_agree():
    with pytest.raises(ValueError, match="different arms"):
        TrialResult(accuracies={"a": 1.0}, digests={}, mismatches={"a": ()}, seconds=1.0)
    with pytest.raises(ValueError, match="other arms"):
        TrialResult(accuracies={}, digests={}, mismatches={}, before_averaging={"a": 1.0}, seconds=1.0)
