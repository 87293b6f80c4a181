"""Report errors that the code of a recipe raises, in one line with the file and the line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

import torch

from mnistctl.errors import MnistctlError, StoppedError
from mnistctl.models.sources import RecipeError

_TORCH = str(Path(torch.__file__).parent)


@contextmanager
def reporting_errors(*sources: str, anywhere: bool = False) -> Iterator[None]:
    """Turn an error that the code of a recipe raises in the block into one line with its file and line.

    Errors that neither passed through one of the files nor come from torch, which runs their nets, pass
    unchanged.

    Args:
        sources: the files, as in their code objects, or the names of packages' recipes.
        anywhere: report every error.

    Raises:
        RecipeError: the code raised an error.
    """
    try:
        yield
    except SyntaxError as error:
        if not anywhere:
            raise
        where = f"{error.filename or sources[0]}, line {error.lineno or 1}"
        raise RecipeError(f"{where}: {error.msg}") from None
    except BaseException as error:
        if isinstance(error, MnistctlError | KeyboardInterrupt | StoppedError):
            raise
        where = _where(error, sources)
        if not where and not (sources and (anywhere or _is_of_torch(error))):
            raise
        raise RecipeError(f"{where or ' or '.join(sources)}: {describe_error(error)}") from None


def _where(error: BaseException, sources: tuple[str, ...]) -> str:
    """The file of `sources` and the line that the error passed through last; empty if it did not."""
    frames = ((frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__))
    passed = [f"{file}, line {line}" for file, line in frames if file in sources]
    return passed[-1] if passed else ""


def _is_of_torch(error: BaseException) -> bool:
    """Whether code of torch raised the error."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_code.co_filename.startswith(_TORCH)


def describe_error(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, SystemExit):
        return "ends the program"
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text:.200}" if text else kind
