"""Forward passes of trained nets: logits of classifiers, images of generators."""

import torch
from torch import Tensor, nn

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.digits import Digits


def compute_image_logits(judge: nn.Module, images: ImageArray) -> Tensor:
    """What the classifier `judge` makes of pictures [N, 28, 28]: logits [N, 10], on its device."""
    where = next(judge.parameters()).device
    pixels = torch.from_numpy(images).unsqueeze(1).to(where)
    return compute_logits(judge, Digits(pixels, torch.zeros(len(images), dtype=torch.int64, device=where)))


def classify_images(judge: nn.Module, images: ImageArray) -> ImageArray:
    """The digits [N] that the classifier `judge` reads in pictures [N, 28, 28]."""
    return compute_image_logits(judge, images).argmax(1).to(torch.uint8).cpu().numpy()


_FORWARD_BATCH = 500  # digits; more do not fit the processor's caches, and accuracy does not depend on it


def compute_logits(net: nn.Module, digits: Digits) -> Tensor:
    """What the net makes of each digit, dropout off: float32 [N, 10], on the digits' device."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(digits.take(slice(i, i + _FORWARD_BATCH))[0]) for i in range(0, len(digits), _FORWARD_BATCH)
        ]
    return torch.cat(parts).float()


_SAMPLE_BATCH = 500  # pictures


def generate_images(generator: nn.Module, *inputs: Tensor) -> Tensor:
    """The pictures that `generator`, in evaluation mode, makes of its inputs: uint8 [N, 28, 28], on the CPU.

    The inputs are noise [N, 100, 1, 1] and, of a conditional net, the digits asked for [N].
    """
    generator.eval()
    where = next(generator.parameters()).device
    with torch.inference_mode():
        parts = [
            generator(*(each.to(where) for each in part)).squeeze(1).add(1).mul(127.5).round().byte().cpu()
            for part in zip(*(each.split(_SAMPLE_BATCH) for each in inputs), strict=True)
        ]
    return torch.cat(parts)
