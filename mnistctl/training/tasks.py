"""What a run trains: a classifier or a GAN. A task has the nets, and knows its results and its files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mnistctl.artifacts import checkpoint, files
from mnistctl.artifacts.charts import LearningCurves, curves_chart, losses_chart
from mnistctl.artifacts.files import Saved, Warned
from mnistctl.artifacts.grids import ImageArray, make_grid, with_caption, write_gif, write_png
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.data.training_set import TrainingSet, describe_training_set
from mnistctl.errors import UsageError
from mnistctl.evaluation.figures import mismatch_figure
from mnistctl.evaluation.metrics import Mismatches, compute_score, find_mismatches
from mnistctl.inference.forward import generate_images
from mnistctl.inference.load import NetHeader
from mnistctl.models.recipe import ClassifierRecipe, GanRecipe
from mnistctl.models.sources import Model
from mnistctl.training import classifier, gan
from mnistctl.training.checkpoints import RunProgress
from mnistctl.training.events import AveragedWeights, Epoch, GanEpoch, Progress, Scored
from mnistctl.training.outputs import curves_path, grid_paths, write_log
from mnistctl.training.record import Mismatch, RunMetrics, RunSettings
from mnistctl.training.warnings import check_data

_GRID_HEADER_BYTES = 200  # of a picture's tensor in the header of a checkpoint, at most
TaskEvent = Progress | Epoch | AveragedWeights | GanEpoch | Mismatches | Saved


@dataclass(frozen=True)
class TrainingContext:
    """What a task needs.

    Args:
        run_path: path of the run's files without their endings.
        model: the model.
        recipe: the recipe that the options gave.
        settings: what identifies the run.
        device: where to train.
        train: the training images and labels.
        scored: the images and labels to score: the test split, or held-out digits.
        initial_weights: the weights to start from, by name; None for random ones.
    """

    run_path: Path
    model: Model
    recipe: ClassifierRecipe | GanRecipe
    settings: RunSettings
    device: torch.device
    train: datasets.Arrays
    scored: datasets.Arrays
    initial_weights: Mapping[str, Tensor] | None

    @property
    def split(self) -> Scored:
        """What the scored digits are."""
        return "test" if self.settings.holdout is None else "validation"

    def net_header(self, training_set: TrainingSet | None = None) -> dict[str, object]:
        """What the checkpoint of the final weights holds besides them, to make the net again."""
        header = NetHeader(
            model=self.model.name,
            generator=isinstance(self.recipe, GanRecipe),
            origin=self.model.origin,
            training_set=training_set,
        )
        return header.to_json()

    def make_task(self) -> "Task":
        """The task, before its first step.

        Raises:
            CheckpointError: the initial weights do not fit the nets.
        """
        if isinstance(self.recipe, GanRecipe):
            return GanTask(self, self.recipe)
        return ClassifierTask(self, self.recipe)


class Task(Protocol):
    """What `run.execute` does with the nets of a run, in this order: fit, evaluate, save_outputs, metrics.

    Attributes:
        parameters: number of parameters of all nets.
        iterations: optimizer steps per epoch.
    """

    parameters: int
    iterations: int

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""

    def state(self) -> dict[str, Tensor]:
        """All that is needed to resume, as named tensors. They share memory with the task."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`, from this or another process.

        Raises:
            ValueError: it is the state of another run.
        """

    def check_data(self) -> Sequence[Warned]:
        """Warnings about the digits."""

    def fit(self) -> Iterator[TaskEvent]:
        """Train from the epoch after the finished ones to the recipe's last one."""

    def evaluate(self) -> Iterator[TaskEvent]:
        """Evaluate the final weights."""

    def metrics(self, progress: RunProgress) -> RunMetrics:
        """The results for the record, once the final weights were evaluated."""

    def save_outputs(self, progress: RunProgress) -> None:
        """Write the files of the run, except for its record.

        Raises:
            OutputError: a file cannot be written.
        """


