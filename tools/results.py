"""Make docs/results.md and docs/results.png from records/ alone.

python tools/results.py [RECORDS [DOCS]]
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistctl import models
from mnistctl.artifacts import charts, files, grids
from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.models.summary import recipe_to_json
from mnistctl.trials.conclusions import conclusion
from mnistctl.trials.journal import TrialsJournal, read

ROOT = Path(__file__).parents[1]
SOURCE = "ktorch"  # of the published accuracies

_TWINS = {"swa": "conv", "wsimple": "simple"}  # which train as another recipe does, and were timed as it


@dataclass(frozen=True)
class Result:
    """One accuracy of one seed: by a run, or by a column of trials."""

    model: str
    seed: int
    accuracy: float
    recipe: dict[str, Any]
    precision: str
    dataset: str
    record: str
    trial: bool

    @property
    def full(self) -> bool:
        """Whether it is of the recipe as published: its epochs, in float32, on MNIST."""
        whole = recipe_to_json(models.load(self.model))
        same = all(whole.get(name) == value for name, value in self.recipe.items())  # older ones have fewer
        return same and self.precision == "float32" and self.dataset == "mnist"


@dataclass(frozen=True)
class Cost:
    """What a record took: by the clock, of the processor, and what the plain loop would have."""

    record: str
    command: str
    clock: float  # seconds
    processor: float  # seconds
    measured: bool  # else the clock's times the threads, which is the most it can be
    plain: float  # seconds of the processor
    machine: str


@dataclass(frozen=True)
class Curve:
    """The losses of a run, an epoch each."""

    name: str
    losses: list[float]
    generator: bool


def main() -> None:
    """Write the page and its picture."""
    records = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "records"
    docs = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs"
    files.write(docs / "results.md", page(records))
    picture(curves(records), docs / "results.png")


def page(records: Path) -> str:
    """The page, of what stands in the folder `records`."""
    runs, trials, results = runs_in(records), trials_in(records), results_in(records)
    costs = [*_costs_of_runs(records, runs), *_costs_of_trials(records, trials)]
    parts = [
        "# Results",
        _OPENING,
        "## In full",
        _table(_FULL, _full(results)),
        "### What that allows to be said",
        "\n".join(_said(results, records)),
        "## Shorter, or in bfloat16",
        _SHORTER,
        _table(_SHORT, _short(results)),
        "## Generators",
        _table(_DRAWN, _generators(records, runs)),
        "## Losses",
        "![the training losses of every run, epoch by epoch](results.png)",
        _LOSSES,
        "## What it cost",
        _COSTLY,
        _table(_COSTS, _costs(costs)),
        _sum(costs),
    ]
    return "\n\n".join(parts) + "\n"


_OPENING = """\
Every recipe as far as it was run with this tool, beside the published figures (ktorch's). This page is made
from the records in `records/` by `python tools/results.py`, and from nothing else; a test makes it again.
Accuracies are of MNIST's 10,000 test digits in percent, after the last epoch or of the averaged weights;
intervals are Student's at 95 %."""

_SHORTER = """\
Not the published recipe: fewer epochs (over which the rates anneal all the same), another precision, or other
digits. The published mean of the full recipe stands beside for orientation alone."""

_LOSSES = """\
The mean over an epoch's batches while training, label smoothing included; a generator's is their median."""

_COSTLY = """\
*Clock* is the time that runs took, most of them beside other work on the same two cores. *Processor* is the
time of all their threads, as the run itself took it; where a record is older than that, its clock times its
threads, the most that it can be. *Plain loop*: the same on the way that `records/speed.json` calls plain, by
its ratio there for the recipe and the precision; an estimate, since the ratio is of training passes alone."""

_FULL = "model | published: n | mean | here: n | mean | SD | interval | difference | interval | records"
_SHORT = "record | model | digits | epochs | precision | seeds | accuracy | SD | published, in full"
_DRAWN = (
    "record | epochs | precision | losses: discriminator | generator | Frechet distance | of real digits "
    "| read as asked, %"
)
_COSTS = "record | command | clock, s | processor, s | plain loop, s | which processor"


def _table(head: str, rows: Iterable[Sequence[object]]) -> str:
    lines = [head.split(" | "), ["---"] * head.count("|") + ["---"], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _json(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_text())
    assert isinstance(told, dict)
    return told


def runs_in(records: Path) -> dict[str, dict[str, Any]]:
    """The records of runs, by name; other JSON in the folder has no losses and seed."""
    found = {path.stem: _json(path) for path in sorted(records.glob("*.json"))}
    return {name: told for name, told in found.items() if "recipe" in told and "seed" in told}


def trials_in(records: Path) -> dict[str, TrialsJournal]:
    """The records of trials, by name."""
    found = {}
    for path in sorted(records.glob("*.jsonl")):
        if '"setting"' in path.read_text().partition("\n")[0]:
            kept = read(path)
            assert kept is not None
            found[path.stem] = kept
    return found


def results_in(records: Path) -> list[Result]:
    """All accuracies that the records in a folder have."""
    return [*_results_of_runs(runs_in(records)), *_results_of_trials(trials_in(records))]


def _results_of_runs(runs: dict[str, dict[str, Any]]) -> Iterator[Result]:
    for name, told in runs.items():
        if told["model"] in models.CLASSIFIERS:
            yield Result(
                told["model"],
                told["seed"],
                told["accuracy"],
                told["recipe"],
                told.get("precision", "float32"),
                told["dataset"]["name"],
                name,
                trial=False,
            )


def _results_of_trials(trials: dict[str, TrialsJournal]) -> Iterator[Result]:
    for name, kept in trials.items():
        setting = kept.header["setting"]
        for (model, seed), line in sorted(kept.trials.items()):
            for column, accuracy in line.get("results", {}).items():
                trained = setting["columns"][model][column]
                yield Result(
                    trained,
                    seed,
                    accuracy,
                    setting["recipes"][trained],
                    setting["precision"],
                    setting["dataset"]["name"],
                    name,
                    trial=True,
                )


def chosen(results: Sequence[Result], model: str) -> dict[int, Result]:
    """One result of the full recipe for each seed: that of a trial, where there are several."""
    found: dict[int, Result] = {}
    for result in sorted(results, key=lambda result: (result.seed, not result.trial, result.record)):
        if result.model == model and result.full:
            found.setdefault(result.seed, result)
    return found


def published(model: str) -> list[float]:
    """The published accuracies of the recipe, a run each."""
    return list(load_published(SOURCE)["models"].get(model, {}).get("accuracies", []))


def _beside(model: str, ours: Sequence[float]) -> statistics.Difference:
    theirs = published(model)
    return statistics.one_sample(theirs[0], ours) if len(theirs) == 1 else statistics.welch(theirs, ours)


def _full(results: Sequence[Result]) -> Iterator[Sequence[object]]:
    for model in models.CLASSIFIERS:
        theirs, runs = statistics.summarize(published(model)), chosen(results, model)
        left = (model, theirs.n, f"{theirs.mean:.3f}")
        if not runs:
            yield (*left, 0, "not run in full", "", "", "", "", "")
            continue
        accuracies = [result.accuracy for result in runs.values()]
        ours, difference = statistics.summarize(accuracies), _beside(model, accuracies)
        names = sorted({f"`{result.record}`" for result in runs.values()})
        yield (
            *(*left, ours.n, f"{ours.mean:.3f}", _sd(ours)),
            *(_span(ours.interval, ""), f"{difference.difference:+.3f}", _span(difference.interval, "+")),
            ", ".join(names),
        )


def _sd(told: statistics.Summary) -> str:
    return "" if told.sd is None else f"{told.sd:.3f}"


def _span(interval: tuple[float, float] | None, sign: str) -> str:
    return "" if interval is None else " to ".join(f"{end:{sign}.3f}" for end in interval)


def _said(results: Sequence[Result], records: Path) -> Iterator[str]:
    for model in models.CLASSIFIERS:
        accuracies = [result.accuracy for result in chosen(results, model).values()]
        if len(accuracies) > 1:
            difference = _beside(model, accuracies)
            yield f"- {conclusion(difference, f'the published {model}', model, difference.p)}."
    conv, swa = (chosen(results, model) for model in ("conv", "swa"))
    shared = sorted(conv.keys() & swa.keys())
    if len(shared) > 1:
        difference = statistics.paired(*([each[seed].accuracy for seed in shared] for each in (conv, swa)))
        yield f"- {conclusion(difference, 'conv', 'swa', difference.p)}."
    for path in sorted(records.glob("paths*.json")):
        told = _json(path)
        yield (
            f"- {told['recipe']}, {len(told['fast'])} seeds each by this tool and by a plain loop: means "
            f"{_mean(told['fast'])} and {_mean(told['plain'])}, difference {told['difference']:+.3f} "
            f"({_span(told['interval'], '+')}; `{path.stem}`)."
        )


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.summarize(values).mean:.3f}"


def _short(results: Sequence[Result]) -> Iterator[Sequence[object]]:
    groups: dict[tuple[int, str], list[Result]] = {}
    for result in results:
        if not result.full:
            place = list(models.CLASSIFIERS).index(result.model)
            groups.setdefault((place, result.record), []).append(result)
    for (_, record), group in sorted(groups.items()):
        first, told = group[0], statistics.summarize([result.accuracy for result in group])
        yield (
            *(f"`{record}`", first.model, first.dataset, first.recipe["epochs"], first.precision, told.n),
            *(
                f"{told.mean:.3f}",
                _sd(told),
                _mean(published(first.model)),
            ),
        )


def _generators(records: Path, runs: dict[str, dict[str, Any]]) -> Iterator[Sequence[object]]:
    for name, told in runs.items():
        if told["model"] in models.GENERATORS:
            judged = _json(records / f"{name}-eval.json")
            losses = told["discriminator_losses"][-1], told["generator_losses"][-1]
            scores = *losses, judged["frechet"]["value"], judged["frechet_floor"]
            asked = "" if judged["asked"] is None else f"{judged['asked']['value']:.2f}"
            about = f"`{name}`", told["recipe"]["epochs"], told["precision"]
            yield (*about, *(f"{score:.3f}" for score in scores), asked)


def _ratio(records: Path) -> Callable[[str, str], float]:
    """How many times as long as ours the plain loop takes, by model and precision."""
    recipes = _json(records / "speed.json")["recipes"]

    def ratio(model: str, precision: str) -> float:
        told = recipes[_TWINS.get(model, model)]
        times = told["plain_over_bf16"] if precision == "bf16" else told["times_as_long_as_ours"]["plain"]
        return float(times)

    return ratio


def _costs_of_runs(records: Path, runs: dict[str, dict[str, Any]]) -> Iterator[Cost]:
    ratio = _ratio(records)
    for name, told in runs.items():
        measured = "processor_seconds" in told
        spent = told["processor_seconds"] if measured else told["seconds"] * told["threads"]
        plain = spent * ratio(told["model"], told.get("precision", "float32"))
        yield Cost(
            name, told["command"], told["seconds"], spent, measured, plain, told["machine"]["processor"]
        )


def _costs_of_trials(records: Path, trials: dict[str, TrialsJournal]) -> Iterator[Cost]:
    ratio = _ratio(records)
    for name, kept in trials.items():
        setting, lines = kept.header["setting"], [line for line in kept.trials.values() if "seconds" in line]
        measured = all("processor_seconds" in line for line in lines)
        clock = sum(line["seconds"] for line in lines)
        times = [line["processor_seconds"] if measured else line["seconds"] for line in lines]
        plain = sum(
            time * ratio(line["model"], setting["precision"]) for time, line in zip(times, lines, strict=True)
        )
        command, machine = kept.header["command"], kept.header["machine"]["processor"]
        yield Cost(name, command, clock, sum(times), measured, plain, machine)


def _costs(costs: Sequence[Cost]) -> Iterator[Sequence[object]]:
    for cost in sorted(costs, key=lambda cost: cost.record):
        most = "" if cost.measured else "at most "
        times = f"{cost.clock:,.0f}", f"{most}{cost.processor:,.0f}", f"{cost.plain:,.0f}"
        yield (f"`{cost.record}`", f"`{cost.command}`", *times, cost.machine)


def _sum(costs: Sequence[Cost]) -> str:
    spent, plain = (sum(getattr(cost, name) for cost in costs) / 3600 for name in ("processor", "plain"))
    times = f"{plain:.1f}, {plain / spent:.2f} times as much"
    return f"In all at most {spent:.1f} hours of processor time; with the plain loop about {times}."


def curves(records: Path) -> list[Curve]:
    """The losses of every run of more than one epoch on MNIST, as its own lines have them."""
    found = []
    for name, told in runs_in(records).items():
        if told["dataset"]["name"] != "mnist":
            continue
        lines = [json.loads(line) for line in (records / f"{name}.jsonl").read_text().splitlines()]
        rows = [line for line in lines if "event" not in line]
        if len(rows) < 2:
            continue
        if told["model"] in models.CLASSIFIERS:
            found.append(Curve(name, [row["loss"] for row in rows], generator=False))
        else:
            for side in ("discriminator", "generator"):
                found.append(Curve(f"{name}, {side}", [row[side] for row in rows], generator=True))
    return found


def picture(told: Sequence[Curve], path: Path) -> None:
    """The losses of every run over its epochs, classifiers on a logarithmic scale, generators beside them."""
    with charts._canvas(10, 5) as (figure, pictures):
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for axes, title, generator in ((left, "Classifiers", False), (right, "Generators", True)):
            for curve in told:
                if curve.generator == generator:
                    axes.plot(range(1, len(curve.losses) + 1), curve.losses, label=curve.name)
            axes.set(title=title, xlabel="epoch", ylabel="training loss")
            axes.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2 if generator else 4, fontsize=9
            )
        left.set_yscale("log")
        left.yaxis.set_major_formatter("{x:g}")
        figure.subplots_adjust(left=0.1, right=0.95, top=0.93, bottom=0.28)
    grids.write_png(path, pictures[0])


if __name__ == "__main__":
    main()
