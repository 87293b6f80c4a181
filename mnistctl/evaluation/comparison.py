"""Several classifiers side by side on the same digits: what they share, and whether they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mnistctl.artifacts import charts
from mnistctl.artifacts.files import Saved
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import datasets
from mnistctl.errors import UsageError
from mnistctl.evaluation import statistics
from mnistctl.evaluation.calibration import compute_calibration
from mnistctl.evaluation.classifier import CorruptionScore, ProgressCallback, evaluate_corruptions
from mnistctl.evaluation.figures import save_figures
from mnistctl.evaluation.predictions import ModelPredictions, accuracy_without_label_issues, predict_split

_MIN_PROBABILITY = np.finfo(
    np.float64
).tiny  # of what is nought but for rounding, the logarithm is one of this
_COLUMNS, _ROWS = 10, 8  # digits that all misread, in the picture of them


@dataclass(frozen=True)
class Scores:
    """Mean cross entropy, and in percent: accuracy, that on undoubted labels, expected calibration error."""

    loss: float
    accuracy: float
    undoubted: float | None
    ece: float


@dataclass(frozen=True)
class NetScores(Scores):
    """One of the nets, and how it scores."""

    name: str
    path: str
    model: str
    digest: str
    parameters: int


@dataclass(frozen=True)
class Pair:
    """How many digits only the first and only the second misread, and McNemar's p-value of that.

    `p_adjusted` is Holm's, where there are several pairs.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class SharedError:
    """A digit that every net misreads: its index, the true digit, and what each reads."""

    index: int
    true: int
    predicted: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """Several nets judged on the same split."""

    dataset: str
    split: str
    digits: int
    doubted: datasets.LabelIssues | None
    nets: tuple[NetScores, ...]
    ensemble: Scores  # of the nets' probabilities, averaged
    pairs: tuple[Pair, ...]
    shared: tuple[SharedError, ...]
    corruptions: tuple[CorruptionScore, ...] | None
    saved: tuple[Saved, ...]


def compare(
    paths: Sequence[Path],
    *,
    data_dir: Path,
    out_dir: Path,
    dataset: str = "mnist",
    split: datasets.Split = "test",
    device: str = "auto",
    threads: int | None = None,
    corrupt: bool = False,
    moved: ProgressCallback | None = None,
) -> Comparison:
    """Judge the nets in the checkpoints at `paths` side by side.

    Writes a picture of the digits that all of them misread, and their calibration in one chart, under
    `out_dir`. `corrupt` and `moved` are as in `evaluation.evaluate`.

    Raises:
        UsageError: two of them are the same net.
        CheckpointError, DataError, OutputError: as `evaluation.evaluate`.
    """
    arrays, digits, judged = predict_split(
        paths, data_dir=data_dir, dataset=dataset, split=split, device=device, threads=threads
    )
    for one, other in combinations(judged, 2):
        if one.digest == other.digest:
            raise UsageError(f"{one.path} and {other.path}: the same net twice; give nets that differ")
    named = dict(zip(_names(paths), judged, strict=True))
    doubted, labels = datasets.label_issues(dataset, split), arrays.labels
    sureness = {name: compute_calibration(each.probabilities, labels) for name, each in named.items()}
    mean = np.mean([each.probabilities for each in judged], axis=0)
    together = compute_calibration(mean, labels)
    shared = _shared_errors(arrays, judged)

    stem = out_dir / f"{'-'.join(path.stem for path in paths)}-eval-{dataset}-{split}"
    title = f"{dataset}, {split}"
    drawn = {"-calibration": charts.calibration_chart(title, sureness | {"averaged": together})}
    if shared:
        drawn["-shared"] = _shared_figure(title, list(named), arrays, shared, doubted)
    spoilt = None
    if corrupt:
        spoilt, drawn["-corruptions"] = evaluate_corruptions(arrays, judged, moved)
    return Comparison(
        dataset=dataset,
        split=split,
        digits=len(digits),
        doubted=doubted,
        nets=tuple(
            NetScores(
                name=name,
                path=str(each.path),
                model=each.model,
                digest=each.digest,
                parameters=sum(p.numel() for p in each.net.parameters()),
                loss=each.score.loss,
                accuracy=each.score.accuracy,
                undoubted=accuracy_without_label_issues(each.predicted, arrays, doubted),
                ece=sureness[name].ece,
            )
            for name, each in named.items()
        ),
        ensemble=Scores(
            loss=float(-np.log(mean[np.arange(len(labels)), labels].clip(_MIN_PROBABILITY)).mean()),
            accuracy=100 * float((mean.argmax(1) == labels).mean()),
            undoubted=accuracy_without_label_issues(mean.argmax(1), arrays, doubted),
            ece=together.ece,
        ),
        pairs=_pairs(named, arrays),
        shared=shared,
        corruptions=spoilt,
        saved=tuple(save_figures(stem, drawn)),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names; the whole paths where two names are the same."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _shared_errors(arrays: datasets.Arrays, judged: Sequence[ModelPredictions]) -> tuple[SharedError, ...]:
    answers = np.stack([each.predicted for each in judged], axis=1)
    wrong = np.flatnonzero((answers != arrays.labels[:, None]).all(1))
    return tuple(SharedError(int(i), int(arrays.labels[i]), tuple(answers[i].tolist())) for i in wrong)


def _pairs(named: Mapping[str, ModelPredictions], arrays: datasets.Arrays) -> tuple[Pair, ...]:
    wrong = {name: each.predicted != arrays.labels for name, each in named.items()}
    told = []
    for first, second in combinations(named, 2):
        alone = int((wrong[first] & ~wrong[second]).sum()), int((wrong[second] & ~wrong[first]).sum())
        told.append((first, second, *alone, statistics.mcnemar(*alone)))
    adjusted = statistics.holm([p for *_, p in told])
    return tuple(Pair(*row, p_adjusted=p) for row, p in zip(told, adjusted, strict=True) if p is not None)


def _shared_figure(
    title: str,
    names: Sequence[str],
    arrays: datasets.Arrays,
    shared: Sequence[SharedError],
    doubted: datasets.LabelIssues | None,
) -> ImageArray:
    """The first digits that all misread, the true digit and the answers below each."""
    between = " " if len(names) < 4 else ""  # as much as fits below a digit
    cells = [
        charts.Cell(
            arrays.images[row.index],
            f"{row.true}: {between.join(map(str, row.predicted))}",
            doubted is not None and row.index in doubted.indices,
        )
        for row in shared[: _COLUMNS * _ROWS]
    ]
    rows = [cells[start : start + _COLUMNS] for start in range(0, len(cells), _COLUMNS)]
    some = f"the first {len(cells)} of {len(shared):,}" if len(shared) > len(cells) else f"{len(shared)}"
    heading = f"{some} misread by all, read by {', '.join(names)}"
    return charts.digits_chart(title, [""] * len(rows), [charts.Block(heading, rows)])
