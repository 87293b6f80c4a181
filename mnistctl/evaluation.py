"""Trained nets judged on a split of a data set: score, confusions, mistakes, the pictures of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistctl import charts, checkpoint, compute, corruption, datasets, export, figures, files, nets, record
from mnistctl.calibration import Calibration, calibration
from mnistctl.data import Digits
from mnistctl.errors import CheckpointError
from mnistctl.events import Mismatches, Saved, Score
from mnistctl.supervised import judge, mismatches

Moved = Callable[[str, int, int | None], None]  # told of what takes long: what, how much is done, of how much

_SHOWN = 5  # of each digit's surest errors, and of the least sure answers that are right


@dataclass(frozen=True)
class Corrupted:
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
    doubted: datasets.Doubted | None
    calibration: Calibration
    confusion: list[list[int]]
    mismatches: Mismatches
    corruptions: tuple[Corrupted, ...] | None
    notes: tuple[str, ...]
    saved: tuple[Saved, ...]
    onnx: export.Exported | None = None

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


@dataclass(frozen=True)
class Judged:
    """A net that a checkpoint holds, and its logits [N, 10] of the digits that it was shown."""

    path: Path
    model: str
    net: nn.Module
    score: Score
    outputs: Tensor

    @cached_property
    def digest(self) -> str:
        """Of its weights, as their run's record has it."""
        return checkpoint.digest(self.net.state_dict())

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """What it gives each digit for each answer: [N, 10]."""
        return torch.softmax(self.outputs.double(), 1).cpu().numpy()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """Its answers: [N]."""
        return self.outputs.argmax(1).cpu().numpy()


def read(
    paths: Sequence[Path],
    *,
    data_dir: Path,
    dataset: str = "mnist",
    split: datasets.Split = "test",
    device: str = "auto",
    threads: int | None = None,
) -> tuple[datasets.Arrays, Digits, list[Judged]]:
    """The digits of a split, as they are and on the device, and the nets in the checkpoints judged on them.

    Raises:
        CheckpointError: no such checkpoint, or not one that can be judged.
        DataError, UsageError: as `runs.train`.
    """
    where = compute.device(device)
    compute.set_threads(threads)
    held = [nets.classifier(path) for path in paths]
    arrays, _ = datasets.load(dataset, data_dir, split)
    digits = Digits.of(arrays, where)
    judged = []
    for path, (model, net) in zip(paths, held, strict=True):
        score, outputs = judge(net.to(where), digits)
        if not bool(outputs.isfinite().all()):
            raise CheckpointError(f"{path}: its weights are so large that its answers are no numbers")
        judged.append(Judged(path, model, net, score, outputs))
    return arrays, digits, judged


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
    moved: Moved | None = None,
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
        export.able()  # told before anything is judged
    arrays, digits, (judged,) = read(
        [path], data_dir=data_dir, dataset=dataset, split=split, device=device, threads=threads
    )
    missed, doubted = mismatches(judged.outputs, digits), datasets.doubted(dataset, split)
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (arrays.labels, judged.predicted), 1)
    sureness = calibration(judged.probabilities, arrays.labels)

    stem = out_dir / f"{path.stem}-eval-{dataset}-{split}"
    title = f"{path.stem} on {dataset}, {split}"
    drawn = {
        "": mistakes(arrays, missed, doubted),
        "-confusion": charts.confusion(
            f"{title}: {len(missed.indices):,} of {len(digits):,} misread", confusion.tolist()
        ),
        "-calibration": charts.calibration(title, {path.stem: sureness}),
        "-errors": errors(title, arrays, judged, doubted),
    }
    notes = []
    run = record.of_weights(path.with_suffix(".json"), judged.digest)
    try:
        drawn["-curves"] = charts.curves(f"{path.stem}, epoch by epoch", run or {})
    except (KeyError, TypeError, ValueError):
        notes.append(f"learning curves: left out, since {path.with_suffix('.json')} is no record of this net")
    spoilt = None
    if corrupt:
        spoilt, drawn["-corruptions"] = corruptions(arrays, [judged], moved)
    saved = write(stem, drawn)
    if predictions is not None:
        header = ",".join(["index", "label", "predicted", *(f"logit{d}" for d in range(10))])
        rows = zip(arrays.labels, judged.predicted, judged.outputs.cpu().tolist(), strict=True)
        lines = (f"{i},{y},{p},{','.join(f'{v:.6g}' for v in row)}" for i, (y, p, row) in enumerate(rows))
        files.write(predictions, "\n".join([header, *lines]) + "\n")
        saved.append(Saved(str(predictions)))
    exported = None
    if onnx is not None:
        exported = export.write(onnx, judged.net, digits, judged.outputs)
        saved.append(Saved(str(onnx)))
    return Evaluation(
        model=judged.model,
        digest=judged.digest,
        dataset=dataset,
        split=split,
        digits=len(digits),
        score=judged.score,
        undoubted=undoubted(judged.predicted, arrays, doubted),
        doubted=doubted,
        calibration=sureness,
        confusion=confusion.tolist(),
        mismatches=missed,
        corruptions=spoilt,
        notes=tuple(notes),
        saved=tuple(saved),
        onnx=exported,
    )


