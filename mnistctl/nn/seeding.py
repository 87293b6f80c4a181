"""Where each random draw of a run begins: at a number made of the seed and of its place in the run."""

import numpy as np


def derive_seed(seed: int, *place: int) -> int:
    """The seed of torch's generator for the draws of `place`: (0,) the first weights, (e,) those of epoch e.

    So no random state has to be kept: whoever is at a place knows where its draws begin.
    """
    # Nearby seeds and epochs must not give related streams: NumPy's SeedSequence is made to mix such pairs.
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0])
