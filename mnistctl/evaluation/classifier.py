"""Trained nets judged on a split of a data set: score, confusions, mistakes, the pictures of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistctl.artifacts import charts, files, grids, record
from mnistctl.artifacts.files import Saved
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.evaluation import corruptions
from mnistctl.evaluation.calibration import Calibration, compute_calibration
from mnistctl.evaluation.figures import confidence_extremes_figure, mismatch_figure, save_figures
from mnistctl.evaluation.metrics import Mismatches, Score, compute_score, find_mismatches
from mnistctl.evaluation.predictions import ModelPredictions, accuracy_without_label_issues, predict_split
from mnistctl.inference.export import Exported, export_onnx, require_installed

ProgressCallback = Callable[
    [str, int, int | None], None
]  # told of what takes long: what, how much is done, of how much


@dataclass(frozen=True)
class CorruptionScore:
    """The accuracies in percent, a net each, of digits spoilt in one way."""

    kind: str
    strength: float
    unit: str
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """A net judged on a split: the score, the counts [true, predicted], what it misread, how sure it was.

    `undoubted` is the accuracy in percent on the digits whose labels nobody doubts, where any are doubted;
    `notes` say what was left out, and why.
    """

    model: str
    digest: str
    dataset: str
    split: str
    digits: int
    score: Score
    undoubted: float | None
    doubted: datasets.LabelIssues | None
    calibration: Calibration
    confusion: list[list[int]]
    mismatches: Mismatches
    corruptions: tuple[CorruptionScore, ...] | None
    notes: tuple[str, ...]
    saved: tuple[Saved, ...]
    onnx: Exported | None = None

    def per_digit(self) -> list[dict[str, float]]:
        """For each digit its support, and precision, recall and F1 in percent (0 where undefined)."""
        counts = np.array(self.confusion)
        right, support, read = counts.diagonal(), counts.sum(1), counts.sum(0)
        rows = []
        for d in range(10):
            precision, recall, f1 = (
                100 * float(right[d]) / float(total) if total else 0.0
                for total in (read[d], support[d], (read[d] + support[d]) / 2)
            )
            rows.append(
                {"digit": d, "support": int(support[d]), "precision": precision, "recall": recall, "f1": f1}
            )
        return rows


def evaluate(
    path: Path,
    *,
    data_dir: Path,
    out_dir: Path,
    dataset: str = "mnist",
    split: datasets.Split = "test",
    device: str = "auto",
    threads: int | None = None,
    predictions: Path | None = None,
    onnx: Path | None = None,
    corrupt: bool = False,
    moved: ProgressCallback | None = None,
) -> Evaluation:
    """Judge the net in the checkpoint at `path`, which `nets.locate` finds by a run's name.

    Writes the grid of mismatches and the charts under `out_dir` (their paths are in the result's `saved`),
    and to `predictions`, where given, a CSV of index, label, predicted digit and the ten logits; to `onnx`
    the net itself, as `export.write` has it. `corrupt` has it read the digits under every corruption as
    well, of which `moved` is told as they go.

    Raises:
        CheckpointError: no such checkpoint, or not one that can be judged.
        DataError, UsageError, OutputError: as `runs.train`.
    """
    if onnx is not None:
        require_installed()  # told before anything is judged
    arrays, digits, (judged,) = predict_split(
        [path], data_dir=data_dir, dataset=dataset, split=split, device=device, threads=threads
    )
    missed, doubted = find_mismatches(judged.outputs, digits), datasets.label_issues(dataset, split)
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (arrays.labels, judged.predicted), 1)
    sureness = compute_calibration(judged.probabilities, arrays.labels)

    stem = out_dir / f"{path.stem}-eval-{dataset}-{split}"
    title = f"{path.stem} on {dataset}, {split}"
    drawn = {
        "": mismatch_figure(arrays, missed, doubted),
        "-confusion": charts.confusion_chart(
            f"{title}: {len(missed.indices):,} of {len(digits):,} misread", confusion.tolist()
        ),
        "-calibration": charts.calibration_chart(title, {path.stem: sureness}),
        "-errors": confidence_extremes_figure(title, arrays, judged, doubted),
    }
    notes = []
    run = record.find_by_digest(path.with_suffix(".json"), judged.digest)
    try:
        drawn["-curves"] = charts.curves_chart(f"{path.stem}, epoch by epoch", run or {})
    except (KeyError, TypeError, ValueError):
        notes.append(f"learning curves: left out, since {path.with_suffix('.json')} is no record of this net")
    spoilt = None
    if corrupt:
        spoilt, drawn["-corruptions"] = evaluate_corruptions(arrays, [judged], moved)
    saved = save_figures(stem, drawn)
    if predictions is not None:
        header = ",".join(["index", "label", "predicted", *(f"logit{d}" for d in range(10))])
        rows = zip(arrays.labels, judged.predicted, judged.outputs.cpu().tolist(), strict=True)
        lines = (f"{i},{y},{p},{','.join(f'{v:.6g}' for v in row)}" for i, (y, p, row) in enumerate(rows))
        files.write(predictions, "\n".join([header, *lines]) + "\n")
        saved.append(Saved(str(predictions)))
    exported = None
    if onnx is not None:
        exported = export_onnx(onnx, judged.net, digits, judged.outputs)
        saved.append(Saved(str(onnx)))
    return Evaluation(
        model=judged.model,
        digest=judged.digest,
        dataset=dataset,
        split=split,
        digits=len(digits),
        score=judged.score,
        undoubted=accuracy_without_label_issues(judged.predicted, arrays, doubted),
        doubted=doubted,
        calibration=sureness,
        confusion=confusion.tolist(),
        mismatches=missed,
        corruptions=spoilt,
        notes=tuple(notes),
        saved=tuple(saved),
        onnx=exported,
    )


def evaluate_corruptions(
    arrays: datasets.Arrays, judged: Sequence[ModelPredictions], moved: ProgressCallback | None = None
) -> tuple[tuple[CorruptionScore, ...], grids.ImageArray]:
    """What each net reads right of the digits under every corruption, and a picture of the first digit."""
    rows, shown = [], []
    total = sum(len(kind.strengths) for kind in corruptions.CORRUPTIONS)
    for kind in corruptions.CORRUPTIONS:
        cells = []
        for strength in kind.strengths:
            images = kind.apply(arrays.images, strength)
            digits = Digits.of(datasets.Arrays(images, arrays.labels), judged[0].outputs.device)
            accuracies = tuple(compute_score(each.net, digits)[0].accuracy for each in judged)
            rows.append(CorruptionScore(kind.kind, strength, kind.unit, accuracies))
            cells.append(charts.Cell(images[0], f"{strength:g}"))
            if moved is not None:
                moved("corruptions", len(rows), total)
        shown.append(cells)
    whole = [[charts.Cell(arrays.images[0], "")] for _ in corruptions.CORRUPTIONS]
    blocks = charts.Block("as it is", whole), charts.Block("spoilt, by so much", shown)
    labels = [f"{kind.kind},\n{kind.unit}" for kind in corruptions.CORRUPTIONS]
    return tuple(rows), charts.digits_chart("the first digit", labels, blocks)
