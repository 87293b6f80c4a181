"""Digits drawn by a trained generator: as pictures, as an animation, as a data set to train on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mnistctl import checkpoint, compute, datasets, draws, figures, files, idx, models, nets
from mnistctl.adversarial import NOISE, sample
from mnistctl.data import Digits
from mnistctl.errors import UsageError
from mnistctl.events import Saved
from mnistctl.figures import Picture
from mnistctl.layers import Joined
from mnistctl.supervised import logits

_STEPS = 12  # frames from one point of a path through the noise to the next
_MOST = 1_000_000  # pictures at once
_MOST_ON_A_SHEET = 10_000
_AS_MNIST = 72_000  # 60,000 of them to train on
_FRAME = 0.08  # seconds
_TRAINED_ON = 5 / 6  # of a data set's digits, as in MNIST


@dataclass(frozen=True)
class Drawn:
    """Pictures [N, 28, 28], and the digits [N] that were asked for, where a generator can be asked."""

    images: Picture
    digits: Picture | None


@dataclass(frozen=True)
class Generator:
    """A trained generator at work on a device."""

    model: str
    net: nn.Module
    digest: str  # of the weights of the net that draws

    @classmethod
    def of(cls, path: Path, device: str = "auto", threads: int | None = None) -> "Generator":
        """The generator in the checkpoint at `path`, which `nets.locate` finds by a run's name.

        Raises:
            CheckpointError: as `nets.generator`.
            UsageError: no such device, or a bad number of threads.
        """
        where = compute.device(device)
        compute.set_threads(threads)
        compute.repeatable()
        model, net = nets.generator(path)
        return cls(model, compute.prepare(net, where), checkpoint.digest(net.state_dict()))

    @property
    def conditional(self) -> bool:
        """Whether it can be asked for a digit."""
        return isinstance(self.net, Joined)

    def draw(self, count: int, seed: int, digits: Sequence[int] | None = None) -> Drawn:
        """`count` pictures, the same for the same seed: of `digits` (0 to 9 where None), over and over.

        Raises:
            UsageError: a bad number, or digits asked of a generator that takes none.
        """
        self._check(count, seed, digits)
        torch.manual_seed(draws.stream(seed))
        noise = torch.randn(count, NOISE, 1, 1)
        if not isinstance(self.net, Joined):
            return Drawn(sample(self.net, noise).numpy(), None)
        cycle = torch.tensor(digits or range(10))
        asked = cycle.repeat(-(-count // len(cycle)))[:count]
        return Drawn(sample(self.net, noise, asked).numpy(), asked.to(torch.uint8).numpy())

    def morph(self, count: int, seed: int, digits: Sequence[int] | None = None) -> Iterator[Picture]:
        """Frames of `count` pictures each, [count, 28, 28], on a closed path through the noise.

        Each picture has points of its own, and passes from one to the next on the arc between them (Shoemake,
        Animating rotation with quaternion curves, 1985): noise of another length is not what a generator
        learned to draw from. A conditional one passes meanwhile from one of `digits` (0 to 9 where None) to
        the next, through the mixtures of their embeddings.

        Raises:
            UsageError: as `draw`.
        """
        self._check(count, seed, digits)
        stops = tuple(digits or range(10))
        torch.manual_seed(draws.stream(seed))
        points = torch.randn(len(stops), count, NOISE, 1, 1)
        for leg, digit in enumerate(stops):
            after = (leg + 1) % len(stops)
            for step in range(_STEPS):
                share = step / _STEPS
                noise = _on_arc(points[leg], points[after], share)
                yield self._between(noise, digit, stops[after], share)

    def _between(self, noise: Tensor, digit: int, after: int, share: float) -> Picture:
        if not isinstance(self.net, Joined):
            return sample(self.net, noise).numpy()
        where = next(self.net.parameters()).device
        with torch.inference_mode():
            here, there = self.net.second(torch.tensor([digit, after], device=where))
            mixed = torch.lerp(here, there, share).expand(len(noise), *here.shape)
        return sample(self.net.trunk, torch.cat((noise, mixed.cpu()), 1)).numpy()

    def _check(self, count: int, seed: int, digits: Sequence[int] | None) -> None:
        if not 1 <= count <= _MOST:
            raise UsageError(f"-n {count}: give 1 to {_MOST}")
        if not 0 <= seed < 2**63:
            raise UsageError(f"--seed {seed}: give 0 or more")
        if digits is not None:
            self.see_asked()

    def see_asked(self) -> None:
        """See that it can be asked for a digit.

        Raises:
            UsageError: it cannot.
        """
        if not self.conditional:
            able = [name for name in models.GENERATORS if models.generator(name).conditional]
            raise UsageError(f"{self.model} cannot be asked for a digit; {' and '.join(able)} can")


def _on_arc(here: Tensor, there: Tensor, share: float) -> Tensor:
    angle = torch.acos(cosine_similarity(here, there, dim=1)).unsqueeze(1)
    return (torch.sin((1 - share) * angle) * here + torch.sin(share * angle) * there) / torch.sin(angle)


def outputs(judge: nn.Module, images: Picture) -> Tensor:
    """What the classifier `judge` makes of pictures [N, 28, 28]: logits [N, 10], on its device."""
    where = next(judge.parameters()).device
    pixels = torch.from_numpy(images).unsqueeze(1).to(where)
    return logits(judge, Digits(pixels, torch.zeros(len(images), dtype=torch.int64, device=where)))


def read(judge: nn.Module, images: Picture) -> Picture:
    """The digits [N] that the classifier `judge` reads in pictures [N, 28, 28]."""
    return outputs(judge, images).argmax(1).to(torch.uint8).cpu().numpy()


def asked(text: str) -> tuple[int, ...]:
    """The digits that `text`, 2026 say, asks for.

    Raises:
        UsageError: something else is among them, or nothing.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--digits {text!r}: give digits alone, as in --digits 2026")
    return tuple(map(int, text))


