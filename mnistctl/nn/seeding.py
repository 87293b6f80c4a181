"""Random seeds for the parts of a run, derived from the seed of the run."""

import numpy as np


def derive_seed(seed: int, *indices: int) -> int:
    """The seed of torch's generator for one part of a run.

    Random draws depend only on the seed and the part. A resumed run therefore needs no saved random state.

    Args:
        seed: the seed of the run.
        indices: the part: (0,) for the initial weights, (e,) for the order and the dropout masks of epoch e,
            counted from 1, (e, 1) and (e, 2) for its augmentation.
    """
    # Seeds of neighbouring epochs must give unrelated streams. NumPy's SeedSequence is built for that.
    return int(np.random.SeedSequence((seed, *indices)).generate_state(1, np.uint64)[0])
