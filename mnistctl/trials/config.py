"""Trials that are ready to run: options that are checked, completed, and compared with the journal."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mnistctl.artifacts import files
from mnistctl.data import datasets
from mnistctl.data.holdout import default_count
from mnistctl.errors import CheckpointError, UsageError, suggest
from mnistctl.models.published import load_published
from mnistctl.models.recipe import ClassifierRecipe
from mnistctl.models.summary import summarize_recipe
from mnistctl.nn.device import autocast_for, get_device
from mnistctl.training.config import TrainingData, load_training_data
from mnistctl.training.environment import machine_info, versions
from mnistctl.trials.entries import VERSION, JournalHeader, ResumeNote, SharedSettings, compare_settings
from mnistctl.trials.executors import Backend
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.nets import KeptNets
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.scheduler import TrialKey
from mnistctl.trials.winner import lacks_winner
from mnistctl.trials.worker import arms_of, recipes_of

_MAX_VALUE = 40  # characters of a setting in a message


@dataclass(frozen=True)
class TrialsConfig:
    """Trials that are ready to run.

    Args:
        options: the options, completed from the journal if the trials are resumed.
        header: the header of a new journal with these options.
        existing: the journal to continue; None for new trials.
        remaining: the trials to run.
        note: what to add to the journal before; None if nothing changes.
        already: the journal is complete, and nothing is to be run.
    """

    options: TrialsOptions
    header: JournalHeader
    existing: TrialsJournal | None
    remaining: list[TrialKey]
    note: ResumeNote | None = None
    already: bool = False

    @property
    def nets(self) -> KeptNets | None:
        """Where the nets of a sweep are kept until its winner is scored; None if they are not needed."""
        return KeptNets(self.options.run_path) if self.header.has_winner else None


def resolve(
    options: TrialsOptions,
    backend: Backend,
    existing: TrialsJournal | None,
    *,
    resume: bool,
    allow_mixed: bool,
    reference: str | None = None,
) -> TrialsConfig:
    """Complete the options, load the data set, and check that they fit the existing journal.

    Raises:
        UsageError, DataError, CheckpointError: as `run_trials`.
    """
    path = options.journal_path
    if not resume:
        options = _with_default_holdout(options, existing)
    if existing is None:
        if resume:
            folder = path.parent
            unfinished = {*files.list_runs(folder, "jsonl")} - {*files.list_runs(folder, "json")}
            hint = suggest(path.stem, sorted(unfinished)).removesuffix(";")
            raise CheckpointError(f"{path}: no trials to resume{hint}", remedies=("start",))
        return TrialsConfig(options, _new_header(options, backend), None, options.keys())
    if resume:
        options = options.with_saved(existing, path)
        options.check()
        check_reference(options, reference)
    header = _new_header(options, backend)
    mismatched = compare_settings(existing.header.settings, header.settings)
    remaining = _remaining(existing, options)
    already = not resume or not (remaining or lacks_winner(existing))
    config = TrialsConfig(options, header, existing, remaining, already=already)
    if not resume:
        _require_complete(config, mismatched)
        return config
    if mismatched and not allow_mixed:
        message = f"{path}: its trials have other settings ({_describe(mismatched)})"
        raise CheckpointError(message, remedies=("allow_mixed", "overwrite"))
    if remaining and existing.header.version != VERSION:
        message = f"{path}: trials of an earlier version cannot be resumed"
        raise CheckpointError(message, remedies=("overwrite", "name"))
    return config if already else replace(config, note=_resume_note(existing, options, mismatched))


def check_arguments(
    options: TrialsOptions,
    backend: Backend,
    overwrite: bool,
    resume: bool,
    allow_mixed: bool,
    reference: str | None,
    require: str | None,
) -> None:
    """Check the arguments of `run_trials` as far as no file and no data set is needed for it.

    Raises:
        UsageError: they do not go together, a number is out of range, or a model or device does not exist.
    """
    if resume and overwrite:
        message = "trials cannot be resumed and overwritten at once"
        raise UsageError(message, remedies=("resume", "overwrite"))
    if allow_mixed and not resume:
        message = "applies only to resumed trials"
        raise UsageError(message, field="allow_mixed", remedies=("with_resume",))
    if require is not None and reference is None:
        message = "needs published accuracies to compare with"
        raise UsageError(message, field="require", value=require, remedies=("reference",))
    if reference is not None:
        load_published(reference)
    check_reference(options, reference)
    if options.count is None and not resume:
        raise UsageError("missing number of trials of each model", remedies=("count",))
    options.check()
    options.run_path  # noqa: B018 - raises if the name cannot be used
    if backend.local:
        autocast_for(options.options.get("precision"), get_device(options.options.get("device")))


def check_reference(options: TrialsOptions, reference: str | None) -> None:
    """Check that the trials can be compared with published accuracies.

    Raises:
        UsageError: their recipes are varied, their number is not fixed, or they score held-out digits.
    """
    if reference is None:
        return
    if options.sweep is not None:
        message = "compares recipes as they were published, not varied ones"
    elif options.until is not None:
        message = "its test needs a fixed number of trials, and these end when they are settled"
    elif options.options.holdout:
        message = "the published accuracies are of the test set, and these trials score held-out digits"
    else:
        return
    raise UsageError(message, field="reference", value=reference)


def _load_data(options: TrialsOptions, recipes: Sequence[ClassifierRecipe]) -> TrainingData:
    """The digits of the trials; what is wrong with a varied batch size is said of `vary`."""
    try:
        return load_training_data(options.options, recipes)
    except UsageError as error:
        if error.field != "batch_size" or options.sweep is None or "batch_size" not in options.sweep.values:
            raise
        raise UsageError(error.message, field="vary", value=f"batch_size={error.value}") from None


def _new_header(options: TrialsOptions, backend: Backend) -> JournalHeader:
    """The header of a new journal. It loads the data set and resolves the device and the recipes."""
    run = options.options
    device = run.get("device")
    target = get_device(device) if backend.local else None  # of a cluster, this machine may not have it
    if target is not None:
        autocast_for(run.get("precision"), target)
    if backend.local or device == "auto":
        device = str(get_device(device).type)
    sweep = options.sweep is not None
    arms = {model.name: arms_of(model, sweep=sweep) for model in options.models}
    recipes: dict[str, ClassifierRecipe] = {}
    for model in options.models:
        of_arms = recipes_of(model, run, sweep=sweep)
        recipes |= {name: of_arms[arm] for arm, name in arms[model.name].items()}
    data = _load_data(options, list(recipes.values()))
    assert options.count is not None
    return JournalHeader(
        started=datetime.now(UTC).isoformat(),
        models=options.names,
        seed=options.first_seed,
        count=options.count,
        options=options.saved_options(),
        settings=SharedSettings(
            arms=arms,
            recipes={name: summarize_recipe(recipe) for name, recipe in sorted(recipes.items())},
            precision=run.get("precision"),
            device=device.partition(":")[0],
            threads=1,
            dataset=data.files,
            versions=versions(),
            origins={m.name: m.origin for m in options.models if m.origin is not None},
            holdout=data.holdout,
        ),
        support=tuple(np.bincount(data.scored.labels, minlength=10).tolist()),
        machine=machine_info(target),
        stopping=options.stopping,
        sweep=options.sweep,
    )


def _with_default_holdout(options: TrialsOptions, existing: TrialsJournal | None) -> TrialsOptions:
    """The options, with a number of held-out digits if a sweep has none: 10,000 of MNIST.

    Earlier versions held out none if the sweep ends when it is settled; their journals stay as they are.

    Raises:
        DataError: the data set is missing or damaged.
    """
    run = options.options
    earlier = existing is not None and existing.header.options.holdout is None
    if options.sweep is None or run.holdout is not None or earlier:
        return options
    train, _ = datasets.load(run.get("dataset"), run.get("data_dir"), "train")
    return replace(options, options=replace(run, holdout=default_count(train.labels)))


def _remaining(existing: TrialsJournal, options: TrialsOptions) -> list[TrialKey]:
    """The trials to run: those without a result, and those of a sweep whose nets are needed and missing."""
    keys = options.keys()
    remaining = set(existing.remaining(keys))
    if existing.header.has_winner and existing.winner is None:
        nets = KeptNets(options.run_path)
        for key, record in existing.trials.items():
            if record.result is not None and not nets.has(key, record.result.digests[key[0]]):
                remaining.add(key)
    return [key for key in keys if key in remaining]


def _resume_note(
    existing: TrialsJournal, options: TrialsOptions, mismatched: dict[str, tuple[Any, Any]]
) -> ResumeNote | None:
    """A note if the number of trials or the settings differ from those of the last session."""
    last = existing.resumed[-1].mismatched_settings if existing.resumed else {}
    unchanged = json.dumps(mismatched) == json.dumps(last)  # as JSON, which has no tuples
    if unchanged and options.count == existing.count:
        return None
    assert options.count is not None
    return ResumeNote(after=len(existing.trials), count=options.count, mismatched_settings=mismatched)


def _require_complete(config: TrialsConfig, mismatched: dict[str, tuple[Any, Any]]) -> None:
    """Check that the existing journal has exactly the trials of the options.

    Raises:
        UsageError: it does not; the remedies are to resume it, to overwrite it, or to choose another name.
    """
    options, existing, path = config.options, config.existing, config.options.journal_path
    assert existing is not None
    header = existing.header
    same = header.models == options.names and header.seed == options.first_seed and not mismatched
    same = same and header.stopping == options.stopping and header.sweep == options.sweep
    ended, expected = len(existing.trials), existing.count * len(header.models)
    complete = (ended == expected or existing.settled) and not lacks_winner(existing)
    if same and existing.count == options.count and complete:
        return
    if same and not complete:
        state = f"{ended} of {expected}" if ended < expected else "the winner is not scored yet"
        message = f"{path}: unfinished trials ({state})"
        fewer = options.count is not None and options.count < existing.count
        raise UsageError(message, remedies=("resume_without_count" if fewer else "resume", "overwrite"))
    names = " ".join(header.models if header.sweep is None else header.sweep.assignments())
    what = f"{names:.200}, {existing.count} of each, from seed {header.seed}"
    if same:
        ways = ("resume", "overwrite") if (options.count or 0) > existing.count else ("overwrite", "name")
        message = f"{path} has {ended} trials ({what})"
        raise UsageError(message, field="count", value=options.count, remedies=ways)
    if header.models == options.names and mismatched:
        what += f"; {_describe(mismatched)}"
    raise UsageError(f"{path}: has other trials ({what})", remedies=("overwrite", "name", "out_dir"))


def _describe(mismatched: dict[str, tuple[Any, Any]]) -> str:
    """The settings that differ: `batch_size 100, now 200`."""
    return "; ".join(
        f"{name} {_shorten(saved)}, now {_shorten(now)}" for name, (saved, now) in mismatched.items()
    )


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 4]} ..."
