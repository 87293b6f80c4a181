"""Simulate comparisons that are checked after every pair: python bench/sequential.py [--out FILE] [--savvi].

Each of 2,000 comparisons per row draws differences of pairs and stops when they are settled, or after 1,000
pairs. The differences are Gaussian, or resampled from the trials in records/. With --savvi the e-values are
compared with those of the package savvi 0.3.1, which must be installed for it.
"""

import argparse
import json
import math
import statistics as stdlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mnistctl.evaluation.sequential import SequentialTest, StoppingRule, settle
from mnistctl.evaluation.statistics import required_trials
from mnistctl.nn.device import hardware_info
from mnistctl.trials import journal

RECORDS = Path(__file__).parents[1] / "records"
COMPARISONS, MOST = 2_000, 1_000
MAX_ERRORS = 0.06  # 5 % and two standard errors of 2,000 comparisons
NO_MARGIN = 1e-6  # too small for anything to be settled as less than it
RESOLUTION = 0.01  # points; one of 10,000 images
Draw = Callable[[np.random.Generator, int], Any]  # generator, number of pairs -> differences in points


def draw_normal(generator: np.random.Generator, n: int) -> Any:
    """Gaussian differences with a mean of 0 and an SD of 1."""
    return generator.normal(size=n)


def resample(values: list[float]) -> Draw:
    """Draws of the values, shifted so that their mean is 0."""
    centred = np.array(values) - np.mean(values)
    return lambda generator, n: generator.choice(centred, size=n)


def resample_two(values: list[float]) -> Draw:
    """Differences of two draws of the values."""
    return lambda generator, n: np.diff(generator.choice(np.array(values), size=(2, n)), axis=0)[0]


def accuracies(name: str) -> dict[str, list[float]]:
    """The accuracies of each arm of the trials in records/, in the order of the seeds."""
    entries = journal.read(RECORDS / f"{name}.jsonl")
    assert entries is not None
    records = sorted(entries.trials.values(), key=lambda record: record.seed)
    results = [record.result for record in records if record.result is not None]
    return {arm: [result.accuracies[arm] for result in results] for arm in results[0].accuracies}


def resampled_sources() -> dict[str, Draw]:
    """What differences without a true difference are drawn from."""
    sources: dict[str, Draw] = {}
    for name in ("trials-swa-8", "trials-swa-10"):
        arms = accuracies(name)
        pairs = zip(arms["baseline"], arms["averaged"], strict=True)
        sources[f"{name}: averaged minus baseline, less their mean"] = resample([b - a for a, b in pairs])
    sources["trials-swa-8: two of baseline"] = resample_two(accuracies("trials-swa-8")["baseline"])
    sources["trials-logit-20: two of logit"] = resample_two(accuracies("trials-logit-20")["logit"])
    sources["trials-linear-5: two of linear"] = resample_two(accuracies("trials-linear-5")["linear"])
    return sources


def simulate(draw: Draw, true: float, margin: float, resolution: float, seed: int) -> dict[str, Any]:
    """How 2,000 comparisons with this true difference end, and after how many pairs."""
    generator, rule = np.random.default_rng(seed), StoppingRule(margin=margin)
    looks = [settle(draw(generator, MOST) + true, rule, resolution) for _ in range(COMPARISONS)]
    ends = Counter(look.decision for look in looks if look is not None)
    pairs = sorted(look.n for look in looks if look is not None)
    return {
        "true_difference": true,
        "margin": margin,
        **{decision: ends[decision] / COMPARISONS for decision in ("differ", "equivalent", "not settled")},
        "mean_pairs": round(stdlib.fmean(pairs), 1),
        "median_pairs": stdlib.median(pairs),
        "pairs_of_80_percent": pairs[math.ceil(0.8 * COMPARISONS) - 1],
    }


def without_difference() -> list[dict[str, Any]]:
    """Comparisons without a true difference, and with no margin that could end them earlier."""
    rows = [{"source": "normal"} | simulate(draw_normal, 0.0, NO_MARGIN, 0.0, 0)]
    for seed, (name, draw) in enumerate(resampled_sources().items(), start=1):
        rows.append({"source": name} | simulate(draw, 0.0, NO_MARGIN, RESOLUTION, seed))
    for row in rows:
        assert row["differ"] <= MAX_ERRORS, row
    return rows