@dataclass(frozen=True, kw_only=True)
class Request:
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

    def generator(self) -> Generator:
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
        generator = Generator.of(self.path, self.device, self.threads)
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
        if count > _MOST_ON_A_SHEET:
            raise UsageError(f"-n {count}: a sheet holds {_MOST_ON_A_SHEET} at most; --idx takes more")
        return count, min(wide, count)


@dataclass(frozen=True)
class Made:
    """What was drawn, and the files that hold it."""

    model: str
    digest: str
    seed: int
    count: int  # pictures; of an animation, in each of its frames
    drawn: Drawn | None  # None of an animation
    saved: tuple[Saved, ...]


def pictures(request: Request, out: Path | None) -> Made:
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
        figures.write_png(out, figures.sheet(drawn.images, columns))
    saved = () if out is None else (Saved(str(out)),)
    return Made(generator.model, generator.digest, request.seed, count, drawn, saved)


def animation(request: Request, out: Path) -> Made:
    """Write to `out`, as a GIF, pictures that pass into each other, three rows of six unless said.

    Raises:
        UsageError, CheckpointError, OutputError: as `pictures`.
    """
    generator = request.generator()
    count, columns = request.layout(3, 6)
    frames = generator.morph(count, request.seed, request.digits)
    figures.write_gif(out, [figures.sheet(frame, columns) for frame in frames], seconds=_FRAME)
    return Made(generator.model, generator.digest, request.seed, count, None, (Saved(str(out)),))


def data_set(request: Request, folder: Path, judge: Callable[[], Path]) -> Made:
    """Write pictures, as many as MNIST has unless said, into `folder` as a data set of IDX files.

    The labels are the digits asked for; of a generator that takes none, those that the classifier reads whose
    checkpoint `judge` finds.

    Raises:
        UsageError, CheckpointError, OutputError: as `pictures`; or digits stand in `folder` already.
    """
    vacant(folder)
    generator = request.generator()
    reader = None if generator.conditional else nets.classifier(judge())[1]
    drawn = generator.draw(request.number() or _AS_MNIST, request.seed, request.digits)
    labels = drawn.digits
    if labels is None:
        assert reader is not None
        labels = read(reader.to(compute.device(request.device)), drawn.images)
    saved = tuple(Saved(str(file)) for file in write_set(folder, drawn.images, labels))
    return Made(generator.model, generator.digest, request.seed, len(drawn.images), drawn, saved)


def write_set(folder: Path, images: Picture, labels: Picture) -> list[Path]:
    """Write pictures [N, 28, 28] and labels [N] as the four IDX files of a data set, five in six to train on.

    Raises:
        UsageError: too few, or digits stand in `folder` already.
        OutputError: a file cannot be written.
    """
    first = round(_TRAINED_ON * len(images))
    if not 0 < first < len(images):
        raise UsageError(f"-n {len(images)}: too few for a data set; give 2 or more")
    paths = []
    for file in vacant(folder):
        chosen = slice(first) if file.split == "train" else slice(first, None)
        path = folder / file.name
        files.write(path, idx.pack((images if file.kind == "images" else labels)[chosen]))
        paths.append(path)
    return paths


def vacant(folder: Path) -> tuple[datasets.File, ...]:
    """The four files of a data set of one's own, none of which stands in `folder`.

    Raises:
        UsageError: one does.
    """
    wanted = datasets.dataset("own").files
    for file in wanted:
        if (path := datasets.locate(folder, file)) is not None:
            raise UsageError(f"{path}: digits stand there already; give an empty folder")
    return wanted
