"""Evaluations in memory: nothing is read or written, and the JSON has no arrays."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnistctl import models
from mnistctl.artifacts import charts, checkpoint, files
from mnistctl.data import datasets
from mnistctl.data.training_set import describe_training_set
from mnistctl.errors import CheckpointError, DataError, UsageError
from mnistctl.evaluation import fidelity
from mnistctl.evaluation.classifier import evaluate_classifier
from mnistctl.evaluation.comparison import compare
from mnistctl.evaluation.figures import FigureFiles, draw_figures
from mnistctl.evaluation.generator import evaluate_generator
from mnistctl.evaluation.predictions import Classifier, LabelledSplit, load_classifiers, load_split
from mnistctl.inference.predict import predict_images
from mnistctl.inference.sampling import TrainedGenerator

RECORDS = Path(__file__).parents[2] / "records"
CLASSIFIER_KEYS = {
    *(
        "name",
        "model",
        "digest",
        "dataset",
        "split",
        "count",
        "loss",
        "accuracy",
        "accuracy_interval",
        "ece",
        "calibration",
    ),
    *("accuracy_without_label_issues", "label_issues", "confusion", "per_digit", "mismatches", "corruptions"),
    "warnings",
}
COMPARISON_KEYS = {
    *("dataset", "split", "count", "label_issues", "nets", "ensemble", "pairs", "misread_by_all"),
    *("corruptions", "warnings"),
}
GENERATOR_KEYS = {
    *("name", "model", "digest", "reference_classifier", "dataset", "count", "seed", "frechet", "density"),
    *("coverage", "near_duplicates", "class_entropy", "class_counts", "conditional_accuracy"),
    *("conditional_accuracy_by_digit", "compared", "warnings"),
}


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    """An empty, read-only folder to work in, and a failure if a file is written anywhere."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)
    monkeypatch.setattr(files, "atomic_write", lambda path: pytest.fail(f"{path} was written"))
    yield
    tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def labelled():
    arrays, _ = datasets.load("sample", None, "test")
    return LabelledSplit(datasets.Arrays(arrays.images[:300], arrays.labels[:300]))


def untrained(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_a_net_is_evaluated_and_its_confusion_matrix_drawn_without_a_file(labelled, no_files):
    evaluation = evaluate_classifier(Classifier(untrained(0)), labelled, corrupt=True)
    assert (evaluation.name, evaluation.model, evaluation.dataset) == ("model", "custom", "custom")
    confusion = np.array(evaluation.confusion)
    assert confusion.sum() == evaluation.count == 300
    assert evaluation.accuracy == 100 * confusion.trace() / 300
    assert len(evaluation.mismatches.indices) == 300 - confusion.trace()
    assert [row.support for row in evaluation.per_digit] == confusion.sum(1).tolist()
    assert charts.confusion_chart("confusion", evaluation.confusion).pixels().shape == (500, 520, 3)
    figures = draw_figures(evaluation)
    assert list(figures) == ["", "-confusion", "-calibration", "-confidence-extremes", "-corruptions"]


def test_the_json_of_an_evaluation_has_every_result_and_no_array(labelled, no_files):
    body = json.loads(json.dumps(evaluate_classifier(Classifier(untrained(0)), labelled).to_json()))
    assert body.keys() == CLASSIFIER_KEYS
    assert body["per_digit"][3].keys() == {"digit", "support", "precision", "recall", "f1"}
    assert body["mismatches"].keys() == {"indices", "true", "predicted"}
    assert body["calibration"][0].keys() == {"low", "high", "count", "confidence", "accuracy"}


def test_net_called_as_the_ensemble_keeps_its_curve(labelled, monkeypatch):
    drawn, draw = [], charts.calibration_chart
    monkeypatch.setattr(
        charts, "calibration_chart", lambda title, curves: drawn.extend(curves) or draw(title, curves)
    )
    comparison = compare(
        [Classifier(untrained(seed), name) for seed, name in enumerate(("ensemble", "b"))], labelled
    )
    draw_figures(comparison)
    scores = [*comparison.nets, comparison.ensemble]
    labels = [
        f"{name}: ECE {each.ece:.2f} %"
        for name, each in zip(("ensemble", "b", "ensemble"), scores, strict=True)
    ]
    assert [curve.label for curve in drawn] == labels


def test_classifiers_are_compared_without_a_file(labelled, no_files):
    classifiers = [Classifier(untrained(seed), name) for seed, name in enumerate("ab")]
    comparison = compare(classifiers, labelled)
    body = json.loads(json.dumps(comparison.to_json()))
    assert body.keys() == COMPARISON_KEYS
    assert [net["name"] for net in body["nets"]] == ["a", "b"]
    assert [net["path"] for net in body["nets"]] == [None, None]
    for classifier, net in zip(classifiers, comparison.nets, strict=True):
        assert evaluate_classifier(classifier, labelled).ece == net.ece
    assert list(draw_figures(comparison)) == ["-calibration", "-misread-by-all"]


@pytest.mark.parametrize("name", models.GENERATORS)
def test_a_generator_is_evaluated_without_a_file(name, labelled, no_files, monkeypatch):
    monkeypatch.setattr(fidelity, "FRECHET_RESAMPLES", 2)
    reference = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.Linear(20, 10)))
    net = models.load_generator(name).generator()
    generator = TrainedGenerator(name, net, checkpoint.digest(net.state_dict()))
    train, _ = datasets.load("sample", None, "train")
    evaluation = evaluate_generator(generator, reference, train, labelled, count=100)
    body = json.loads(json.dumps(evaluation.to_json()))
    assert body.keys() == GENERATOR_KEYS
    assert body["frechet"].keys() == {"value", "low", "high", "real_reference"}
    assert sum(body["class_counts"]) == body["count"] == 100
    conditional = name == "cgan"
    assert (body["conditional_accuracy"] is not None) == conditional
    if conditional:
        requested = evaluation.samples.digits
        assert requested.tolist() == labelled.arrays.labels[:100].tolist()
        share = (evaluation.predicted == requested).mean()
        assert body["conditional_accuracy"]["value"] == pytest.approx(100 * share)
    figures = ["-near-duplicates", "-mismatches"] if conditional else ["-near-duplicates"]
    assert list(draw_figures(evaluation)) == figures


