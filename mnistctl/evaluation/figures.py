"""Pictures of a classifier's errors."""

from pathlib import Path

import numpy as np

from mnistctl.artifacts import charts, grids
from mnistctl.artifacts.files import Saved
from mnistctl.data import datasets
from mnistctl.evaluation.metrics import Mismatches
from mnistctl.evaluation.predictions import ModelPredictions

_MAX_SHOWN = 5  # of each digit's surest errors, and of the least sure answers that are right


def mismatch_figure(
    arrays: datasets.Arrays, missed: Mismatches, doubted: datasets.LabelIssues | None = None
) -> grids.ImageArray:
    """The grid of the digits of `arrays` that were misread, those with doubted labels marked."""
    indices = np.array(missed.indices, dtype=np.int64)
    true, predicted = (np.array(side, dtype=np.int64) for side in (missed.true, missed.predicted))
    marked = np.isin(indices, doubted.indices if doubted else [])
    return grids.mismatch_grid(arrays.images[indices], true, predicted, marked)


def confidence_extremes_figure(
    title: str, arrays: datasets.Arrays, judged: ModelPredictions, doubted: datasets.LabelIssues | None
) -> grids.ImageArray:
    """For each digit the errors of which the net was surest, and the right answers of which it was least."""
    labels, read, chance = arrays.labels, judged.predicted, judged.probabilities.max(1)
    surest: list[list[charts.Cell]] = []
    least: list[list[charts.Cell]] = []

    def cell(index: int, answer: str) -> charts.Cell:
        framed = doubted is not None and index in doubted.indices
        return charts.Cell(arrays.images[index], f"{answer}{100 * chance[index]:.0f} %", framed)

    for digit in range(10):
        of = np.flatnonzero(labels == digit)
        wrong, right = of[read[of] != digit], of[read[of] == digit]
        wrong, right = wrong[np.argsort(-chance[wrong], kind="stable")], right[np.argsort(chance[right])]
        surest.append([cell(index, f"{read[index]}, ") for index in wrong[:_MAX_SHOWN]])
        least.append([cell(index, "") for index in right[:_MAX_SHOWN]])
    blocks = charts.Block("surest errors: read as", surest), charts.Block("right, but least sure", least)
    note = "" if doubted is None else "; framed: the label is doubted"
    return charts.digits_chart(title + note, [str(digit) for digit in range(10)], blocks)


def save_figures(stem: Path, drawn: dict[str, grids.ImageArray]) -> list[Saved]:
    """Write each picture as a PNG under its ending behind `stem`.

    Raises:
        OutputError: one cannot be written.
    """
    saved = []
    for ending, picture in drawn.items():
        path = stem.with_name(f"{stem.name}{ending}.png")
        grids.write_png(path, picture)
        saved.append(Saved(str(path)))
    return saved
