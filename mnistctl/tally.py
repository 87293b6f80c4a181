"""What trials come to: each column's distribution, what tells them apart, and the digits they misread."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from mnistctl import files, inference
from mnistctl.errors import UsageError
from mnistctl.inference import Difference
from mnistctl.ledger import Ledger

VERSION = 1  # of the layout

_PUBLISHED = Path(__file__).with_name("published.json")

Key = tuple[str, str]  # model and column


def published(name: str) -> dict[str, Any]:
    """The accuracies that `name` published, their source, and the data set they are of.

    Raises:
        UsageError: none are known.
    """
    known: dict[str, dict[str, Any]] = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    if name not in known:
        raise UsageError(f"--against {name!r}: there is {', '.join(known)}")
    return known[name]


def tally(ledger: Ledger, against: str | None = None, require: str | None = None) -> dict[str, Any]:
    """All that a record of trials comes to, as NAME.json has it; the rest as in the command."""
    header, lines = ledger.header, sorted(ledger.trials.values(), key=lambda line: line["seed"])
    setting = header["setting"]
    keys = [(model, column) for model in header["models"] for column in setting["columns"][model]]
    accuracies = {
        key: {
            line["seed"]: line["results"][key[1]] for line in lines if key[0] == line["model"] and _done(line)
        }
        for key in keys
    }
    labels = {
        key: key[1] if len(header["models"]) == 1 or key[0] == key[1] else " ".join(key) for key in keys
    }
    beside = [] if against is None else _against(against, header, keys, labels, accuracies)
    return {
        "version": VERSION,
        "models": header["models"],
        "seed": header["seed"],
        "count": ledger.count,
        **setting,
        "started": header["started"],
        "machine": header["machine"],
        "resumed": ledger.resumed,
        "mixed": any("mixed" in note for note in ledger.resumed),
        "trial_seconds": sum(line.get("seconds", 0.0) for line in lines),
        "failed": [_brief(line, "failed") for line in lines if "failed" in line],
        "diverged": [_brief(line, "diverged") for line in lines if "diverged" in line],
        "columns": [
            {
                "label": labels[key],
                "model": key[0],
                "column": key[1],
                "train": setting["columns"][key[0]][key[1]],
                "seeds": list(accuracies[key]),
                "accuracies": list(accuracies[key].values()),
                **(
                    asdict(inference.summary(list(accuracies[key].values()))) if accuracies[key] else {"n": 0}
                ),
                "errors": _errors(lines, key),
                "confusion": _confusion(lines, key, header["support"]),
            }
            for key in keys
        ],
        "distribution": _distribution([list(accuracies[key].values()) for key in keys]),
        "comparisons": _comparisons(keys, labels, accuracies),
        "against": beside,
        "unmet": [] if require is None else _unmet(require, beside),
    }


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the summary to `path`, with a checksum of the whole file.

    Raises:
        OutputError: it cannot be written.
    """
    content = json.dumps({**body, "checksum": files.UNSIGNED}, indent=1)
    files.write(path, files.signed((_folded(content) + "\n").encode()))


def _folded(text: str) -> str:
    # Rows of numbers in one line each: a thousand wrong digits would take ten thousand.
    out: list[str] = []
    row: list[str] | None = None
    for line in text.split("\n"):
        bare = line.strip()
        if row is not None and (bare.rstrip(",").lstrip("-")[:1].isdigit() or bare in ("]", "],")):
            row.append(bare)
            if bare[0] == "]":
                out.append(row[0] + " ".join(row[1:-1]) + row[-1])
                row = None
            continue
        if row is not None:
            out.extend(row)
            row = None
        if bare.endswith("["):
            row = [line]
        else:
            out.append(line)
    return "\n".join(out)


def _done(line: Mapping[str, Any]) -> bool:
    return "results" in line


