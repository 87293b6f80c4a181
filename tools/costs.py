"""The section of docs/results.md on cost: the time of every record, and that of a plain loop, estimated."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistctl.training.record import RunRecord
from mnistctl.trials.journal import TrialsJournal

HEAD = "record | command | clock, s | processor, s | plain loop, s | processor or GPU"
TEXT = """\
*Clock* is wall-clock time; most runs shared their two cores with other work, and some were paused for a time.
*Processor* is the time of all threads of the run; records without that figure give clock time multiplied by
the number of threads, which is an upper bound. *Plain loop* is an estimate for an ordinary PyTorch loop
(`plain` in [speed](speed.md)): the processor time multiplied by that loop's slowdown on the same type of
processor, in `records/speed.json` or `records/speed-xeon-2.json`. It was measured on training passes alone.
Models that are not in these records have no estimate, nor has bf16 on a Xeon, whose speed depends on AMX.
Nor have runs on a GPU, where the processor only starts the GPU's work. `trials-swa-40` and most of `simple`
shared one GPU, so that each took longer. wsimple had it to itself."""
# One record for each type of processor, and the precisions that hold for all processors of the type: records
# do not say whether a Xeon has AMX, which makes bf16 several times as fast.
_SPEEDS = {"speed": ("float32", "bf16"), "speed-xeon-2": ("float32",)}
_SAME_TRAINING = {"swa": "conv", "wsimple": "simple"}  # averaged recipes train as these, which were timed

# The plain loop's time divided by ours, by processor type, model and precision.
Slowdowns = Mapping[tuple[str, str, str], float]


@dataclass(frozen=True)
class Cost:
    """The time of a record, in seconds.

    Args:
        record, command: its name, and the command that made it.
        clock: wall-clock time.
        processor: time of all threads.
        measured: whether it was; else `processor` is clock time times threads, an upper bound.
        plain_loop: processor time of an ordinary PyTorch loop, estimated; None without a slowdown.
        hardware: name of the GPU, or of the processor if it trained the net.
    """

    record: str
    command: str
    clock: float
    processor: float
    measured: bool
    plain_loop: float | None
    hardware: str


def find_costs(
    records: Path, runs: Mapping[str, RunRecord], trials: Mapping[str, TrialsJournal]
) -> list[Cost]:
    """The costs of these runs and trials. The slowdowns are in the folder `records`."""
    slowdowns = _read_slowdowns(records)
    return [
        *(_cost_of_run(name, run, slowdowns) for name, run in runs.items()),
        *(_cost_of_trials(name, entries, slowdowns) for name, entries in trials.items()),
    ]


def _read_slowdowns(records: Path) -> Slowdowns:
    slowdowns = {}
    for record, precisions in _SPEEDS.items():
        body = json.loads((records / f"{record}.json").read_text())
        for model, row in body["recipes"].items():
            times = {"float32": row["times_as_long_as_ours"]["plain"], "bf16": row["plain_over_bf16"]}
            for precision in precisions:
                slowdowns[body["machine"]["processor"], model, precision] = float(times[precision])
    return slowdowns


def _plain_loop(
    seconds: float, hardware: str, model: str, precision: str, slowdowns: Slowdowns
) -> float | None:
    slowdown = slowdowns.get((hardware, _SAME_TRAINING.get(model, model), precision))
    return None if slowdown is None else seconds * slowdown


def _cost_of_run(name: str, run: RunRecord, slowdowns: Slowdowns) -> Cost:
    hardware = run.machine.gpu or run.machine.processor
    seconds, measured = run.processor_seconds, run.processor_seconds is not None
    if seconds is None:
        seconds = run.seconds * run.threads
    plain_loop = _plain_loop(seconds, hardware, run.model, run.precision, slowdowns)
    return Cost(name, run.command, run.seconds, seconds, measured, plain_loop, hardware)


def _cost_of_trials(name: str, entries: TrialsJournal, slowdowns: Slowdowns) -> Cost:
    header, machine = entries.header, entries.header.machine
    hardware = machine.gpu or machine.processor
    results = [(trial.model, trial.result) for trial in entries.trials.values() if trial.result is not None]
    clock = processor = 0.0
    estimates = []
    for model, result in results:
        used = {} if result.machine is None else result.machine
        own = str(used.get("gpu") or used.get("processor") or hardware)
        seconds = result.seconds if result.processor_seconds is None else result.processor_seconds
        clock, processor = clock + result.seconds, processor + seconds
        estimates.append(_plain_loop(seconds, own, model, header.settings.precision, slowdowns))
    measured = all(result.processor_seconds is not None for _, result in results)
    plain_loop = None if None in estimates else sum(filter(None, estimates))
    return Cost(name, header.command, clock, processor, measured, plain_loop, hardware)


def table_rows(costs: Sequence[Cost]) -> Iterator[Sequence[object]]:
    """A row for each record."""
    for cost in sorted(costs, key=lambda cost: cost.record):
        bound = "" if cost.measured else "at most "
        plain_loop = "" if cost.plain_loop is None else f"{cost.plain_loop:,.0f}"
        times = f"{cost.clock:,.0f}", f"{bound}{cost.processor:,.0f}", plain_loop
        yield (f"`{cost.record}`", f"`{cost.command}`", *times, cost.hardware)


def total(costs: Sequence[Cost]) -> str:
    """The sums, in two sentences."""
    estimated = [(cost.processor, cost.plain_loop) for cost in costs if cost.plain_loop is not None]
    ours, plain_loop = (sum(seconds) / 3600 for seconds in zip(*estimated, strict=True))
    return (
        f"In total at most {sum(cost.processor for cost in costs) / 3600:.1f} hours of processor time. "
        f"A plain loop would take about {plain_loop:.1f} hours for the runs with an estimate, "
        f"{plain_loop / ours:.2f} times as long."
    )