def difference_of_the_margin() -> list[dict[str, Any]]:
    """Comparisons whose true difference is the margin, so that "less than the margin" is wrong."""
    rows = []
    for seed, margin in enumerate((0.25, 0.5, 1.0, 2.0)):
        rows.append({"source": "normal"} | simulate(draw_normal, margin, margin, 0.0, 100 + seed))
    for seed, (name, draw) in enumerate(resampled_sources().items()):
        sd = float(np.std(draw(np.random.default_rng(0), 100_000)))
        for number, margin in enumerate((0.5, 1.0)):
            result = simulate(draw, margin * sd, margin * sd, RESOLUTION, 200 + 2 * seed + number)
            rows.append({"source": name, "sd": sd} | result)
    for row in rows:
        assert row["equivalent"] <= MAX_ERRORS, row
    return rows


def with_difference() -> list[dict[str, Any]]:
    """Pairs until "differ" for true differences in SDs, beside those of a t test with 80 % power."""
    rows = []
    for seed, true in enumerate((0.5, 1.0, 2.0)):
        fixed = required_trials(true, lambda n: (1 / math.sqrt(n), n - 1))
        row = simulate(draw_normal, true, NO_MARGIN, 0.0, 300 + seed)
        rows.append({"source": "normal", "fixed_n_pairs": fixed} | row)
    return rows


def equal_arms() -> list[dict[str, Any]]:
    """Pairs until "equivalent" without a true difference, for margins in SDs."""
    return [
        {"source": "normal"} | simulate(draw_normal, 0.0, margin, 0.0, 400 + seed)
        for seed, margin in enumerate((0.5, 1.0, 2.0))
    ]


def repeated_t_test(most: int = 100) -> dict[str, Any]:
    """How often the usual t test is significant at any of 2 to `most` pairs without a true difference."""
    values = np.random.default_rng(500).normal(size=(COMPARISONS, most))
    n = np.arange(1, most + 1)
    mean = values.cumsum(1) / n
    squares = (values**2).cumsum(1) - n * mean**2
    t = np.abs(mean[:, 1:]) / np.sqrt(squares[:, 1:] / n[:-1] / n[1:])
    significant = (t > stats.t.ppf(0.975, n[:-1])).any(1)
    return {"comparisons": COMPARISONS, "most_pairs": most, "differ": float(significant.mean())}


def savvi_values() -> Iterator[float]:
    """The difference of log e-values from savvi's for 1,000 sequences of up to 200 pairs."""
    from savvi.linear_regression import log_bf

    generator = np.random.default_rng(600)
    for _ in range(1_000):
        c = float(generator.choice([0.3, 1.0, 3.0]))
        values = generator.normal(generator.normal(), generator.exponential(), size=200)
        test = SequentialTest(StoppingRule(margin=1.0, scale=c))
        for n, value in enumerate(values, start=1):
            look = test.add(float(value))
            if look.sd is not None and look.e_value < 1e300:
                t2 = n * look.difference**2 / look.sd**2
                yield abs(math.log(look.e_value) - float(log_bf(t2, n - 1, c**2, n)))


def main() -> None:
    """Simulate, print the rows, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--savvi", action="store_true")
    arguments = parser.parse_args()
    body: dict[str, Any] = {
        "command": "python bench/sequential.py" + (" --savvi" if arguments.savvi else ""),
        "machine": hardware_info() | {"numpy": np.__version__},
        "comparisons": COMPARISONS,
        "most_pairs": MOST,
        "without_difference": without_difference(),
        "difference_of_the_margin": difference_of_the_margin(),
        "with_difference": with_difference(),
        "equal_arms": equal_arms(),
        "repeated_t_test": repeated_t_test(),
    }
    if arguments.savvi:
        from importlib.metadata import version

        found = list(savvi_values())
        body["savvi"] = {"version": version("savvi"), "looks": len(found), "largest_difference": max(found)}
    text = json.dumps(body, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
