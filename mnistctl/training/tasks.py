"""What a run trains, a classifier or a generator: what it tells on its way, keeps, and leaves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mnistctl.artifacts import checkpoint, files
from mnistctl.artifacts.files import Saved
from mnistctl.artifacts.grids import ImageArray, make_grid, write_gif, write_png
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.evaluation.figures import mismatch_figure
from mnistctl.evaluation.metrics import Mismatches, compute_score, find_mismatches
from mnistctl.inference.forward import generate_images
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe
from mnistctl.training import classifier, gan
from mnistctl.training.events import AveragedWeights, Epoch, GanEpoch, Progress
from mnistctl.training.outputs import grid_paths

TaskEvent = Progress | Epoch | AveragedWeights | GanEpoch | Mismatches | Saved


@dataclass(frozen=True)
class TrainingContext:
    """All that a run is made of before it has taken a step."""

    stem: Path
    model: str
    recipe: ClassifierRecipe | GanRecipe
    seed: int
    precision: str
    device: torch.device
    train: datasets.Arrays
    test: datasets.Arrays

    def task(self) -> "Task":
        """What is to be done, ready for its first step."""
        if isinstance(self.recipe, GanRecipe):
            return GanTask(self, self.recipe)
        return ClassifierTask(self, self.recipe)


class Task(Protocol):
    """What a run does with the nets that it trains."""

    parameters: int
    iterations: int  # in an epoch
    accuracy: float | None  # of what was trained, in percent, once it is judged

    @property
    def epoch(self) -> int:
        """The number of epochs behind it."""

    def state(self) -> dict[str, Tensor]:
        """All that it needs to go on, as named tensors that it shares: copy them to keep them."""

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave. ValueError: it is the state of something else."""

    def fit(self) -> Iterator[TaskEvent]:
        """Train to the recipe's end."""

    def conclude(self) -> Iterator[TaskEvent]:
        """Judge what was trained."""

    def result(self, rows: list[Any]) -> dict[str, Any]:
        """What came of it, for the record; `rows` are what was told of its epochs."""

    def leave(self, rows: list[Any]) -> None:
        """Write the files of the run, but for its record."""


