"""Make docs/results.md and docs/results.png from the records in records/.

python tools/results.py [RECORDS [DOCS]]
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import averaging
import costs
from loss_curves import draw_curves, loss_rows, read_curves

from mnistctl import models
from mnistctl.artifacts import files
from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.models.summary import RecipeSummary, summarize_recipe
from mnistctl.training.record import RunRecord, read_record
from mnistctl.trials import journal
from mnistctl.trials.conclusions import conclusion
from mnistctl.trials.journal import TrialsJournal

ROOT = Path(__file__).parents[1]
SOURCE = "ktorch"  # of the published accuracies
# Seconds that its documentation gives for 12 cores.
PUBLISHED_SECONDS = {"logit": 1.65, "linear": 30.0, "conv": 380.0, "lstm": 780.0, "cgan": 2400.0}


@dataclass(frozen=True)
class Result:
    """The accuracy of one seed: of a run, or of one arm of a trial."""

    model: str
    seed: int
    accuracy: float
    recipe: RecipeSummary
    precision: str
    dataset: str
    record: str

    @property
    def full(self) -> bool:
        """Whether this is the model's recipe in full: all its epochs, in float32, on MNIST."""
        full_recipe = _full_recipe(self.model)
        # Older records have fewer keys.
        recipe = {name: value for name, value in self.recipe.to_json().items() if value is not None}
        same = all(full_recipe[name] == value for name, value in recipe.items())
        return same and self.precision == "float32" and self.dataset == "mnist"


@cache
def _full_recipe(model: str) -> dict[str, Any]:
    """The values of the model's recipe in full, as records have them."""
    return summarize_recipe(models.load(model)).to_json()


def main() -> None:
    """Write the page and its picture."""
    records = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "records"
    docs = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs"
    files.write(docs / "results.md", make_page(records))
    draw_curves(read_curves(records, read_runs(records)), docs / "results.png")


def make_page(records: Path) -> str:
    """The text of docs/results.md for the folder `records`."""
    runs, trials, results = read_runs(records), read_trials(records), read_results(records)
    averaged = averaging.find_averaging(trials, load_published(SOURCE))
    timed = {f"clock/{name}": run for name, run in read_runs(records / "clock").items()}
    spent = costs.find_costs(records, runs, trials)
    parts = [
        "# Results",
        _OPENING,
        "## Full recipes",
        _table(_FULL_HEAD, _full_rows(results)),
        "### Conclusions",
        "\n".join(_conclusions(results, records)),
        "## Does averaging help?",
        averaging.TEXT,
        averaging.answer(averaged[0]),
        _table(averaging.HEAD, averaging.table_rows(averaged)),
        "\n".join(averaging.conclusions(averaged)),
        "## Shorter runs and bfloat16",
        _SHORTER,
        _table(_SHORT_HEAD, _short_rows(results)),
        "## Generators",
        _table(_GENERATORS_HEAD, _generator_rows(records, runs | timed)),
        "## Training losses",
        "![training loss by epoch, one panel per model](results.png)",
        _LOSSES,
        _table(_LOSSES_HEAD, loss_rows(runs)),
        "## Cost",
        costs.TEXT,
        _table(costs.HEAD, costs.table_rows(spent)),
        costs.total(spent),
        "## The original's time",
        _TIMES,
        _table(_TIMES_HEAD, _times_rows(timed)),
        _LOST_TIME,
    ]
    return "\n\n".join(parts) + "\n"


_OPENING = """\
The accuracy of every recipe that was run with this tool, next to the accuracy that ktorch published, if any.
`python tools/results.py` makes this page from `records/`; a test checks that it gives exactly this page.
Accuracies are in percent, on MNIST's 10,000 test images, after the last epoch or of the averaged weights.
Intervals are 95 % t intervals."""

_SHORTER = """\
These runs differ from the full recipe: fewer epochs (the learning rate still anneals over all of them),
another precision or another data set. The published mean of the full recipe is given for orientation."""

_LOSSES = """\
Mean training loss of each epoch, label smoothing included; for a generator, the median over the batches.
Full runs of one model have different seeds. The short lines of simple and wsimple are runs of fewer epochs in
bfloat16. All classifiers share one scale. Runs of a single epoch have no line. The table has the epochs whose
losses ktorch's documentation prints, and the full run of seed 0; [generators](generators.md#losses) has those
of gan and cgan."""

_TIMES = """\
Whole runs, each alone on the machine, next to the times that ktorch's documentation gives for a 12-core i7.
*Ratio* is our time divided by the original's: above 1, ours took longer. Our time includes scoring
the test images after every epoch. The records are in `records/clock/`."""

