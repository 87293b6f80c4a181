"""A trained net judged on a split of a data set: score, confusions, mistakes, the picture of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistctl import checkpoint, compute, datasets, export, figures, files, nets
from mnistctl.data import Digits
from mnistctl.events import Mismatches, Saved, Score
from mnistctl.supervised import judge, mismatches


@dataclass(frozen=True)
class Evaluation:
    """A net judged on a split: the score, the counts [true, predicted], and what it misread."""

    model: str
    digest: str
    dataset: str
    split: str
    digits: int
    score: Score
    confusion: list[list[int]]
    mismatches: Mismatches
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
) -> Evaluation:
    """Judge the net in the checkpoint at `path`, which `nets.locate` finds by a run's name.

    Writes the grid of mismatches under `out_dir` (its path is in the result's `saved`), and to
    `predictions`, where given, a CSV of index, label, predicted digit and the ten logits.
    To `onnx`, where given, goes the net itself, as `export.write` has it.

    Raises:
        CheckpointError: no such checkpoint, or not one that can be judged.
        DataError, UsageError, OutputError: as `runs.train`.
    """
    if onnx is not None:
        export.able()  # told before anything is judged
    where = compute.device(device)
    compute.set_threads(threads)
    model, judged = nets.classifier(path)
    judged = judged.to(where)
    arrays, _ = datasets.load(dataset, data_dir, split)
    digits = Digits.of(arrays, where)
    score, outputs = judge(judged, digits)
    missed = mismatches(outputs, digits)
    predicted = outputs.argmax(1).cpu().numpy()
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (arrays.labels, predicted), 1)

    grid = out_dir / f"{path.stem}-eval-{dataset}-{split}.png"
    figures.write_png(grid, mistakes(arrays, missed))
    saved = [Saved(str(grid))]
    if predictions is not None:
        header = ",".join(["index", "label", "predicted", *(f"logit{d}" for d in range(10))])
        rows = zip(arrays.labels, predicted, outputs.cpu().tolist(), strict=True)
        lines = (f"{i},{y},{p},{','.join(f'{v:.6g}' for v in row)}" for i, (y, p, row) in enumerate(rows))
        files.write(predictions, "\n".join([header, *lines]) + "\n")
        saved.append(Saved(str(predictions)))
    exported = None
    if onnx is not None:
        exported = export.write(onnx, judged, digits, outputs)
        saved.append(Saved(str(onnx)))
    return Evaluation(
        model=model,
        digest=checkpoint.digest(judged.state_dict()),
        dataset=dataset,
        split=split,
        digits=len(digits),
        score=score,
        confusion=confusion.tolist(),
        mismatches=missed,
        saved=tuple(saved),
        onnx=exported,
    )


def mistakes(arrays: datasets.Arrays, missed: Mismatches) -> figures.Picture:
    """The grid of the digits of `arrays` that were misread."""
    indices = np.array(missed.indices, dtype=np.int64)
    true, predicted = (np.array(side, dtype=np.int64) for side in (missed.true, missed.predicted))
    return figures.mismatch_grid(arrays.images[indices], true, predicted)