def _brief(line: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {"model": line["model"], "seed": line["seed"], "reason": line[state]}


def _distribution(columns: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """How many of each column's trials have each accuracy, as far as two decimals tell them apart."""
    counts = [Counter(round(value, 2) for value in values) for values in columns]
    seen = sorted(set().union(*counts))
    return [{"accuracy": value, "counts": [count[value] for count in counts]} for value in seen]


def _errors(lines: Sequence[Mapping[str, Any]], key: Key) -> list[dict[str, Any]]:
    """Each test digit that any trial misread, the worst first: how many did, and what they read."""
    answers: dict[tuple[int, int], Counter[int]] = {}
    for index, true, answer in _wrong(lines, key):
        answers.setdefault((index, true), Counter())[answer] += 1
    found = [
        {"index": index, "true": true, "wrong": read.total(), "read": dict(sorted(read.items()))}
        for (index, true), read in answers.items()
    ]
    return sorted(found, key=lambda digit: (-digit["wrong"], digit["index"]))


def _confusion(lines: Sequence[Mapping[str, Any]], key: Key, support: Sequence[int]) -> list[list[int]]:
    """The counts [true, read] of all trials together."""
    trials = sum(1 for line in lines if line["model"] == key[0] and _done(line))
    counts = [[trials * n if d == read else 0 for read in range(10)] for d, n in enumerate(support)]
    for _, true, answer in _wrong(lines, key):
        counts[true][true] -= 1
        counts[true][answer] += 1
    return counts


def _wrong(lines: Sequence[Mapping[str, Any]], key: Key) -> list[list[int]]:
    done = (line for line in lines if line["model"] == key[0] and _done(line))
    return [row for line in done for row in line["wrong"][key[1]]]


def _comparisons(
    keys: Sequence[Key], labels: Mapping[Key, str], accuracies: Mapping[Key, Mapping[int, float]]
) -> list[dict[str, Any]]:
    """Every two columns: paired over the seeds they share, if two or more, else as unrelated runs."""
    pairs, found = [], []
    for one, other in combinations(keys, 2):
        common = [seed for seed in accuracies[one] if seed in accuracies[other]]
        if len(common) > 1 or len(accuracies[one]) == len(accuracies[other]) == len(common) == 1:
            first, second = ([accuracies[key][seed] for seed in common] for key in (one, other))
            found.append(inference.paired(first, second))
        elif accuracies[one] and accuracies[other]:
            found.append(inference.welch(list(accuracies[one].values()), list(accuracies[other].values())))
        else:
            continue
        pairs.append((labels[one], labels[other]))
    adjusted = inference.holm([difference.p for difference in found])
    return [
        {"from": names[0], "to": names[1], **asdict(difference)}
        | {"p_adjusted": p, "says": says(difference, names[0], names[1], p, len(pairs))}
        for names, difference, p in zip(pairs, found, adjusted, strict=True)
    ]


def _against(
    name: str,
    header: Mapping[str, Any],
    keys: Sequence[Key],
    labels: Mapping[Key, str],
    accuracies: Mapping[Key, Mapping[int, float]],
) -> list[dict[str, Any]]:
    """Each column beside the published accuracies of the model that gives it."""
    source, setting = published(name), header["setting"]
    found = []
    for key in keys:
        model, ours = setting["columns"][key[0]][key[1]], list(accuracies[key].values())
        theirs = source["models"].get(model, {}).get("accuracies", [])
        row: dict[str, Any] = {
            "column": labels[key],
            "model": model,
            "published": name,
            "source": source["source"],
        }
        row["unlike"] = _unlike(header, setting, source)
        if not theirs or not ours:
            found.append(row | {"n": [len(theirs), len(ours)], "says": f"{model}: nothing to compare"})
            continue
        single = len(theirs) == 1
        difference = inference.single(theirs[0], ours) if single else inference.welch(theirs, ours)
        row["published_summary"] = asdict(inference.summary(theirs))
        row |= asdict(difference) | {"says": says(difference, f"{name}'s {model}", labels[key], difference.p)}
        found.append(row)
    return found


def _unlike(header: Mapping[str, Any], setting: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """What the trials have otherwise than the published runs: options that were given."""
    given = [
        f"--{field} {header['asked'][field]}"
        for field in ("epochs", "batch", "rate")
        if header["asked"][field] is not None
    ]
    name = setting["dataset"]["name"]
    return given + ([f"--dataset {name}"] if name != source["dataset"] else [])


def _unmet(require: str, beside: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which columns do not show what is required: with no interval, none does."""
    unmet = []
    for row in beside:
        low, high = _interval(row)
        if low is None or high is None:
            unmet.append(f"{row['column']}: too few runs for an interval")
        elif (high if require == "same" else low) < 0 or (require == "better" and low == 0):
            unmet.append(
                f"{row['column']} is not shown to be {'as good' if require == 'same' else 'better'}: "
                f"{row['difference']:+z.4f} points ({low:+z.4f} to {high:+z.4f})"
            )
    return unmet


def _interval(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if row.get("interval") is not None:
        return row["interval"][0], row["interval"][1]
    if row["n"][1] > 1 and row.get("method") == "welch":  # no spread at all in either
        return row["difference"], row["difference"]
    return None, None


def says(found: Difference, one: str, other: str, p: float | None, comparisons: int = 1) -> str:
    """In one sentence, what the numbers allow to be said of the second column beside the first."""
    runs = _runs(found)
    if found.p is None or found.interval is None or p is None:
        return _without_spread(found, one, other, runs)
    size = f"{abs(found.difference):.4f} points"
    holm = f", Holm-adjusted for {comparisons} comparisons" if comparisons > 1 else ""
    low, high = found.interval
    span = f"95 % interval {low:+z.4f} to {high:+z.4f}, {probability(p)}{holm}"
    if p < 1 - inference.LEVEL:
        way = "above" if found.difference > 0 else "below"
        return f"{other} is {size} {way} {one} ({span})"
    if found.settled:
        alone = f"{other} would be {size} off {one} if nothing else were compared"
        return f"{alone}; as one of {comparisons} comparisons it may be chance ({span})"
    least = f"{runs} would show {found.detectable:.4f} or more" if found.detectable is not None else ""
    if found.method == "single":
        return f"{other} could be of one kind with {one}, a single run ({span}); {least} at 80 % power"
    if found.needed is None:
        more = f"no number of trials would settle a difference so small; {least} at 80 % power"
    else:
        each = "pairs" if found.method == "paired" else "trials of each"
        more = f"if it is {size} indeed, {found.needed:,} {each} would settle it at 80 % power, where {least}"
    return f"{runs} do not tell {other} from {one} ({span}); {more}"


def probability(p: float) -> str:
    """A p-value as it is printed."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


def _runs(found: Difference) -> str:
    if found.method == "paired":
        return f"{found.n[0]} pairs" if found.n[0] > 1 else "1 pair"
    runs = "run" if found.n[1] == 1 else "runs"
    return f"{found.n[1]} {runs} beside {found.n[0]}"


def _without_spread(found: Difference, one: str, other: str, runs: str) -> str:
    if min(found.n) < 2 and not (found.method == "single" and found.n[1] > 1):
        return f"{runs} say nothing of the spread, and so nothing of {other} beside {one}: give -n 2 or more"
    size, way = f"{abs(found.difference):.4f} points", "above" if found.difference > 0 else "below"
    if abs(found.difference) < 1e-9:
        return f"{other} and {one} are alike in all of {runs}: no difference is to be seen, nor any spread"
    if found.permutation_p is not None:
        chance = f"by chance of signs {probability(found.permutation_p)}"
        return f"{other} is {size} {way} {one} in each of {runs}, without any spread; {chance}"
    return f"{other} is {size} {way} {one} in {runs} without any spread, which no t test can weigh"
