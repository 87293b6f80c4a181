"""What is already in a run's place, and whether a run may be resumed there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mnistctl import models
from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError, UsageError, suggest
from mnistctl.training import outputs
from mnistctl.training.checkpoints import RunCheckpoint
from mnistctl.training.events import Finished
from mnistctl.training.options import RunOptions
from mnistctl.training.record import RunSettings

T = TypeVar("T")


def read_existing(read: Callable[[], T | None], overwrite: bool) -> T | None:
    """What stands there already; it need not be readable to be overwritten."""
    try:
        return read()
    except CheckpointError:
        if overwrite:
            return None
        raise


def stale_grids(stem: Path, held: RunCheckpoint | None) -> set[Path]:
    """The pictures that an unfinished run may have left so far."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):  # of what need not be one of ours
        if held is not None and held.run["model"] in models.GENERATORS:
            return set(outputs.grid_paths(stem, held.run["recipe"]["epochs"]))
    return set()


@contextmanager
def checkpoint_errors(held: RunCheckpoint | None) -> Iterator[None]:
    """A checkpoint that is whole may still not hold what one of ours does."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        if held is None:
            raise
        raise CheckpointError(f"{held.path}: not the checkpoint of this run ({fault})") from None


def check_environment(
    held: RunCheckpoint, run: dict[str, Any], machine: dict[str, Any], allow_inexact: bool
) -> dict[str, list[Any]]:
    """See that what is held is this run, and where it was on something else, if that is allowed."""
    for name, what in (("recipe", "this version has another recipe"), ("dataset", "the digits are others")):
        if held.run[name] != run[name]:
            raise CheckpointError(f"{held.path}: {what} than the run began with; --overwrite begins anew")
    inexact = outputs.environment_changes(held.run | held.machine, run | machine)
    if inexact and not allow_inexact:
        differing = ", ".join(f"{name} {was}, now {now}" for name, (was, now) in inexact.items())
        raise CheckpointError(
            f"{held.path}: the run was on something else ({differing}), where its last bits may differ; "
            "--allow-inexact goes on and records it"
        )
    return inexact


def unfinished_error(run_path: Path, held: RunCheckpoint) -> UsageError:
    done = f"epoch {len(held.journal.epochs)} of {held.run['recipe']['epochs']}"
    return UsageError(f"{run_path}: unfinished run ({done})", remedies=("resume", "overwrite", "name"))


def resume_finished(model: str, options: RunOptions, standing: dict[str, Any] | None) -> Finished:
    """What --resume has to tell of a run that is finished already."""
    if standing is None:
        run_path = options.run_path(model)
        hint = suggest(run_path.name, files.list_runs(options.out_dir, "unfinished"))
        raise CheckpointError(f"{run_path}: nothing to resume{hint.removesuffix(';')}", remedies=("start",))
    options.check_matches(model, RunSettings.from_json(standing))
    return Finished(standing.get("accuracy"), standing["seconds"], already=True)


def check_same_run(run_path: Path, standing: dict[str, Any], run: dict[str, Any]) -> Finished:
    """What there is to tell where this very run stands finished; a different one is refused."""
    if any(standing.get(key) != value for key, value in run.items()):
        path = files.with_ending(run_path, "json")
        message = f"{path}: belongs to a different run ({outputs.describe_run(standing)})"
        raise UsageError(message, remedies=("overwrite", "name", "out_dir"))
    return Finished(standing.get("accuracy"), standing["seconds"], already=True)
