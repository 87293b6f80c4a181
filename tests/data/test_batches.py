import numpy as np
import pytest
import torch

from mnistctl.data.batches import Digits


@pytest.mark.parametrize("size", [7, 100, 1500])
def test_batches_are_the_digits_of_their_indices_in_order(size):
    images = np.random.default_rng(0).integers(0, 256, (2305, 1, 28, 28), dtype=np.uint8)
    digits = Digits(torch.from_numpy(images), torch.arange(2305) % 10)
    order = torch.randperm(2305, generator=torch.Generator().manual_seed(1))

    batches = list(digits.batches(order, size))

    assert [len(labels) for _, labels in batches[:-1]] == [size] * (2305 // size)
    pixels, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert torch.equal(labels, order % 10)
    # Bit for bit the pixels in [-1, 1], however many are converted at once.
    assert torch.equal(pixels, digits.images[order] / 127.5 - 1)