def test_outputs_that_are_not_finite_are_an_error(labelled, no_files):
    net = untrained(0)
    net[1].weight.data.fill_(float("inf"))
    with pytest.raises(CheckpointError, match="broken: the model's outputs are not finite"):
        evaluate_classifier(Classifier(net, "broken"), labelled)


def test_name_of_a_figure_keeps_its_dots_and_is_free_until_the_figure_is_written(labelled, tmp_path):
    target = FigureFiles(tmp_path / "a.b")
    figures = draw_figures(evaluate_classifier(Classifier(untrained(0)), labelled))
    assert list(tmp_path.iterdir()) == []
    figures["-confusion"].write(target.path_of("-confusion"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.b-confusion.png"]


def test_the_loaders_name_a_classifier_and_a_split(no_files):
    (classifier,) = load_classifiers([RECORDS / "conv.safetensors"], device="cpu")
    assert (classifier.name, classifier.model) == ("conv", "conv")
    assert classifier.digest == json.loads((RECORDS / "conv.json").read_text())["digest"]
    labelled = load_split("sample", None)
    assert (labelled.dataset, labelled.split, labelled.label_issues) == ("sample", "test", None)
    assert evaluate_classifier(classifier, labelled).accuracy > 99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", None, "validation"), "split 'validation': choose one of train, test"),
        ((None, None, "test"), "dataset: give text, not NoneType"),
        (("mnist", 3, "test"), "data_dir 3: give a path, not int"),
    ],
)
def test_wrong_split_is_a_usage_error(arguments, message):
    with pytest.raises(UsageError, match=message):
        load_split(*arguments)


def test_folders_and_files_may_be_text(labelled, tmp_path):
    with pytest.raises(DataError, match="elsewhere"):
        load_split("mnist", str(tmp_path / "elsewhere"))
    chart = draw_figures(evaluate_classifier(Classifier(models.load("logit").net()), labelled))["-confusion"]
    chart.write(str(tmp_path / "new/confusion.svg"))
    assert (tmp_path / "new/confusion.svg").read_text().startswith("<?xml")


def test_file_that_is_replaced_while_it_is_read_gives_weights_and_training_digits_of_one_run(
    tmp_path, monkeypatch
):
    """A training may replace the file at any time: --overwrite."""
    path, net = tmp_path / "net.safetensors", models.load("logit").net()
    contents = []
    for inverted in (False, True):
        images = labelled_images(inverted)
        training = describe_training_set(datasets.Arrays(images, np.arange(20, dtype=np.uint8) % 10), "own")
        header = {"model": "logit", "training_set": training.to_json()}
        with torch.no_grad():
            net[1].bias.fill_(float(inverted))
        contents.append(checkpoint.encode(path, checkpoint.NET, header, net.state_dict()))
    path.write_bytes(contents[0])
    read = files.read

    def read_and_replace(file, limit):
        content = read(file, limit)
        file.write_bytes(contents[1])
        return content

    monkeypatch.setattr(files, "read", read_and_replace)
    (classifier,) = load_classifiers([path], device="cpu")
    assert classifier.net[1].bias[0].item() == 0
    assert classifier.training_set.style.polarity == "light on dark"
    path.write_bytes(contents[0])
    Image.fromarray(labelled_images(False)[0]).save(tmp_path / "digit.png")
    predictions = predict_images(path, [tmp_path / "digit.png"], device="cpu")
    assert predictions.digest == classifier.digest
    assert predictions.inputs[0].mean() < 128  # as the first net was trained


def labelled_images(inverted):
    images = np.zeros((20, 28, 28), np.uint8)
    images[:, 6:22, 12:16] = 255
    return 255 - images if inverted else images