def undoubted(
    predicted: NDArray[Any], arrays: datasets.Arrays, doubted: datasets.Doubted | None
) -> float | None:
    """The accuracy in percent of the answers [N] to the digits whose labels are not doubted."""
    if doubted is None:
        return None
    right = np.delete(predicted == arrays.labels, doubted.indices)
    return 100 * float(right.mean())


def mistakes(
    arrays: datasets.Arrays, missed: Mismatches, doubted: datasets.Doubted | None = None
) -> figures.Picture:
    """The grid of the digits of `arrays` that were misread, those with doubted labels marked."""
    indices = np.array(missed.indices, dtype=np.int64)
    true, predicted = (np.array(side, dtype=np.int64) for side in (missed.true, missed.predicted))
    marked = np.isin(indices, doubted.indices if doubted else [])
    return figures.mismatch_grid(arrays.images[indices], true, predicted, marked)


def errors(
    title: str, arrays: datasets.Arrays, judged: Judged, doubted: datasets.Doubted | None
) -> figures.Picture:
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
        surest.append([cell(index, f"{read[index]}, ") for index in wrong[:_SHOWN]])
        least.append([cell(index, "") for index in right[:_SHOWN]])
    blocks = charts.Block("surest errors: read as", surest), charts.Block("right, but least sure", least)
    note = "" if doubted is None else "; framed: the label is doubted"
    return charts.digits(title + note, [str(digit) for digit in range(10)], blocks)


def corruptions(
    arrays: datasets.Arrays, judged: Sequence[Judged], moved: Moved | None = None
) -> tuple[tuple[Corrupted, ...], figures.Picture]:
    """What each net reads right of the digits under every corruption, and a picture of the first digit."""
    rows, shown = [], []
    total = sum(len(kind.strengths) for kind in corruption.KINDS)
    for kind in corruption.KINDS:
        cells = []
        for strength in kind.strengths:
            images = kind.apply(arrays.images, strength)
            digits = Digits.of(datasets.Arrays(images, arrays.labels), judged[0].outputs.device)
            accuracies = tuple(judge(each.net, digits)[0].accuracy for each in judged)
            rows.append(Corrupted(kind.kind, strength, kind.unit, accuracies))
            cells.append(charts.Cell(images[0], f"{strength:g}"))
            if moved is not None:
                moved("corruptions", len(rows), total)
        shown.append(cells)
    whole = [[charts.Cell(arrays.images[0], "")] for _ in corruption.KINDS]
    blocks = charts.Block("as it is", whole), charts.Block("spoilt, by so much", shown)
    labels = [f"{kind.kind},\n{kind.unit}" for kind in corruption.KINDS]
    return tuple(rows), charts.digits("the first digit", labels, blocks)


def write(stem: Path, drawn: dict[str, figures.Picture]) -> list[Saved]:
    """Write each picture as a PNG under its ending behind `stem`.

    Raises:
        OutputError: one cannot be written.
    """
    saved = []
    for ending, picture in drawn.items():
        path = stem.with_name(f"{stem.name}{ending}.png")
        figures.write_png(path, picture)
        saved.append(Saved(str(path)))
    return saved
