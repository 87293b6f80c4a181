"""A trained generator and the samples that it draws."""

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
from mnistctl.inference.forward import generate_images
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.device import get_device, set_deterministic, set_threads
from mnistctl.nn.fusion import optimize_for
from mnistctl.nn.layers import ConditionedNet
from mnistctl.nn.seeding import derive_seed

_FRAMES_PER_STEP = 12  # frames from one point of a path through the noise to the next
_MAX_SAMPLES = 1_000_000  # pictures at once


@dataclass(frozen=True)
class Samples:
    """Pictures [N, 28, 28], and the digits [N] that were asked for, where a generator can be asked."""

    images: ImageArray
    digits: ImageArray | None


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained generator at work on a device."""

    model: str
    net: nn.Module
    digest: str  # of the weights of the net that draws

    @classmethod
    def of(cls, path: Path, device: str = "auto", threads: int | None = None) -> "TrainedGenerator":
        """The generator in the checkpoint at `path`, which `nets.locate` finds by a run's name.

        Raises:
            CheckpointError: as `nets.generator`.
            UsageError: no such device, or a bad number of threads.
        """
        where = get_device(device)
        set_threads(threads)
        set_deterministic()
        model, net = load.load_generator(path)
        return cls(model, optimize_for(net, where), checkpoint.digest(net.state_dict()))

    @property
    def conditional(self) -> bool:
        """Whether it can be asked for a digit."""
        return isinstance(self.net, ConditionedNet)

    def draw(self, count: int, seed: int, digits: Sequence[int] | None = None) -> Samples:
        """`count` pictures, the same for the same seed: of `digits` (0 to 9 where None), over and over.

        Raises:
            UsageError: a bad number, or digits asked of a generator that takes none.
        """
        self._check(count, seed, digits)
        torch.manual_seed(derive_seed(seed))
        noise = torch.randn(count, NOISE_SIZE, 1, 1)
        if not isinstance(self.net, ConditionedNet):
            return Samples(generate_images(self.net, noise).numpy(), None)
        cycle = torch.tensor(digits or range(10))
        asked = cycle.repeat(-(-count // len(cycle)))[:count]
        return Samples(generate_images(self.net, noise, asked).numpy(), asked.to(torch.uint8).numpy())

    def morph(self, count: int, seed: int, digits: Sequence[int] | None = None) -> Iterator[ImageArray]:
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
        torch.manual_seed(derive_seed(seed))
        points = torch.randn(len(stops), count, NOISE_SIZE, 1, 1)
        for leg, digit in enumerate(stops):
            after = (leg + 1) % len(stops)
            for step in range(_FRAMES_PER_STEP):
                share = step / _FRAMES_PER_STEP
                noise = _slerp(points[leg], points[after], share)
                yield self._between(noise, digit, stops[after], share)

    def _between(self, noise: Tensor, digit: int, after: int, share: float) -> ImageArray:
        if not isinstance(self.net, ConditionedNet):
            return generate_images(self.net, noise).numpy()
        where = next(self.net.parameters()).device
        with torch.inference_mode():
            here, there = self.net.second(torch.tensor([digit, after], device=where))
            mixed = torch.lerp(here, there, share).expand(len(noise), *here.shape)
        return generate_images(self.net.trunk, torch.cat((noise, mixed.cpu()), 1)).numpy()

    def _check(self, count: int, seed: int, digits: Sequence[int] | None) -> None:
        if not 1 <= count <= _MAX_SAMPLES:
            raise UsageError(f"-n {count}: give 1 to {_MAX_SAMPLES}")
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
            able = [name for name in models.GENERATORS if models.load_generator(name).conditional]
            raise UsageError(f"{self.model} cannot be asked for a digit; {' and '.join(able)} can")


def _slerp(here: Tensor, there: Tensor, share: float) -> Tensor:
    angle = torch.acos(cosine_similarity(here, there, dim=1)).unsqueeze(1)
    return (torch.sin((1 - share) * angle) * here + torch.sin(share * angle) * there) / torch.sin(angle)
