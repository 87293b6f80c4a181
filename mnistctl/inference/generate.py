"""Digits drawn by a trained generator: as pictures, as an animation, as a data set to train on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnistctl.artifacts import files, grids
from mnistctl.artifacts.files import Saved
from mnistctl.artifacts.grids import ImageArray
from mnistctl.data import datasets, idx
from mnistctl.errors import UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import classify_images
from mnistctl.inference.sampling import Samples, TrainedGenerator
from mnistctl.nn.device import get_device

_MAX_CELLS = 10_000
_DEFAULT_DATASET_SIZE = 72_000  # 60,000 of them to train on
_FRAME_SECONDS = 0.08  # seconds
_TRAIN_SHARE = 5 / 6  # of a data set's digits, as in MNIST


def parse_digits(text: str) -> tuple[int, ...]:
    """The digits that `text`, 2026 say, asks for.

    Raises:
        UsageError: something else is among them, or nothing.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--digits {text!r}: give digits alone, as in --digits 2026")
    return tuple(map(int, text))


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """What is asked of the generator in the checkpoint at `path`; None stands for what is usual."""

    path: Path
    count: int | None = None
    seed: int = 0
    digits: tuple[int, ...] | None = None  # these, over and over
    each: int | None = None  # so many rounds of the digits
    rows: int | None = None
    columns: int | None = None
    device: str = "auto"
    threads: int | None = None

    def generator(self) -> TrainedGenerator:
        """The generator itself.

        Raises:
            UsageError: a number below 1, or what contradicts something else.
            CheckpointError: as `nets.generator`.
        """
        numbers = {"-n": self.count, "--each": self.each, "--rows": self.rows, "--columns": self.columns}
        for flag, value in numbers.items():
            if value is not None and value < 1:
                raise UsageError(f"{flag} {value}: give 1 or more")
        if self.each is not None and self.count is not None:
            raise UsageError("--each and -n both say how many: give one of them")
        generator = TrainedGenerator.of(self.path, self.device, self.threads)
        if self.each is not None:
            generator.see_asked()
        return generator

    def number(self) -> int | None:
        """How many pictures, if that was said."""
        return self.count if self.each is None else self.each * len(self.digits or range(10))

    def layout(self, rows: int, columns: int) -> tuple[int, int]:
        """How many pictures, and how many of them in a row; `rows` and `columns` are the usual ones.

        Raises:
            UsageError: more pictures than cells, or more than a sheet holds.
        """
        count, wide = self.number(), self.columns
        if wide is None:
            wide = columns if count is None or self.rows is None else -(-count // self.rows)
        if count is None:
            count = wide * (self.rows or rows)
        elif self.rows is not None and count > self.rows * wide:
            raise UsageError(f"-n {count}: {self.rows} rows of {wide} hold {self.rows * wide}")
        if count > _MAX_CELLS:
            raise UsageError(f"-n {count}: a sheet holds {_MAX_CELLS} at most; --idx takes more")
        return count, min(wide, count)


@dataclass(frozen=True)
class GenerationResult:
    """What was drawn, and the files that hold it."""

    model: str
    digest: str
    seed: int
    count: int  # pictures; of an animation, in each of its frames
    drawn: Samples | None  # None of an animation
    saved: tuple[Saved, ...]


def generate_grid(request: GenerateOptions, out: Path | None) -> GenerationResult:
    """Draw pictures: those asked for, or ten rows; and write them to `out` as one PNG, if given.

    Raises:
        UsageError: as `Request`, or digits asked of a generator that takes none.
        CheckpointError: as `nets.generator`.
        OutputError: `out` cannot be written.
    """
    generator = request.generator()
    width = len(request.digits) if request.digits else 10 if generator.conditional else 6
    count, columns = request.layout(1 if request.digits else 10, width)
    drawn = generator.draw(count, request.seed, request.digits)
    if out is not None:
        grids.write_png(out, grids.make_grid(drawn.images, columns))
    saved = () if out is None else (Saved(str(out)),)
    return GenerationResult(generator.model, generator.digest, request.seed, count, drawn, saved)


def generate_animation(request: GenerateOptions, out: Path) -> GenerationResult:
    """Write to `out`, as a GIF, pictures that pass into each other, three rows of six unless said.

    Raises:
        UsageError, CheckpointError, OutputError: as `pictures`.
    """
    generator = request.generator()
    count, columns = request.layout(3, 6)
    frames = generator.morph(count, request.seed, request.digits)
    grids.write_gif(out, [grids.make_grid(frame, columns) for frame in frames], seconds=_FRAME_SECONDS)
    return GenerationResult(generator.model, generator.digest, request.seed, count, None, (Saved(str(out)),))


def generate_dataset(request: GenerateOptions, folder: Path, judge: Callable[[], Path]) -> GenerationResult:
    """Write pictures, as many as MNIST has unless said, into `folder` as a data set of IDX files.

    The labels are the digits asked for; of a generator that takes none, those that the classifier reads whose
    checkpoint `judge` finds.

    Raises:
        UsageError, CheckpointError, OutputError: as `pictures`; or digits stand in `folder` already.
    """
    require_empty(folder)
    generator = request.generator()
    reader = None if generator.conditional else load.load_classifier(judge())[1]
    drawn = generator.draw(request.number() or _DEFAULT_DATASET_SIZE, request.seed, request.digits)
    labels = drawn.digits
    if labels is None:
        assert reader is not None
        labels = classify_images(reader.to(get_device(request.device)), drawn.images)
    saved = tuple(Saved(str(file)) for file in write_dataset(folder, drawn.images, labels))
    return GenerationResult(generator.model, generator.digest, request.seed, len(drawn.images), drawn, saved)


def write_dataset(folder: Path, images: ImageArray, labels: ImageArray) -> list[Path]:
    """Write pictures [N, 28, 28] and labels [N] as the four IDX files of a data set, five in six to train on.

    Raises:
        UsageError: too few, or digits stand in `folder` already.
        OutputError: a file cannot be written.
    """
    first = round(_TRAIN_SHARE * len(images))
    if not 0 < first < len(images):
        raise UsageError(f"-n {len(images)}: too few for a data set; give 2 or more")
    paths = []
    for file in require_empty(folder):
        chosen = slice(first) if file.split == "train" else slice(first, None)
        path = folder / file.name
        files.write(path, idx.dump((images if file.kind == "images" else labels)[chosen]))
        paths.append(path)
    return paths


def require_empty(folder: Path) -> tuple[datasets.File, ...]:
    """The four files of a data set of one's own, none of which stands in `folder`.

    Raises:
        UsageError: one does.
    """
    wanted = datasets.get_dataset("own").files
    for file in wanted:
        if (path := datasets.find_file(folder, file)) is not None:
            raise UsageError(f"{path}: digits stand there already; give an empty folder")
    return wanted
