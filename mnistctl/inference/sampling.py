"""Sample images from a trained generator: independent ones, and frames of an animation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mnistctl import models
from mnistctl.artifacts import checkpoint
from mnistctl.artifacts.grids import ImageArray
from mnistctl.errors import UsageError
from mnistctl.inference import load
from mnistctl.inference.forward import StepCallback, generate_images
from mnistctl.inference.load import Recipes
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.device import get_device, set_arithmetic, set_threads
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.seeding import check_seed, seeded_generator
from mnistctl.schema import to_type

_FRAMES_PER_STEP = 12  # frames from one point in the noise to the next
MAX_SAMPLES = 1_000_000  # in one call
_WHOLE_BLOCKS = 4  # images whose noise fills whole blocks of 16 numbers: 4 x 100


@dataclass(frozen=True)
class Samples:
    """Images [N, 28, 28], and the requested digits [N] if the generator is conditional."""

    images: ImageArray
    digits: ImageArray | None


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained generator on a device. `digest` is the SHA-256 of its weights."""

    model: str
    net: nn.Module
    digest: str
    name: str = "model"

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "auto",
        threads: int | None = None,
        recipes: Recipes = load.NO_RECIPES,
    ) -> "TrainedGenerator":
        """The generator in the checkpoint at `path`, named after the file.

        Args:
            path: the checkpoint.
            device: auto, cpu, cuda, cuda:N or mps.
            threads: number of CPU threads.
            recipes: the recipe files that may be executed to make the net.

        Raises:
            CheckpointError: the checkpoint is missing, damaged, or not a generator's.
            UsageError: the device or the number of threads is not available.
        """
        path = to_type(path, Path, "path")
        target = get_device(device)
        set_threads(threads)
        set_arithmetic()
        model, net = load.load_generator(path, recipes)
        return cls(model, optimize_for(net, target), checkpoint.digest(net.state_dict()), path.stem)

    @property
    def conditional(self) -> bool:
        """Whether digits can be requested."""
        return isinstance(self.net, ConditionedNet)

    def draw(
        self,
        count: int,
        seed: int,
        digits: Sequence[int] | None = None,
        on_step: StepCallback | None = None,
    ) -> Samples:
        """Sample `count` images. The same seed gives the same images.

        Args:
            count: number of images.
            seed: seed of the noise.
            digits: the requested digits, repeated as often as needed; 0 to 9 if None.
            on_step: called after every batch.

        Raises:
            UsageError: a number is out of range, or digits are requested from an unconditional generator.
        """
        count, seed, cycle = self._check(count, seed, digits)
        # Where its blocks of 16 numbers are not whole, randn draws the last 16 numbers anew. With whole
        # blocks, an image has the same noise whatever the number of images.
        whole = -(-count // _WHOLE_BLOCKS) * _WHOLE_BLOCKS
        noise = torch.randn(whole, NOISE_SIZE, 1, 1, generator=seeded_generator(seed))[:count]
        if not isinstance(self.net, ConditionedNet):
            return Samples(generate_images(self.net, noise, on_step=on_step).numpy(), None)
        requested = torch.tensor(cycle).repeat(-(-count // len(cycle)))[:count]
        images = generate_images(self.net, noise, requested, on_step=on_step).numpy()
        return Samples(images, requested.to(torch.uint8).numpy())

    def morph(self, count: int, seed: int, digits: Sequence[int] | None = None) -> Iterator[ImageArray]:
        """Frames of `count` images each, [count, 28, 28], along a closed path through the noise.

        Each image has its own path. Between two points it follows the arc (Shoemake, Animating rotation with
        quaternion curves, 1985): on the straight line the noise would be shorter than any in training. At the
        same time, a conditional generator moves from one of `digits` (0 to 9 if None) to the next, through
        mixtures of their embeddings. A single digit moves between two points: it changes its handwriting.

        Raises:
            UsageError: as `draw`.
        """
        count, seed, stops = self._check(count, seed, digits)
        self.net.eval()
        if len(stops) == 1:  # a path needs two points
            stops *= 2
        points = torch.randn(len(stops), count, NOISE_SIZE, 1, 1, generator=seeded_generator(seed))
        for stop, digit in enumerate(stops):
            following = (stop + 1) % len(stops)
            for step in range(_FRAMES_PER_STEP):
                fraction = step / _FRAMES_PER_STEP
                noise = _slerp(points[stop], points[following], fraction)
                yield self._interpolate(noise, digit, stops[following], fraction)

    def require_conditional(self) -> None:
        """Check that digits can be requested.

        Raises:
            UsageError: they cannot.
        """
        if not self.conditional:
            able = [name for name in models.GENERATORS if models.load_generator(name).conditional]
            raise UsageError(f"{self.model} cannot draw a requested digit; {' and '.join(able)} can")

    def _interpolate(self, noise: Tensor, digit: int, following: int, fraction: float) -> ImageArray:
        if not isinstance(self.net, ConditionedNet):
            return generate_images(self.net, noise).numpy()
        device = next(self.net.parameters()).device
        with torch.inference_mode():
            start, end = self.net.second(torch.tensor([digit, following], device=device))
            embedding = torch.lerp(start, end, fraction).expand(len(noise), *start.shape)
        return generate_images(self.net.trunk, torch.cat((noise, embedding.cpu()), 1)).numpy()

    def _check(self, count: int, seed: int, digits: Sequence[int] | None) -> tuple[int, int, tuple[int, ...]]:
        """The count, the seed, and the digits to repeat."""
        count = to_type(count, int, "count")
        if not 1 <= count <= MAX_SAMPLES:
            raise UsageError(f"give 1 to {MAX_SAMPLES:,}", field="count", value=count)
        seed = check_seed(seed)
        if digits is None:
            return count, seed, tuple(range(10))
        self.require_conditional()
        requested = tuple(to_type(digit, int, "digits") for digit in digits)
        if not requested or not 0 <= min(requested) <= max(requested) <= 9:
            raise UsageError("give digits from 0 to 9", field="digits", value=f"{requested!r:.40}")
        return count, seed, requested


def count_frames(digits: Sequence[int] | None) -> int:
    """The number of frames of an animation of these digits, 0 to 9 if None."""
    return _FRAMES_PER_STEP * max(2, len(digits or range(10)))


def _slerp(start: Tensor, end: Tensor, fraction: float) -> Tensor:
    """Spherical interpolation between noise [N, 100, 1, 1] and noise of the same shape."""
    angle = torch.acos(cosine_similarity(start, end, dim=1)).unsqueeze(1)
    weights = torch.sin((1 - fraction) * angle), torch.sin(fraction * angle)
    return (weights[0] * start + weights[1] * end) / torch.sin(angle)
