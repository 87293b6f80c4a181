"""Random seeds for the parts of a run, derived from the seed of the run."""

import numpy as np

from mnistctl.errors import UsageError

MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> None:
    """Check the seed of a run.

    Raises:
        UsageError: it is out of range.
    """
    if seed < 0:
        raise UsageError("give 0 or more", field="seed", value=seed)
    if seed > MAX_SEED:
        raise UsageError(f"give {MAX_SEED:,} or less", field="seed", value=seed)


def derive_seed(seed: int, *indices: int) -> int:
    """The seed of torch's generator for one part of a run.

    Random draws depend only on the seed and the part. A resumed run therefore needs no saved random state.

    Args:
        seed: the seed of the run.
        indices: the part: (0,) for the initial weights, (0, 1) for the inputs of a GAN's grids, (e,) for the
            order and the dropout masks of epoch e, counted from 1, (e, 1) and (e, 2) for its augmentation.
    """
    # Seeds of neighbouring epochs must give unrelated streams. NumPy's SeedSequence is built for that.
    return int(np.random.SeedSequence((seed, *indices)).generate_state(1, np.uint64)[0])
