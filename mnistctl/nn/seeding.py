"""Random draws of a run: the seeds of its parts, and its own share of torch's random numbers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from mnistctl.errors import UsageError
from mnistctl.schema import to_type

MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> int:
    """`seed`, the seed of a run, as an int of Python.

    Raises:
        UsageError: it is out of range, or no whole number.
    """
    seed = to_type(seed, int, "seed")
    if seed < 0:
        raise UsageError("give 0 or more", field="seed", value=seed)
    if seed > MAX_SEED:
        raise UsageError(f"give {MAX_SEED:,} or less", field="seed", value=seed)
    return seed


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


def seeded_generator(seed: int, *indices: int) -> torch.Generator:
    """A generator of its own with the seed of one part of a run. It draws what torch's own generator would.

    Args:
        seed, indices: as in `derive_seed`.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *indices))


class RandomStream:
    """The random numbers of one run, for what can only draw from torch's own generator, such as dropout.

    torch has one generator for all runs and threads of a process. In a block of `with`, it is at the place
    where the last block of the same stream left it, and no other thread is in a block. So runs in threads
    take turns, and a run that waits between two steps while another one goes on draws what it would alone.
    """

    _lock = threading.RLock()
    _holder: "RandomStream | None" = None  # the stream whose place torch's generator is at
    _open: "list[RandomStream]" = []  # noqa: RUF012 - the blocks of the thread that has the lock, outermost first

    def __init__(self) -> None:
        self._states: tuple[Tensor, list[Tensor]] | None = None  # while another stream is the holder

    def __enter__(self) -> None:
        self._lock.acquire()
        self._open.append(self)
        self._hold()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop()
        if self._open:
            self._open[-1]._hold()
        self._lock.release()

    def _hold(self) -> None:
        """Set torch's generators to the place of this stream; a new stream begins wherever they are."""
        before = RandomStream._holder
        if before is self:
            return
        if before is not None:
            cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
            before._states = torch.get_rng_state(), cuda
        if self._states is not None:
            torch.set_rng_state(self._states[0])
            torch.cuda.set_rng_state_all(self._states[1])
        RandomStream._holder = self


class _Training(Protocol):
    @property
    def draws(self) -> RandomStream: ...


_P = ParamSpec("_P")
_Event = TypeVar("_Event")
_T = TypeVar("_T", bound=_Training)


def with_own_draws(
    loop: Callable[Concatenate[_T, _P], Iterator[_Event]],
) -> Callable[Concatenate[_T, _P], Iterator[_Event]]:
    """Have a training loop take the random numbers of its training, between any two of its events."""

    @wraps(loop)
    def events(training: _T, /, *args: _P.args, **options: _P.kwargs) -> Iterator[_Event]:
        steps = loop(training, *args, **options)
        while True:
            with training.draws:
                try:
                    event = next(steps)
                except StopIteration:
                    return
            yield event

    return events


@contextmanager
def separate_draws() -> Iterator[None]:
    """Leave no trace in torch's random numbers of what is drawn in the block."""
    with RandomStream(), torch.random.fork_rng(devices=[]):
        yield
