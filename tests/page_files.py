"""Pages of small nets, without a training and without the command line."""

from dataclasses import dataclass

import torch

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.evaluation.classifier import evaluate_classifier
from mnistctl.evaluation.comparison import compare
from mnistctl.evaluation.predictions import Classifier, LabelledSplit
from mnistctl.pages.classifiers import describe_nets, render_classifiers
from mnistctl.pages.generators import render_generator
from mnistctl.schema import Schema

DISPUTED = datasets.LabelIssues("a test", "labels that a test disputes", (0, 3, 5))


@dataclass(frozen=True)
class Record(Schema):
    """A record with any content."""

    content: dict

    def to_json(self):
        return self.content


def digits(count=200, disputed=True):
    """The first test digits of the sample, some with a disputed label."""
    arrays, _ = datasets.load("sample", None, "test")
    arrays = datasets.Arrays(arrays.images[:count], arrays.labels[:count])
    return LabelledSplit(arrays, "sample", "test", DISPUTED if disputed else None)


def untrained(model, seed=0, **settings):
    """A classifier of this model with random weights."""
    torch.manual_seed(seed)
    return models.load_classifier(model).net(**settings).eval()


def fitted(count=200):
    """A linear classifier that reads most of the digits: least squares on the first test digits."""
    labelled = digits(count)
    pixels = torch.from_numpy(labelled.arrays.images).reshape(count, -1) / 127.5 - 1
    targets = torch.nn.functional.one_hot(torch.from_numpy(labelled.arrays.labels).long(), 10).float()
    net = untrained("logit")
    inputs = torch.cat((pixels, torch.ones(count, 1)), 1)
    penalty = 30 * torch.eye(785)
    solution = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (8 * targets))
    net[-1].weight.data, net[-1].bias.data = solution[:-1].T.contiguous(), solution[-1].clone()
    return net


def classifier_page(nets, *, count=200, records=None, disputed=True):
    """The page of the classifiers with these names, and their evaluation or comparison."""
    labelled = digits(count, disputed)
    classifiers = [Classifier(net, name, "logit") for name, net in nets.items()]
    page_nets = describe_nets(classifiers, labelled, records or [None] * len(nets))
    if len(classifiers) == 1:
        evaluation = evaluate_classifier(classifiers[0], labelled)
        return render_classifiers(page_nets, [evaluation.predictions], labelled), evaluation
    comparison = compare(classifiers, labelled)
    page = render_classifiers(page_nets, comparison.predictions, labelled, comparison=comparison)
    return page, comparison


def generator_page(model="cgan", name="cgan", features=4):
    """The page of a small generator with random weights, and its net."""
    torch.manual_seed(0)
    net = models.load_generator(model).generator
    small = net(features=features).eval()
    for part, values in small.named_parameters():
        if values.dim() == 4:
            values.data *= 4 if "second" not in part else 1  # random pictures, not grey ones
    return render_generator(small, name=name, model=model, digest="0" * 64), small
