"""The page of a generator: pictures from one noise, sliders through the noise, and a morph."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistctl import __version__
from mnistctl.models.recipe import NOISE_SIZE
from mnistctl.nn.layers import ConditionedNet
from mnistctl.pages.description import describe_generator
from mnistctl.pages.document import PageContent, check_size, max_bytes, render
from mnistctl.schema import Schema

_DIRECTIONS = 10  # sliders
_POINTS = 20  # of the noise, at which the change of the pictures is measured
_STEP = 0.1  # of one number of the noise


@dataclass(frozen=True, kw_only=True)
class GeneratorPage(Schema):
    """All that the scripts of a generator's page read.

    Args:
        kind: "generator".
        version: of mnistctl.
        title, subtitle: the heading.
        name, model, digest, parameters: of the generator.
        net: its description.
        conditional: whether a digit can be requested.
        directions: unit vectors of the noise [10, 100], that with the strongest effect first.
        record: the record of the training; None if it is not known.
    """

    kind: str = "generator"
    version: str = __version__
    title: str
    subtitle: str
    name: str
    model: str
    digest: str
    parameters: int
    net: dict[str, object]
    conditional: bool
    directions: list[list[float]]
    record: dict[str, object] | None


def render_generator(
    net: nn.Module, *, name: str, model: str, digest: str, record: Schema | None = None
) -> bytes:
    """The page of a generator as an HTML file.

    Args:
        net: the generator.
        name: the name of the run.
        model: the model's name.
        digest: of the weights.
        record: the record of the training, if it is known.

    Raises:
        UsageError: the net has a layer that a page cannot compute, or the page is too large.
    """
    net = copy.deepcopy(net).cpu().eval()  # describing moves it to the CPU
    conditional = isinstance(net, ConditionedNet)
    data = GeneratorPage(
        title=name,
        subtitle=f"{model} draws digits from noise" if conditional else f"{model} draws a digit from noise",
        name=name,
        model=model,
        digest=digest,
        parameters=sum(p.numel() for p in net.parameters()),
        net=describe_generator(net, model=model).to_json(),
        conditional=conditional,
        directions=find_directions(net).tolist(),
        record=None if record is None else record.to_json(),
    )
    page = render(PageContent(name, data.to_json(), generator=True))
    check_size(len(page), max_bytes(1))
    return page


def find_directions(net: nn.Module) -> Tensor:
    """The orthogonal directions in which the noise changes the pictures the most.

    They are the eigenvectors of the mean of J^T J, where J is the derivative of the pixels by the noise
    (active subspaces: Constantine, Active Subspaces, 2015), from finite differences at 20 points.

    Args:
        net: a generator on the CPU in evaluation mode.

    Returns:
        Unit vectors [10, 100], that with the strongest effect first.
    """
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(_POINTS, NOISE_SIZE, generator=generator)
    digits = torch.arange(_POINTS) % 10
    total = torch.zeros(NOISE_SIZE, NOISE_SIZE)
    with torch.inference_mode():
        for point, digit in zip(points, digits, strict=True):
            moved = torch.cat((point[None], point + _STEP * torch.eye(NOISE_SIZE)))[:, :, None, None]
            condition = (digit.expand(len(moved)),) if isinstance(net, ConditionedNet) else ()
            pixels = net(moved, *condition).flatten(1)
            change = (pixels[1:] - pixels[0]) / _STEP
            total += change @ change.T
    vectors: Tensor = torch.linalg.eigh(total)[1].T.flip(0)[:_DIRECTIONS]
    # The sign of an eigenvector is arbitrary: its largest number is positive.
    return vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
