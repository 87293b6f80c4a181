"""The winner of a sweep: the arm with the highest mean on the held-out digits, and its test scores."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.evaluation.metrics import compute_score
from mnistctl.inference.load import Recipes, load_classifier
from mnistctl.models.sources import Model
from mnistctl.nn.device import restored_threads, set_threads
from mnistctl.trials.entries import WinnerScores
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.nets import KeptNets


def choose_winner(journal: TrialsJournal) -> str | None:
    """The model of the arm with the highest mean accuracy; of several the first one in the sweep's order.

    None if no arm has a result of every seed.
    """
    means = mean_accuracies(journal)
    return max(means, key=lambda model: means[model]) if means else None


def lacks_winner(journal: TrialsJournal) -> bool:
    """Whether a sweep has an arm to choose, and none is scored on the test set yet."""
    return journal.header.has_winner and journal.winner is None and choose_winner(journal) is not None


def mean_accuracies(journal: TrialsJournal) -> dict[str, float]:
    """The mean accuracy of each model of a sweep with a result of every seed, in percent."""
    means: dict[str, float] = {}
    seeds = range(journal.header.seed, journal.header.seed + journal.count)
    for model in journal.header.models:
        records = [journal.trials.get((model, seed)) for seed in seeds]
        results = [record.result for record in records if record is not None and record.result is not None]
        if len(results) == journal.count:
            # Rounded, so that equal numbers of errors are a tie.
            means[model] = round(math.fsum(result.accuracies[model] for result in results) / len(results), 9)
    return means


def score_winner(
    journal: TrialsJournal, model: str, nets: KeptNets, models: Sequence[Model], data_dir: Path
) -> WinnerScores:
    """The scores of the winner's nets on the test set, as they were trained, on one thread of the processor.

    Args:
        journal: the journal of the sweep.
        model: the winner.
        nets: where its nets are.
        models: the models of the sweep, with the texts of their recipe files.
        data_dir: folder of data sets.

    Raises:
        CheckpointError: a net is missing or damaged.
        DataError: the data set is missing or damaged.
    """
    arrays, _ = datasets.load(journal.header.settings.dataset.name, data_dir, "test")
    test = Digits.of(arrays, torch.device("cpu"))
    seeds = range(journal.header.seed, journal.header.seed + journal.count)
    accuracies = []
    with restored_threads():
        set_threads(1)
        for seed in seeds:
            _, net = load_classifier(nets.path((model, seed)), Recipes(tuple(models)))
            accuracies.append(compute_score(net, test)[0].accuracy)
    return WinnerScores(model=model, seeds=tuple(seeds), accuracies=tuple(accuracies), images=len(test))
