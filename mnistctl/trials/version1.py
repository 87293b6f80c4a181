"""Journals and summaries of format version 1, with the keys and names of version 2."""

from contextlib import suppress
from typing import Any

from mnistctl.models.summary import RecipeSummary

_ARMS = {"regular": "baseline", "averaging": "averaged"}
_OPTIONS = {"batch": "batch_size", "rate": "lr"}
_STATISTICS = {
    "least": "min",
    "most": "max",
    "needed": "required_trials",
    "detectable": "minimum_detectable_effect",
    "says": "conclusion",
}
_METHODS = {"single": "one_sample"}


def upgrade_header(header: Any) -> Any:
    """The header of a journal."""
    settings = header["setting"]
    arms = {model: _rename(columns, _ARMS) for model, columns in settings["columns"].items()}
    return header | {"options": _rename(header["asked"], _OPTIONS), "settings": settings | {"arms": arms}}


def upgrade_trial(line: Any) -> Any:
    """The line of a trial in a journal."""
    key = {"model": line["model"], "seed": line["seed"]}
    for state in ("diverged", "failed"):
        if state in line:
            return key | {"state": state, "reason": line[state]}
    by_arm = {"accuracies": line["results"], "digests": line["digests"], "mismatches": line["wrong"]}
    clocks = {name: line.get(name) for name in ("seconds", "processor_seconds", "machine")}
    return key | {"result": {name: _rename(values, _ARMS) for name, values in by_arm.items()} | clocks}


def upgrade_note(note: Any) -> Any:
    """The note of a resumed session in a journal or a summary."""
    return _rename({"count": 0} | note, {"mixed": "mismatched_settings"})


def upgrade_summary(summary: Any) -> Any:
    """The summary of trials."""
    resumed = [upgrade_note(note) for note in summary["resumed"]]
    mismatched = {name for note in resumed for name in note.get("mismatched_settings", ())}
    return summary | {
        "version": 2,
        "recipes": {name: RecipeSummary.upgrade(recipe) for name, recipe in summary["recipes"].items()},
        "resumed": resumed,
        "mismatched_settings": sorted(mismatched),
        "arms": [_upgrade_arm(arm) for arm in summary["columns"]],
        "comparisons": [
            _upgrade_comparison(row, {"from": "first", "to": "second"}) for row in summary["comparisons"]
        ],
        "reference": [_upgrade_published(row) for row in summary["against"] if "difference" in row],
        "not_compared": [_label(row["column"]) for row in summary["against"] if "difference" not in row],
        "failed_requirements": summary["unmet"],
        "session_seconds": summary.get("sitting_seconds"),
    }


def _upgrade_arm(column: Any) -> Any:
    errors = [_rename(error, {"wrong": "errors", "read": "predicted"}) for error in column["errors"]]
    names = {"column": "arm", "train": "recipe"} | _STATISTICS
    arm = _rename(column, names) | {"errors": errors, "label": _label(column["label"])}
    return arm | {"arm": _label(column["column"])}


def _upgrade_published(row: Any) -> Any:
    upgraded = _upgrade_comparison(row, {"column": "label"})
    options = (option.removeprefix("--").split(" ", 1) for option in row["unlike"])
    return upgraded | {
        "differences_from_published": {
            _OPTIONS.get(name, name.replace("-", "_")): _number(value) for name, value in options
        },
        "published_summary": _rename(row["published_summary"], _STATISTICS),
    }


def _number(value: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value


def _upgrade_comparison(row: Any, names: dict[str, str]) -> Any:
    upgraded = _rename(row, names | _STATISTICS)
    upgraded["method"] = _METHODS.get(row["method"], row["method"])
    for name in ("first", "second", "label"):
        if name in upgraded:
            upgraded[name] = _label(upgraded[name])
    return upgraded


def _label(label: str) -> str:
    """The label of an arm, which may begin with the model's name: `swa regular`."""
    model, space, arm = label.rpartition(" ")
    return model + space + _ARMS.get(arm, arm)


def _rename(values: Any, names: dict[str, str]) -> Any:
    return {names.get(name, name): value for name, value in values.items()}
