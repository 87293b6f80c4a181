"""Forward passes of trained nets: logits of classifiers, images of generators."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from mnistctl.artifacts.grids import ImageArray
from mnistctl.data.batches import Digits
from mnistctl.errors import UsageError

# The channels of 500 images do not fit the caches of a CPU: SimpNet takes 1.3 times as long as with 100
# images (records/scoring.json). Nets without convolutions are faster with more. Only the last bits of logits
# depend on the batch size.
_CONVOLUTION_BATCH_SIZE = 100
_BATCH_SIZE = 500

# Called with the number of finished steps and the number of all steps.
StepCallback: TypeAlias = Callable[[int, int], None]
# Called with the name of the work, the number of finished steps, and of all steps if that is known.
ProgressCallback: TypeAlias = Callable[[str, int, int | None], None]


def stage(on_progress: ProgressCallback | None, name: str) -> StepCallback | None:
    """A callback for the steps of the work called `name`."""
    return None if on_progress is None else lambda done, total: on_progress(name, done, total)


def compute_logits(net: nn.Module, digits: Digits, on_step: StepCallback | None = None) -> Tensor:
    """The logits of each image, without dropout: float32 [N, 10], on the device of `digits`.

    `on_step` is called after every batch.
    """
    net.eval()
    batches = []
    convolves = any(isinstance(module, nn.Conv2d) for module in net.modules())
    size = _CONVOLUTION_BATCH_SIZE if convolves and digits.device.type == "cpu" else _BATCH_SIZE
    starts = range(0, len(digits), size)
    with torch.inference_mode():
        for start in starts:
            batches.append(net(digits.take(slice(start, start + size))[0]))
            if on_step is not None:
                on_step(len(batches), len(starts))
    return torch.cat(batches).float()


def compute_image_logits(net: nn.Module, images: ImageArray, on_step: StepCallback | None = None) -> Tensor:
    """The logits [N, 10] of a classifier for images [N, 28, 28], on the net's device."""
    device = next(net.parameters()).device
    pixels = torch.from_numpy(images).unsqueeze(1).to(device)
    labels = torch.zeros(len(images), dtype=torch.int64, device=device)
    return compute_logits(net, Digits(pixels, labels), on_step)


def classify_images(net: nn.Module, images: ImageArray) -> ImageArray:
    """The predicted digits [N] of a classifier for images [N, 28, 28].

    Raises:
        UsageError: the images are of another type or shape, or there are none.
    """
    given: object = images
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.shape[1:] != (28, 28):
        what = [type(given).__name__, *(str(getattr(given, each, "")) for each in ("dtype", "shape"))]
        message = "give an array of uint8 [N, 28, 28], white on black"
        raise UsageError(message, field="images", value=" ".join(filter(None, what)))
    if not len(images):
        raise UsageError("give one image or more", field="images", value=0)
    return compute_image_logits(net, images).argmax(1).to(torch.uint8).cpu().numpy()


def generate_images(generator: nn.Module, *inputs: Tensor, on_step: StepCallback | None = None) -> Tensor:
    """The images that a generator makes from its inputs: uint8 [N, 28, 28], on the CPU.

    Outputs below -1 are black and those above 1 are white.

    Args:
        generator: the net; it is set to evaluation mode.
        inputs: noise [N, 100, 1, 1] and, for a conditional net, the requested digits [N].
        on_step: called after every batch.
    """
    generator.eval()
    device = next(generator.parameters()).device
    count = len(inputs[0])
    if count % _BATCH_SIZE == 1:  # a batch of one has other kernels, and so other last bits: repeat its image
        inputs = tuple(torch.cat((each, each[-1:])) for each in inputs)
    images = []
    batches = list(zip(*(each.split(_BATCH_SIZE) for each in inputs), strict=True))
    with torch.inference_mode():
        for batch in batches:
            pixels = generator(*(each.to(device) for each in batch)).squeeze(1)
            images.append(pixels.add(1).mul(127.5).round().clamp(0, 255).byte().cpu())
            if on_step is not None:
                on_step(len(images), len(batches))
    return torch.cat(images)[:count]
