"""What trials come to: each column's distribution, what tells them apart, and the digits they misread."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.evaluation import statistics
from mnistctl.models.published import load_published
from mnistctl.trials.conclusions import conclusion
from mnistctl.trials.journal import TrialsJournal

VERSION = 1  # of the layout
Arm = tuple[str, str]  # model and column


def summarize_trials(
    ledger: TrialsJournal, against: str | None = None, require: str | None = None
) -> dict[str, Any]:
    """All that a record of trials comes to, as NAME.json has it; the rest as in the command."""
    header, lines = ledger.header, sorted(ledger.trials.values(), key=lambda line: line["seed"])
    setting = header["setting"]
    keys = [(model, column) for model in header["models"] for column in setting["columns"][model]]
    accuracies = {
        key: {
            line["seed"]: line["results"][key[1]]
            for line in lines
            if key[0] == line["model"] and _has_result(line)
        }
        for key in keys
    }
    labels = {
        key: key[1] if len(header["models"]) == 1 or key[0] == key[1] else " ".join(key) for key in keys
    }
    beside = [] if against is None else _compare_published(against, header, keys, labels, accuracies)
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
        "failed": [_reason_of(line, "failed") for line in lines if "failed" in line],
        "diverged": [_reason_of(line, "diverged") for line in lines if "diverged" in line],
        "columns": [
            {
                "label": labels[key],
                "model": key[0],
                "column": key[1],
                "train": setting["columns"][key[0]][key[1]],
                "seeds": list(accuracies[key]),
                "accuracies": list(accuracies[key].values()),
                **(
                    asdict(statistics.summarize(list(accuracies[key].values())))
                    if accuracies[key]
                    else {"n": 0}
                ),
                "errors": _errors(lines, key),
                "confusion": _confusion(lines, key, header["support"]),
            }
            for key in keys
        ],
        "distribution": _distribution([list(accuracies[key].values()) for key in keys]),
        "comparisons": _comparisons(keys, labels, accuracies),
        "against": beside,
        "unmet": [] if require is None else _failed_requirements(require, beside),
    }


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the summary to `path`, with a checksum of the whole file.

    Raises:
        OutputError: it cannot be written.
    """
    content = json.dumps({**body, "checksum": files.CHECKSUM_PLACEHOLDER}, indent=1)
    files.write(path, files.add_checksum((_fold_numbers(content) + "\n").encode()))


def _fold_numbers(text: str) -> str:
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


def _has_result(line: Mapping[str, Any]) -> bool:
    return "results" in line


def _reason_of(line: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {"model": line["model"], "seed": line["seed"], "reason": line[state]}


def _distribution(columns: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """How many of each column's trials have each accuracy, as far as two decimals tell them apart."""
    counts = [Counter(round(value, 2) for value in values) for values in columns]
    seen = sorted(set().union(*counts))
    return [{"accuracy": value, "counts": [count[value] for count in counts]} for value in seen]


def _errors(lines: Sequence[Mapping[str, Any]], key: Arm) -> list[dict[str, Any]]:
    """Each test digit that any trial misread, the worst first: how many did, and what they read."""
    answers: dict[tuple[int, int], Counter[int]] = {}
    for index, true, answer in _wrong_answers(lines, key):
        answers.setdefault((index, true), Counter())[answer] += 1
    found = [
        {"index": index, "true": true, "wrong": read.total(), "read": dict(sorted(read.items()))}
        for (index, true), read in answers.items()
    ]
    return sorted(found, key=lambda digit: (-digit["wrong"], digit["index"]))


def _confusion(lines: Sequence[Mapping[str, Any]], key: Arm, support: Sequence[int]) -> list[list[int]]:
    """The counts [true, read] of all trials together."""
    trials = sum(1 for line in lines if line["model"] == key[0] and _has_result(line))
    counts = [[trials * n if d == read else 0 for read in range(10)] for d, n in enumerate(support)]
    for _, true, answer in _wrong_answers(lines, key):
        counts[true][true] -= 1
        counts[true][answer] += 1
    return counts


def _wrong_answers(lines: Sequence[Mapping[str, Any]], key: Arm) -> list[list[int]]:
    done = (line for line in lines if line["model"] == key[0] and _has_result(line))
    return [row for line in done for row in line["wrong"][key[1]]]


def _comparisons(
    keys: Sequence[Arm], labels: Mapping[Arm, str], accuracies: Mapping[Arm, Mapping[int, float]]
) -> list[dict[str, Any]]:
    """Every two columns: paired over the seeds they share, if two or more, else as unrelated runs."""
    pairs, found = [], []
    for one, other in combinations(keys, 2):
        common = [seed for seed in accuracies[one] if seed in accuracies[other]]
        if len(common) > 1 or len(accuracies[one]) == len(accuracies[other]) == len(common) == 1:
            first, second = ([accuracies[key][seed] for seed in common] for key in (one, other))
            found.append(statistics.paired(first, second))
        elif accuracies[one] and accuracies[other]:
            found.append(statistics.welch(list(accuracies[one].values()), list(accuracies[other].values())))
        else:
            continue
        pairs.append((labels[one], labels[other]))
    adjusted = statistics.holm([difference.p for difference in found])
    return [
        {"from": names[0], "to": names[1], **asdict(difference)}
        | {"p_adjusted": p, "says": conclusion(difference, names[0], names[1], p, len(pairs))}
        for names, difference, p in zip(pairs, found, adjusted, strict=True)
    ]


def _compare_published(
    name: str,
    header: Mapping[str, Any],
    keys: Sequence[Arm],
    labels: Mapping[Arm, str],
    accuracies: Mapping[Arm, Mapping[int, float]],
) -> list[dict[str, Any]]:
    """Each column beside the published accuracies of the model that gives it."""
    source, setting = load_published(name), header["setting"]
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
        row["unlike"] = _differences_from_published(header, setting, source)
        if not theirs or not ours:
            found.append(row | {"n": [len(theirs), len(ours)], "says": f"{model}: nothing to compare"})
            continue
        single = len(theirs) == 1
        difference = statistics.one_sample(theirs[0], ours) if single else statistics.welch(theirs, ours)
        row["published_summary"] = asdict(statistics.summarize(theirs))
        row |= asdict(difference) | {
            "says": conclusion(difference, f"{name}'s {model}", labels[key], difference.p)
        }
        found.append(row)
    return found


def _differences_from_published(
    header: Mapping[str, Any], setting: Mapping[str, Any], source: Mapping[str, Any]
) -> list[str]:
    """What the trials have otherwise than the published runs: options that were given."""
    given = [
        f"--{field.replace('_', '-')} {header['asked'][field]}"
        for field in ("epochs", "batch_size", "lr")
        if header["asked"][field] is not None
    ]
    name = setting["dataset"]["name"]
    return given + ([f"--dataset {name}"] if name != source["dataset"] else [])


def _failed_requirements(require: str, beside: Sequence[Mapping[str, Any]]) -> list[str]:
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