class ClassifierTask:
    """Train a classifier, score it after every epoch, and list its errors at the end."""

    def __init__(self, context: TrainingContext, recipe: ClassifierRecipe) -> None:
        self._context = context
        self._training = classifier.ClassifierTraining(
            recipe,
            context.settings.seed,
            context.device,
            precision=context.settings.precision,
            initial_weights=context.initial_weights,
        )
        self._train, self._scored = (
            Digits.of(split, context.device) for split in (context.train, context.scored)
        )
        self._swa: list[AveragedWeights] = []
        self.parameters = sum(p.numel() for p in self._training.params)
        self.iterations = -(-len(self._train) // recipe.batch_size)
        self.state, self.restore = self._training.state, self._training.restore

    @property
    def epoch(self) -> int:
        return self._training.epoch

    @cached_property
    def training_set(self) -> TrainingSet:
        """What the checkpoint keeps about the training digits."""
        settings = self._context.settings
        return describe_training_set(self._context.train, settings.dataset.name, settings.holdout)

    def check_data(self) -> Sequence[Warned]:
        context, recipe = self._context, self._training.recipe
        return check_data(self.training_set, context.train, context.scored, shuffle=recipe.shuffle)

    def fit(self) -> Iterator[Progress | Epoch | AveragedWeights]:
        split = self._context.split
        for event in classifier.fit(self._training, self._train, self._scored, split=split):
            if isinstance(event, AveragedWeights):
                self._swa.append(event)
            yield event

    def evaluate(self) -> Iterator[Mismatches]:
        training = self._training
        score, logits = training.final_score or compute_score(training.final_net, self._scored)
        self._accuracy = score.accuracy
        self._mismatches = find_mismatches(logits, self._scored)
        yield self._mismatches

    def metrics(self, progress: RunProgress) -> RunMetrics:
        errors = self._mismatches
        rows = zip(errors.indices, errors.true, errors.predicted, strict=True)
        scored_losses = {f"{self._context.split}_losses": tuple(e.scored_loss for e in progress.epochs)}
        return RunMetrics(
            **scored_losses,
            losses=tuple(epoch.loss for epoch in progress.epochs),
            accuracies=tuple(epoch.accuracy for epoch in progress.epochs),
            swa=tuple(self._swa) or None,
            accuracy=self._accuracy,
            mismatches=tuple(Mismatch(index=i, true=t, predicted=p) for i, t, p in rows),
            training_digits=self.training_set.style,
            digest=checkpoint.digest(self._training.final_net.state_dict()),
            state_digest=checkpoint.digest(self._training.state()),
        )

    def save_outputs(self, progress: RunProgress) -> None:
        run_path = self._context.run_path
        header = self._context.net_header(self.training_set)
        weights = self._training.final_net.state_dict()
        checkpoint.save(files.with_ending(run_path, "safetensors"), checkpoint.NET, header, weights)
        write_log(files.with_ending(run_path, "jsonl"), [*progress.epochs, *self._swa])
        split = self._context.split
        title = f"{run_path.name}, {split} images"
        figure = mismatch_figure(title, self._context.scored, self._mismatches)
        figure.write(files.with_ending(run_path, "png"))
        averages = [(average.first, average.last, average.accuracy) for average in self._swa]
        curves = LearningCurves(
            [epoch.loss for epoch in progress.epochs],
            [epoch.scored_loss for epoch in progress.epochs],
            [epoch.accuracy for epoch in progress.epochs],
            [epoch.lr for epoch in progress.epochs],
            averages[-1] if averages else None,
            split,
        )
        curves_chart(f"{run_path.name}: learning curves", curves).write(curves_path(run_path))


def _grid_name(epoch: int) -> str:
    """The name of the tensor with the picture of an epoch."""
    return f"grids.{epoch:04d}"


class GanTask:
    """Train a generator against a discriminator, and draw a grid of generated images after every epoch."""

    def __init__(self, context: TrainingContext, recipe: GanRecipe) -> None:
        self._context = context
        self._training = gan.GanTraining(
            recipe,
            context.settings.seed,
            context.device,
            precision=context.settings.precision,
            initial_weights=context.initial_weights,
        )
        self._train = Digits.of(context.train, context.device)
        self._fixed_inputs = gan.fixed_inputs(recipe, context.settings.seed)
        self._columns = 10 if recipe.conditional else 6
        black = np.zeros((len(self._fixed_inputs[0]), 28, 28), np.uint8)
        self._grid_shape = make_grid(black, self._columns).shape
        self._grids: list[ImageArray] = []
        limit = checkpoint.MAX_BYTES * 7 // 8 // (math.prod(self._grid_shape) + _GRID_HEADER_BYTES)
        if recipe.epochs > limit:
            message = f"the pictures of more than {limit:,} epochs do not fit a checkpoint"
            raise UsageError(message, field="epochs", value=recipe.epochs)
        self.parameters = sum(p.numel() for p in self._training.g_params + self._training.d_params)
        self.iterations = len(self._train) // recipe.batch_size

    @property
    def epoch(self) -> int:
        return self._training.epoch

    def state(self) -> dict[str, Tensor]:
        grids = {_grid_name(epoch): torch.from_numpy(grid) for epoch, grid in enumerate(self._grids, 1)}
        return self._training.state() | grids

    def restore(self, state: Mapping[str, Tensor]) -> None:
        count = sum(name.startswith("grids.") for name in state)
        names = [_grid_name(epoch) for epoch in range(1, count + 1)]
        if not state.keys() >= set(names):
            raise ValueError("not the state of this run: its grids are not numbered 1, 2, 3 and so on")
        self._training.restore({name: tensor for name, tensor in state.items() if name not in names})
        self._grids = [state[name].numpy() for name in names]
        expected = [(self._grid_shape, np.dtype(np.uint8))] * self.epoch
        if [(grid.shape, grid.dtype) for grid in self._grids] != expected:
            raise ValueError("not the state of this run: it must have one grid per epoch")

    def check_data(self) -> Sequence[Warned]:
        return ()  # they are shuffled, and no digits are scored

    def fit(self) -> Iterator[Progress | GanEpoch]:
        paths = grid_paths(self._context.run_path, self._training.recipe.epochs)
        for event in gan.fit(self._training, self._train):
            if isinstance(event, GanEpoch):
                images = generate_images(self._training.generator, *self._fixed_inputs).numpy()
                self._grids.append(make_grid(images, self._columns))
                write_png(paths[event.epoch - 1], self._grids[-1])
            yield event

    def evaluate(self) -> Iterator[TaskEvent]:
        yield from ()  # `eval` does it, since it takes a classifier

    def metrics(self, progress: RunProgress) -> RunMetrics:
        return RunMetrics(
            discriminator_losses=tuple(epoch.discriminator_loss for epoch in progress.gan_epochs),
            generator_losses=tuple(epoch.generator_loss for epoch in progress.gan_epochs),
            digest=checkpoint.digest(self._training.net_state()),
            state_digest=checkpoint.digest(self._training.state()),
        )

    def save_outputs(self, progress: RunProgress) -> None:
        run_path = self._context.run_path
        header = self._context.net_header()
        weights = self._training.net_state()
        checkpoint.save(files.with_ending(run_path, "safetensors"), checkpoint.NET, header, weights)
        write_log(files.with_ending(run_path, "jsonl"), progress.gan_epochs)
        for path, grid in zip(grid_paths(run_path, self._training.recipe.epochs), self._grids, strict=True):
            write_png(path, grid)  # those of earlier sessions may have been deleted since
        frames = [with_caption(grid, f"epoch {epoch}") for epoch, grid in enumerate(self._grids, 1)]
        write_gif(files.with_ending(run_path, "gif"), frames, seconds=1.0)
        losses = {
            "discriminator": [epoch.discriminator_loss for epoch in progress.gan_epochs],
            "generator": [epoch.generator_loss for epoch in progress.gan_epochs],
        }
        losses_chart(f"{run_path.name}: learning curves", losses).write(curves_path(run_path))
