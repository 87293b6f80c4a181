"""The table of a net per row that comparisons of nets are exported as."""

from mnistctl.artifacts.tables import Cell, Table
from mnistctl.evaluation.comparison import Comparison, NetScores, Scores

_COLUMNS = (
    *("name", "model", "parameters", "loss", "accuracy", "low", "high"),
    *("accuracy_without_label_issues", "ece", "p", "p_adjusted"),
)
_PERCENTAGES = ("accuracy", "low", "high", "accuracy_without_label_issues", "ece")


def comparison_table(comparison: Comparison) -> Table:
    """A row for each net, then one for the mean of their probabilities.

    Accuracies and calibration errors are in percent, with Wilson's 95 % interval `low` to `high`. `p` is that
    of McNemar's test against the first net.
    """
    first = comparison.nets[0].name
    tests = {pair.second: (pair.p, pair.p_adjusted) for pair in comparison.pairs if pair.first == first}
    rows = [_row(net, tests.get(net.name, (None, None))) for net in comparison.nets]
    rows.append(_row(comparison.ensemble, (None, None)))
    return Table(_COLUMNS, tuple(rows), {"loss": 4} | dict.fromkeys(_PERCENTAGES, 2))


def _row(scores: Scores, test: tuple[float | None, float | None]) -> tuple[Cell, ...]:
    names: tuple[Cell, ...] = ("ensemble", None, None)
    if isinstance(scores, NetScores):
        names = (scores.name, scores.model, scores.parameters)
    accuracies = (scores.accuracy, *scores.accuracy_interval, scores.accuracy_without_label_issues)
    return (*names, scores.loss, *accuracies, scores.ece, *test)
