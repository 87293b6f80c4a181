"""Generate images with a trained generator: a grid, an animation, or a data set to train on."""

from dataclasses import dataclass, field
from pathlib import Path

from mnistctl.artifacts import files, grids
from mnistctl.artifacts.grids import ImageArray
from mnistctl.artifacts.outputs import IDX, Output, check_outputs
from mnistctl.data import datasets, idx
from mnistctl.errors import UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import classify_images
from mnistctl.inference.load import Recipes
from mnistctl.inference.sampling import MAX_SAMPLES, Samples, TrainedGenerator, count_frames
from mnistctl.nn.device import get_device
from mnistctl.schema import IN_MEMORY, Schema

_MAX_CELLS = 10_000  # images in a grid
_DATASET_SIZE = 72_000  # of which 60,000 are for training
_TRAIN_SHARE = 5 / 6  # of the images of a data set
_FRAME_SECONDS = 0.08
_MAX_NAME_BYTES, _MAX_DIGITS_BYTES = 180, 40  # in the default name of a picture


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """What to generate with the generator in the checkpoint at `path`.

    Args:
        path: the checkpoint.
        count: number of images.
        seed: seed of the noise.
        digits: the requested digits, repeated as often as needed.
        each: number of images of each digit, in place of `count`.
        rows: rows of a grid.
        columns: columns of a grid.
        scale: how many times each pixel of a grid is repeated, in both directions.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: number of CPU threads.
        recipes: the recipe files that may be executed to make the nets.
    """

    path: Path
    count: int | None = None
    seed: int = 0
    digits: tuple[int, ...] | None = None
    each: int | None = None
    rows: int | None = None
    columns: int | None = None
    scale: int = 1
    device: str = "auto"
    threads: int | None = None
    recipes: Recipes = load.NO_RECIPES

    def load_generator(self) -> TrainedGenerator:
        """The generator, after a check of the options.

        Raises:
            UsageError: a number is below 1, or options exclude each other.
            CheckpointError: the checkpoint is missing, damaged, or not a generator's.
        """
        for name in ("count", "each", "rows", "columns"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError("give 1 or more", field=name, value=value)
        grids.check_scale(self.scale)
        if self.each is not None and self.count is not None:
            raise UsageError("cannot be combined with a number of images", field="each", value=self.each)
        generator = TrainedGenerator.load(self.path, self.device, self.threads, self.recipes)
        if self.each is not None:
            generator.require_conditional()
        return generator

    def default_name(self, *, morph: bool) -> str:
        """The default name of the picture without its ending: `cgan-generated-2026`, with all that is set."""
        words = [self.path.stem, "morph" if morph else "generated"]
        if self.digits is not None:
            words.append(files.shorten("".join(map(str, self.digits)), _MAX_DIGITS_BYTES))
        for label, value in (
            ("n", self.count),
            ("each", self.each),
            ("rows", self.rows),
            ("columns", self.columns),
            ("seed", self.seed or None),
        ):
            words += [] if value is None else [f"{label}{value}"]
        return files.shorten("-".join(words), _MAX_NAME_BYTES)

    def total(self) -> int | None:
        """The number of images, if the options set it."""
        return self.count if self.each is None else self.each * len(self.digits or range(10))

    def dataset_size(self) -> int:
        """The number of images of a data set, by default 72,000.

        Raises:
            UsageError: they are too few for two splits, or too many.
        """
        count = self.total()
        if count is None:
            return _DATASET_SIZE
        if not 2 <= count <= MAX_SAMPLES:
            message = f"a data set has 2 to {MAX_SAMPLES:,} images, and this would have {count:,}"
            raise self._wrong_count(message)
        return count

    def _wrong_count(self, message: str) -> UsageError:
        """The error that the number of images is wrong, at the option that says how many."""
        for name in ("each", "count", "rows", "columns"):
            if (value := getattr(self, name)) is not None:
                return UsageError(message, field=name, value=value)
        return UsageError(message, field="digits")  # there are as many as these

    def layout(self, default_rows: int, default_columns: int) -> tuple[int, int]:
        """The number of images in a grid, and the number of columns.

        Raises:
            UsageError: there are more images than cells, or more than a grid can hold.
        """
        count, columns = self.total(), self.columns
        if columns is None:
            columns = default_columns if count is None or self.rows is None else -(-count // self.rows)
        if count is None:
            count = columns * (self.rows or default_rows)
        elif self.rows is not None and count > self.rows * columns:
            cells = f"{self.rows} rows of {columns} have {self.rows * columns} cells"
            raise self._wrong_count(cells)
        if count > _MAX_CELLS:
            raise self._wrong_count(
                f"a grid has at most {_MAX_CELLS:,} images, and this would have {count:,}"
            )
        return count, min(columns, count)


@dataclass(frozen=True, kw_only=True)
class GenerationResult(Schema):
    """What was generated, and the files that were written.

    `count` is the number of images, in an animation that of each frame. `digits` are the requested digits, if
    there are any. `samples`, the images, stays out of the JSON; it is None for an animation.
    """

    model: str
    digest: str
    seed: int
    count: int
    digits: list[int] | None
    paths: tuple[Path, ...]
    samples: Samples | None = field(repr=False, compare=False, metadata=IN_MEMORY)


def generate_grid(options: GenerateOptions, out: Path | None) -> GenerationResult:
    """Generate images, by default ten rows, and write them to `out` as one PNG file, if it is not None.

    Raises:
        UsageError: an option is out of range, or digits are requested from an unconditional generator.
        CheckpointError: the checkpoint is missing, damaged, or not a generator's.
        OutputError: `out` cannot be written.
    """
    generator = options.load_generator()
    columns = len(options.digits) if options.digits else 10 if generator.conditional else 6
    count, columns = options.layout(1 if options.digits else 10, columns)
    if out is not None:
        grids.check_size(count, columns, options.scale)
    samples = generator.draw(count, options.seed, options.digits)
    if out is not None:
        grids.write_png(out, grids.enlarge(grids.make_grid(samples.images, columns), options.scale))
    return _result(generator, options, count, samples, () if out is None else (out,))


def generate_animation(options: GenerateOptions, out: Path) -> GenerationResult:
    """Write an animation of images that change into each other to `out` as a GIF file.

    It has three rows of six images by default.

    Raises:
        UsageError, CheckpointError, OutputError: as `generate_grid`.
    """
    generator = options.load_generator()
    count, columns = options.layout(3, 6)
    grids.check_size(count, columns, options.scale, frames=count_frames(options.digits))
    frames = generator.morph(count, options.seed, options.digits)
    pictures = [grids.enlarge(grids.make_grid(frame, columns), options.scale) for frame in frames]
    grids.write_gif(out, pictures, seconds=_FRAME_SECONDS)
    return _result(generator, options, count, None, (out,))


def generate_dataset(
    options: GenerateOptions, folder: Path, *, classifier: str | None = None, out_dir: Path = Path("out")
) -> GenerationResult:
    """Write images to `folder` as a data set of IDX files, by default 72,000.

    The labels are the requested digits. For an unconditional generator they are the predictions of a
    classifier.

    Args:
        options: what to generate.
        folder: the folder of the files.
        classifier: name or path of the trained classifier; None for the run conv.
        out_dir: the folder of runs.

    Raises:
        UsageError, CheckpointError, OutputError: as `generate_grid`; or `folder` has a data set already, or
            a classifier is given for a conditional generator.
    """
    _check_dataset_outputs(folder)
    generator, count = options.load_generator(), options.dataset_size()
    if not generator.conditional:
        path = load.find_reference_classifier(classifier, out_dir)
        _, net = load.load_classifier(path, options.recipes)
    elif classifier is not None:
        message = f"the images of {generator.model} are labelled by the requested digits; leave it out"
        raise UsageError(message, field="reference_classifier", value=classifier)
    samples = generator.draw(count, options.seed, options.digits)
    labels = samples.digits
    if labels is None:
        labels = classify_images(net.to(get_device(options.device)), samples.images)
    paths = write_dataset(folder, samples.images, labels)
    return _result(generator, options, len(samples.images), samples, tuple(paths))


def write_dataset(folder: Path, images: ImageArray, labels: ImageArray) -> list[Path]:
    """Write images [N, 28, 28] and labels [N] as the four IDX files of a data set.

    Five in six images are the train split, the others, at least one, the test split.

    Raises:
        UsageError: there are too few images, or `folder` has a data set already.
        OutputError: a file cannot be written.
    """
    train_count = min(round(_TRAIN_SHARE * len(images)), len(images) - 1)
    if train_count < 1:
        raise UsageError("too few for a data set; give 2 or more", field="count", value=len(images))
    paths = []
    for file in datasets.new_own_files(folder, "idx"):
        chosen = slice(train_count) if file.split == "train" else slice(train_count, None)
        path = folder / file.name
        files.write(path, idx.dump((images if file.kind == "images" else labels)[chosen]))
        paths.append(path)
    return paths


def _check_dataset_outputs(folder: Path) -> None:
    """Check that the files of a data set can be written to `folder`.

    Raises:
        UsageError, OutputError: as `generate_dataset`.
    """
    if files.is_stdout(folder):
        raise UsageError("four files need a folder; stdout is none", field="idx", value=folder)
    check_outputs([Output(folder / file.name, IDX, "idx") for file in datasets.new_own_files(folder, "idx")])


def _result(
    generator: TrainedGenerator,
    options: GenerateOptions,
    count: int,
    samples: Samples | None,
    paths: tuple[Path, ...],
) -> GenerationResult:
    digits = None if samples is None or samples.digits is None else samples.digits.tolist()
    return GenerationResult(
        model=generator.model,
        digest=generator.digest,
        seed=options.seed,
        count=count,
        digits=digits,
        paths=paths,
        samples=samples,
    )
