"""One run: recipe and digits in, events out, files under out/."""

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mnistctl import __version__, checkpoint, compute, datasets, describe, figures, files, models
from mnistctl.data import Digits
from mnistctl.errors import CheckpointError, UsageError
from mnistctl.events import Averaged, Epoch, Finished, Mismatches, Progress, Saved, Score, Started
from mnistctl.supervised import Recipe, Training, fit, judge, mismatches

RECORD = 1  # the version of NAME.json's layout

Event = Started | Progress | Epoch | Averaged | Mismatches | Saved | Finished


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may ask of a run; None stands for what the recipe or the machine says."""

    model: str
    data_dir: Path
    out_dir: Path
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    precision: str = "float32"
    dataset: str = "mnist"
    name: str | None = None
    overwrite: bool = False

    @property
    def stem(self) -> str:
        """The name of the run's files under out/, less their endings."""
        default = self.model if self.dataset == "mnist" else f"{self.model}-{self.dataset}"
        return default if self.name is None else self.name


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


def train(options: Options) -> Iterator[Event]:
    """Train a net as `options` ask, tell it as it goes, and leave its files under `options.out_dir`.

    Raises:
        UsageError: a bad number, an unknown model or device, or a name that another run has taken.
        DataError: the digits are missing or damaged.
        DivergedError: the loss is no longer finite; nothing is written.
        OutputError, OSError: a file cannot be written; the first before the training.
    """
    began = time.perf_counter()
    recipe = _recipe(options)
    stem = _stem(options)
    device, threads = compute.device(options.device), compute.set_threads(options.threads)
    compute.precision(options.precision, device)
    compute.repeatable()
    compute.keep_memory()
    arrays, checksums = datasets.load(options.dataset, options.data_dir, "train")
    held_out, more = datasets.load(options.dataset, options.data_dir, "test")
    if recipe.batch > len(arrays.labels):
        raise UsageError(
            f"--batch {recipe.batch}: {options.dataset} has {len(arrays.labels)} training digits"
        )
    run = {
        "model": options.model,
        "recipe": describe.recipe(recipe),
        "seed": options.seed,
        "device": str(device),
        "threads": threads,
        "precision": options.precision,
        "dataset": {"name": options.dataset, "sha256": checksums | more},
        "versions": {"mnistctl": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    files.ready(options.out_dir)
    standing = None if options.overwrite else _standing(stem, run)
    if standing is not None:
        yield Finished(standing["accuracy"], standing["seconds"], already=True)
        return

    training = Training(recipe, options.seed, device, precision=options.precision)
    trained, tested = Digits.of(arrays, device), Digits.of(held_out, device)
    del arrays  # a copy of 47 MB, which no one reads again
    parameters = sum(p.numel() for p in training.net.parameters())
    yield Started(
        model=options.model,
        parameters=parameters,
        epochs=recipe.epochs,
        batch=recipe.batch,
        iterations=-(-len(trained) // recipe.batch),
        device=str(device),
        threads=threads,
        precision=options.precision,
        seed=options.seed,
        dataset=options.dataset,
        digits=len(trained),
    )
    epochs: list[Epoch] = []
    averages: list[Averaged] = []
    for event in fit(training, recipe, trained, tested):
        if isinstance(event, Epoch):
            epochs.append(event)
        elif isinstance(event, Averaged):
            averages.append(event)
        yield event
    score, outputs = judge(training.result, tested)
    missed = mismatches(outputs, tested)
    yield missed

    weights = training.result.state_dict()
    seconds = time.perf_counter() - began
    record = {
        "version": RECORD,
        "command": _command(options),
        **run,
        "parameters": parameters,
        "seconds": seconds,
        "training_seconds": sum(e.seconds for e in epochs) + sum(a.seconds for a in averages),
        "losses": [e.loss for e in epochs],
        "test_losses": [e.test_loss for e in epochs],
        "accuracies": [e.accuracy for e in epochs],
        **({"averages": [asdict(a) for a in averages]} if averages else {}),
        "accuracy": score.accuracy,
        "mismatches": _listed(missed),
        "digest": checkpoint.digest(weights),
        "machine": compute.machine(),
    }
    picture = figures.mismatch_grid(*_pictured(held_out, missed))
    # The record comes last: it is what makes the run a finished one.
    checkpoint.save(_beside(stem, "safetensors"), options.model, weights)
    lines = [asdict(e) for e in epochs] + [{"event": "averaged"} | asdict(a) for a in averages]
    files.write(_beside(stem, "jsonl"), "".join(json.dumps(told) + "\n" for told in lines))
    figures.write_png(_beside(stem, "png"), picture)
    files.write(_beside(stem, "json"), json.dumps(record, indent=1) + "\n")
    for ending in ("safetensors", "jsonl", "png", "json"):
        yield Saved(str(_beside(stem, ending)))
    yield Finished(score.accuracy, seconds)


def locate(net: str, out_dir: Path) -> Path:
    """The checkpoint called `net`: a run's name under `out_dir`, else a path.

    Raises:
        CheckpointError: there is none.
    """
    named = _beside(out_dir / net, "safetensors")
    if Path(net).name == net and named.exists():
        return named
    path = Path(net)
    if path.is_file():
        return path
    made = sorted(p.stem for p in out_dir.glob("*.safetensors"))
    there = f"there: {', '.join(made)}" if made else "no net is there yet"
    raise CheckpointError(f"{net}: no such net in {out_dir} ({there}); make one with `mnistctl train`")


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
) -> Evaluation:
    """Judge the net in the checkpoint at `path`, which `locate` finds by a run's name.

    Writes the grid of mismatches under `out_dir` (its path is in the result's `saved`), and to
    `predictions`, where given, a CSV of index, label, predicted digit and the ten logits.

    Raises:
        CheckpointError: no such checkpoint, or not one that can be judged.
        DataError, UsageError, OSError: as `train`.
    """
    where = compute.device(device)
    compute.set_threads(threads)
    model, weights = checkpoint.load(path)
    judged = _net(path, model, weights).to(where)
    arrays, _ = datasets.load(dataset, data_dir, split)
    digits = Digits.of(arrays, where)
    score, outputs = judge(judged, digits)
    missed = mismatches(outputs, digits)
    predicted = outputs.argmax(1).cpu().numpy()
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (arrays.labels, predicted), 1)

    grid = out_dir / f"{path.stem}-eval-{dataset}-{split}.png"
    figures.write_png(grid, figures.mismatch_grid(*_pictured(arrays, missed)))
    saved = [Saved(str(grid))]
    if predictions is not None:
        header = ",".join(["index", "label", "predicted", *(f"logit{d}" for d in range(10))])
        rows = zip(arrays.labels, predicted, outputs.cpu().tolist(), strict=True)
        lines = (f"{i},{y},{p},{','.join(f'{v:.6g}' for v in row)}" for i, (y, p, row) in enumerate(rows))
        files.write(predictions, "\n".join([header, *lines]) + "\n")
        saved.append(Saved(str(predictions)))
    return Evaluation(
        model=model,
        digest=checkpoint.digest(weights),
        dataset=dataset,
        split=split,
        digits=len(digits),
        score=score,
        confusion=confusion.tolist(),
        mismatches=missed,
        saved=tuple(saved),
    )


def _command(options: Options) -> str:
    """What repeats the run, wherever its folders were."""
    words = [f"mnistctl train {options.model}"]
    for field in fields(Options):
        value = getattr(options, field.name)
        if field.name not in ("model", "data_dir", "out_dir", "overwrite") and value != field.default:
            words.append(f"--{field.name} {shlex.quote(str(value))}")
    return " ".join(words)


def _recipe(options: Options) -> Recipe:
    recipe = models.load(options.model)
    for flag, value, least in (
        ("--epochs", options.epochs, 1),
        ("--batch", options.batch, 1),
        ("--seed", options.seed, 0),
    ):
        if value is not None and not least <= value < 2**63:
            raise UsageError(f"{flag} {value}: give {least} or more")
    if options.rate is not None and not 0 < options.rate < float("inf"):
        raise UsageError(f"--rate {options.rate:g}: give a number above 0")
    return replace(
        recipe,
        epochs=recipe.epochs if options.epochs is None else options.epochs,
        batch=recipe.batch if options.batch is None else options.batch,
        peak=recipe.peak if options.rate is None else options.rate,
    )


def _stem(options: Options) -> Path:
    stem = options.stem
    if not stem or stem.startswith(".") or Path(stem).name != stem:
        raise UsageError(f"--name {stem!r}: give a plain file name, without folders or a leading dot")
    return options.out_dir / stem


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}.{ending}")  # a name may hold dots, which with_suffix would cut


