"""Forward passes of trained nets: logits of classifiers, images of generators."""

import torch
from torch import Tensor, nn

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits

# Larger batches do not fit the caches of a CPU. Only the last bits of logits depend on the batch size.
_BATCH_SIZE = 500


def compute_logits(net: nn.Module, digits: Digits) -> Tensor:
    """The logits of each image, without dropout: float32 [N, 10], on the device of `digits`."""
    net.eval()
    with torch.inference_mode():
        batches = [
            net(digits.take(slice(start, start + _BATCH_SIZE))[0])
            for start in range(0, len(digits), _BATCH_SIZE)
        ]
    return torch.cat(batches).float()


def compute_image_logits(net: nn.Module, images: ImageArray) -> Tensor:
    """The logits [N, 10] of a classifier for images [N, 28, 28], on the net's device."""
    device = next(net.parameters()).device
    pixels = torch.from_numpy(images).unsqueeze(1).to(device)
    return compute_logits(net, Digits(pixels, torch.zeros(len(images), dtype=torch.int64, device=device)))


def classify_images(net: nn.Module, images: ImageArray) -> ImageArray:
    """The predicted digits [N] of a classifier for images [N, 28, 28]."""
    return compute_image_logits(net, images).argmax(1).to(torch.uint8).cpu().numpy()


def generate_images(generator: nn.Module, *inputs: Tensor) -> Tensor:
    """The images that a generator makes from its inputs: uint8 [N, 28, 28], on the CPU.

    Args:
        generator: the net; it is set to evaluation mode.
        inputs: noise [N, 100, 1, 1] and, for a conditional net, the requested digits [N].
    """
    generator.eval()
    device = next(generator.parameters()).device
    count = len(inputs[0])
    if count % _BATCH_SIZE == 1:  # a batch of one has other kernels, and so other last bits: repeat its image
        inputs = tuple(torch.cat((each, each[-1:])) for each in inputs)
    with torch.inference_mode():
        batches = [
            generator(*(each.to(device) for each in batch)).squeeze(1).add(1).mul(127.5).round().byte().cpu()
            for batch in zip(*(each.split(_BATCH_SIZE) for each in inputs), strict=True)
        ]
    return torch.cat(batches)[:count]