_LOST_TIME = """\
With logit and linear, the two cores here take about twice as long. A step of logit consists of short calls
and of converting pixels; the products of linear are almost as fast as a large matrix product, so only more
cores would help ([where the time of a step goes](speed.md#where-the-time-of-a-step-goes)). cgan was run
with its second seed, 1. There are no runs in bfloat16: on this processor it is slower than float32 with
every recipe (`records/speed-xeon-2.json`)."""

_FULL_HEAD = "model | published: n | mean | here: n | mean | SD | interval | difference | interval | records"
_SHORT_HEAD = "record | model | data set | epochs | precision | seeds | accuracy | SD | published, in full"
_GENERATORS_HEAD = (
    "record | seed | epochs | precision | losses: discriminator | generator | Fréchet distance "
    "| of real images | conditional accuracy, %"
)
_LOSSES_HEAD = "training loss in epoch | 1 | 2 | 3 | 48 | 49 | 50"
_TIMES_HEAD = (
    "model | epochs | original, 12 cores, s | here, s | threads | precision | ratio | accuracy "
    "| processor type"
)


def _table(head: str, rows: Iterable[Sequence[object]]) -> str:
    lines = [head.split(" | "), ["---"] * (head.count("|") + 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _read_json(path: Path) -> dict[str, Any]:
    body = json.loads(path.read_text())
    assert isinstance(body, dict)
    return body


def read_runs(records: Path) -> dict[str, RunRecord]:
    """The records of runs of shipped models, by name. Other JSON files have no recipe and seed."""
    runs = {}
    for path in sorted(records.glob("*.json"), key=lambda path: path.stem):
        if {"recipe", "seed"} <= _read_json(path).keys():
            run = read_record(path)
            assert run is not None
            if run.origin is None:
                runs[path.stem] = run
    return runs


def read_trials(records: Path) -> dict[str, TrialsJournal]:
    """The journals of trials, by name. Other .jsonl files are the logs of runs."""
    journals = {}
    for path in sorted(records.glob("*.jsonl")):
        if '"models"' in path.read_text().partition("\n")[0]:
            trials = journal.read(path)
            assert trials is not None
            journals[path.stem] = trials
    return journals


def read_results(records: Path) -> list[Result]:
    """Every accuracy in the folder `records`."""
    return [*_results_of_runs(read_runs(records)), *_results_of_trials(read_trials(records))]


def _results_of_runs(runs: dict[str, RunRecord]) -> Iterator[Result]:
    for name, run in runs.items():
        if run.accuracy is not None:
            yield Result(
                run.model,
                run.seed,
                run.accuracy,
                run.recipe,
                run.precision,
                run.dataset.name,
                name,
            )


def _results_of_trials(trials: dict[str, TrialsJournal]) -> Iterator[Result]:
    for name, entries in trials.items():
        settings = entries.header.settings
        for (model, seed), trial in sorted(entries.trials.items()):
            accuracies = {} if trial.result is None else trial.result.accuracies
            for arm, accuracy in accuracies.items():
                recipe = settings.arms[model][arm]
                yield Result(
                    recipe,
                    seed,
                    accuracy,
                    settings.recipes[recipe],
                    settings.precision,
                    settings.dataset.name,
                    name,
                )


def choose_results(results: Sequence[Result], model: str) -> dict[int, Result]:
    """One result of the full recipe for each seed, of the record with the most seeds."""
    full = [result for result in results if result.model == model and result.full]
    seeds = Counter(result.record for result in full)
    chosen: dict[int, Result] = {}
    for result in sorted(full, key=lambda result: (result.seed, -seeds[result.record], result.record)):
        chosen.setdefault(result.seed, result)
    return chosen


def published_accuracies(model: str) -> list[float]:
    """The published accuracies of the recipe, one per run; none if it is a recipe of this package."""
    return list(load_published(SOURCE).accuracies(model))


def compare_with_published(model: str, accuracies: Sequence[float]) -> statistics.Difference | None:
    """The difference from the published accuracies; None if there are none."""
    published = published_accuracies(model)
    if not published:
        return None
    if len(published) == 1:
        return statistics.one_sample(published[0], accuracies)
    if len(accuracies) == 1:
        return _reverse(statistics.one_sample(accuracies[0], published))
    return statistics.welch(published, accuracies)


def _reverse(difference: statistics.Difference) -> statistics.Difference:
    """The first sample minus the second one."""
    low, high = difference.interval or (None, None)
    interval = None if low is None or high is None else (-high, -low)
    t = None if difference.t is None else -difference.t
    return replace(difference, difference=-difference.difference, interval=interval, t=t)


def _full_rows(results: Sequence[Result]) -> Iterator[Sequence[object]]:
    for model in models.CLASSIFIERS:
        published, runs = published_accuracies(model), choose_results(results, model)
        left = (model, len(published) or "", _format_mean(published))
        if not runs:
            yield (*left, 0, "not run in full", "", "", "", "", "")
            continue
        accuracies = [result.accuracy for result in runs.values()]
        ours, difference = statistics.summarize(accuracies), compare_with_published(model, accuracies)
        names = [f"`{name}`" for name in sorted({result.record for result in runs.values()})]
        yield (
            *(*left, ours.n, f"{ours.mean:.3f}", _format_sd(ours)),
            *(_format_interval(ours.interval, ""), *_format_difference(difference), ", ".join(names)),
        )


def _format_sd(summary: statistics.Summary) -> str:
    return "" if summary.sd is None else f"{summary.sd:.3f}"


def _format_interval(interval: tuple[float, float] | None, sign: str) -> str:
    return "" if interval is None else " to ".join(f"{end:{sign}.3f}" for end in interval)


def _format_difference(difference: statistics.Difference | None) -> tuple[str, str]:
    """The difference and its interval."""
    if difference is None:
        return "", ""
    return f"{difference.difference:+.3f}", _format_interval(difference.interval, "+")


def _format_mean(values: Sequence[float]) -> str:
    return f"{statistics.summarize(values).mean:.3f}" if values else ""


def _conclusions(results: Sequence[Result], records: Path) -> Iterator[str]:
    for model in models.CLASSIFIERS:
        accuracies = [result.accuracy for result in choose_results(results, model).values()]
        if not published_accuracies(model):
            yield f"- {model} is a recipe of this package: there are no published accuracies to compare with."
        elif accuracies and (difference := compare_with_published(model, accuracies)):
            yield f"- {conclusion(difference, f'the published {model}', model, difference.p)}."
    for path in sorted(records.glob("paths*.json")):
        paths = _read_json(path)
        yield (
            f"- {paths['recipe']}, {len(paths['fast'])} seeds each with this tool and with a plain loop: "
            f"means {_format_mean(paths['fast'])} and {_format_mean(paths['plain'])}, difference "
            f"{paths['difference']:+.3f} ({_format_interval(paths['interval'], '+')}; `{path.stem}`)."
        )


def _short_rows(results: Sequence[Result]) -> Iterator[Sequence[object]]:
    order = list(models.CLASSIFIERS)
    groups: dict[tuple[int, str], list[Result]] = {}
    for result in results:
        if not result.full:
            groups.setdefault((order.index(result.model), result.record), []).append(result)
    for (_, record), group in sorted(groups.items()):
        first, summary = group[0], statistics.summarize([result.accuracy for result in group])
        yield (
            *(f"`{record}`", first.model, first.dataset, first.recipe.epochs, first.precision),
            *(summary.n, f"{summary.mean:.3f}", _format_sd(summary)),
            _format_mean(published_accuracies(first.model)),
        )


def _generator_rows(records: Path, runs: dict[str, RunRecord]) -> Iterator[Sequence[object]]:
    for name, run in runs.items():
        if run.discriminator_losses and run.generator_losses:
            evaluation = _read_json(records / f"{name}-eval.json")
            frechet = evaluation["frechet"]
            # Evaluations of the first version have other keys.
            reference = evaluation.get("frechet_floor", frechet.get("real_reference"))
            conditional = evaluation.get("asked", evaluation.get("conditional_accuracy"))
            losses = run.discriminator_losses[-1], run.generator_losses[-1]
            accuracy = "" if conditional is None else f"{conditional['value']:.2f}"
            about = f"`{name}`", run.seed, run.recipe.epochs, run.precision
            yield (*about, *(f"{score:.3f}" for score in (*losses, frechet["value"], reference)), accuracy)


def _times_rows(runs: dict[str, RunRecord]) -> Iterator[Sequence[object]]:
    for model, published in PUBLISHED_SECONDS.items():
        for run in (run for run in runs.values() if run.model == model):
            accuracy = "" if run.accuracy is None else f"{run.accuracy:.2f}"
            yield (
                *(model, run.recipe.epochs, f"{published:,g}", f"{run.seconds:,.1f}", run.threads),
                *(run.precision, f"{run.seconds / published:.2f}", accuracy, run.machine.processor),
            )


if __name__ == "__main__":
    main()