def _standing(stem: Path, run: dict[str, Any]) -> dict[str, Any] | None:
    """The record of this very run if it stands finished; a different one under its name is a UsageError."""
    path = _beside(stem, "json")
    free = "give --overwrite, or another --name or --out-dir"
    try:
        record = json.loads(path.read_bytes())
        there = (
            f"{record['model']}, {record['recipe']['epochs']} epochs, seed {record['seed']}, "
            f"{record['accuracy']:.2f} %"
        )
        same = all(record[key] == value for key, value in run.items())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: taken by something that is not a record of a run; {free}") from None
    if not same:
        raise UsageError(f"{path}: taken by a different run ({there}); {free}")
    return dict(record)


def _net(path: Path, model: str, weights: dict[str, torch.Tensor]) -> nn.Module:
    try:
        net = models.load(model).net()
        net.load_state_dict(weights)
    except UsageError:
        raise CheckpointError(f"{path}: of the model {model!r}, which this version does not know") from None
    except RuntimeError:
        raise CheckpointError(f"{path}: its weights do not fit the net {model!r}") from None
    return net


def _pictured(arrays: datasets.Arrays, missed: Mismatches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    indices = np.array(missed.indices, dtype=np.int64)
    return (
        arrays.images[indices],
        np.array(missed.true, dtype=np.int64),
        np.array(missed.predicted, dtype=np.int64),
    )


def _listed(missed: Mismatches) -> list[dict[str, int]]:
    rows = zip(missed.indices, missed.true, missed.predicted, strict=True)
    return [{"index": i, "true": t, "predicted": p} for i, t, p in rows]