class ClassifierTask:
    """A net that reads digits, scored after every epoch and at the end."""

    def __init__(self, setting: TrainingContext, recipe: ClassifierRecipe) -> None:
        self._setting, self._recipe = setting, recipe
        self._training = classifier.ClassifierTraining(
            recipe, setting.seed, setting.device, precision=setting.precision
        )
        self._train, self._test = (
            Digits.of(split, setting.device) for split in (setting.train, setting.test)
        )
        self._averages: list[AveragedWeights] = []
        self.accuracy: float | None = None
        self.parameters = sum(p.numel() for p in self._training.params)
        self.iterations = -(-len(self._train) // recipe.batch_size)
        self.state, self.restore = self._training.state, self._training.restore

    @property
    def epoch(self) -> int:
        return self._training.epoch

    def fit(self) -> Iterator[Progress | Epoch | AveragedWeights]:
        for event in classifier.fit(self._training, self._recipe, self._train, self._test):
            if isinstance(event, AveragedWeights):
                self._averages.append(event)
            yield event

    def conclude(self) -> Iterator[Mismatches]:
        score, outputs = compute_score(self._training.final_net, self._test)
        self.accuracy = score.accuracy
        self._missed = find_mismatches(outputs, self._test)
        yield self._missed

    def result(self, rows: list[Epoch]) -> dict[str, Any]:
        missed = zip(self._missed.indices, self._missed.true, self._missed.predicted, strict=True)
        return {
            "losses": [row.loss for row in rows],
            "test_losses": [row.test_loss for row in rows],
            "accuracies": [row.accuracy for row in rows],
            **({"averages": [asdict(a) for a in self._averages]} if self._averages else {}),
            "accuracy": self.accuracy,
            "mismatches": [{"index": i, "true": t, "predicted": p} for i, t, p in missed],
            "digest": checkpoint.digest(self._training.final_net.state_dict()),
            "state_digest": checkpoint.digest(self._training.state()),
        }

    def leave(self, rows: list[Epoch]) -> None:
        stem = self._setting.stem
        weights = self._training.final_net.state_dict()
        checkpoint.save(
            files.with_ending(stem, "safetensors"), checkpoint.NET, {"model": self._setting.model}, weights
        )
        averages = [{"event": "averaged"} | asdict(average) for average in self._averages]
        _write_lines(stem, [asdict(row) for row in rows] + averages)
        write_png(files.with_ending(stem, "png"), mismatch_figure(self._setting.test, self._missed))


class GanTask:
    """A net that draws digits, a grid of them after every epoch, and its discriminator."""

    def __init__(self, setting: TrainingContext, recipe: GanRecipe) -> None:
        self._setting, self._recipe = setting, recipe
        self._training = gan.GanTraining(recipe, setting.seed, setting.device, precision=setting.precision)
        self._train = Digits.of(setting.train, setting.device)
        self._fixed = gan.fixed_inputs(recipe, setting.seed)
        self._columns = 10 if recipe.conditional else 6
        black = np.zeros((len(self._fixed[0]), 28, 28), np.uint8)
        self._size = make_grid(black, self._columns).shape
        self._grids: list[ImageArray] = []
        self.accuracy: float | None = None
        self.parameters = sum(p.numel() for p in self._training.g_params + self._training.d_params)
        self.iterations = len(self._train) // recipe.batch_size

    @property
    def epoch(self) -> int:
        return self._training.epoch

    def state(self) -> dict[str, Tensor]:
        grids = {f"{place:04d}": torch.from_numpy(grid) for place, grid in enumerate(self._grids, start=1)}
        return self._training.state() | {f"grids.{place}": grid for place, grid in grids.items()}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        names = sorted(name for name in kept if name.startswith("grids."))
        self._training.restore({name: tensor for name, tensor in kept.items() if name not in names})
        self._grids = [kept[name].numpy() for name in names]
        expected = [(self._size, np.dtype(np.uint8))] * self.epoch
        if [(grid.shape, grid.dtype) for grid in self._grids] != expected:
            raise ValueError("not the state of this run: its grids are not one an epoch")

    def fit(self) -> Iterator[Progress | GanEpoch | Saved]:
        grids = grid_paths(self._setting.stem, self._recipe.epochs)
        for event in gan.fit(self._training, self._recipe, self._train):
            if isinstance(event, GanEpoch):
                pictures = generate_images(self._training.generator, *self._fixed).numpy()
                self._grids.append(make_grid(pictures, self._columns))
                write_png(grids[event.epoch - 1], self._grids[-1])
            yield event

    def conclude(self) -> Iterator[TaskEvent]:
        yield from ()  # `eval` judges it, by a classifier

    def result(self, rows: list[GanEpoch]) -> dict[str, Any]:
        return {
            "discriminator_losses": [row.discriminator for row in rows],
            "generator_losses": [row.generator for row in rows],
            "digest": checkpoint.digest(self._training.net_state()),
            "state_digest": checkpoint.digest(self._training.state()),
        }

    def leave(self, rows: list[GanEpoch]) -> None:
        stem = self._setting.stem
        about = {"model": self._setting.model}
        checkpoint.save(files.with_ending(stem, "safetensors"), checkpoint.NET, about, self._training.net_state())
        _write_lines(stem, [asdict(row) for row in rows])
        for path, grid in zip(grid_paths(stem, self._recipe.epochs), self._grids, strict=True):
            write_png(path, grid)  # those of an earlier sitting may have gone since
        write_gif(files.with_ending(stem, "gif"), self._grids, seconds=1.0)


def _write_lines(stem: Path, rows: list[dict[str, Any]]) -> None:
    files.write(files.with_ending(stem, "jsonl"), "".join(json.dumps(row) + "\n" for row in rows))
