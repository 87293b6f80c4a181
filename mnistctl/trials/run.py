"""Run trials: inspect the journal, resolve the options, run what is missing, and summarize."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from mnistctl.artifacts import files
from mnistctl.artifacts.files import Saved, Warned
from mnistctl.artifacts.locks import run_lock
from mnistctl.artifacts.tables import NO_TABLES, TableFiles
from mnistctl.data.training_set import describe_training_set
from mnistctl.training.config import load_training_data
from mnistctl.training.environment import versions
from mnistctl.training.machine import MachineInfo
from mnistctl.training.warnings import check_data
from mnistctl.trials import journal
from mnistctl.trials.comparisons import Requirement
from mnistctl.trials.config import TrialsConfig, check_arguments, resolve
from mnistctl.trials.entries import JournalHeader, TrialRecord
from mnistctl.trials.events import PairCompared, TrialEnded, TrialsFinished, TrialsStarted, WorkerDied
from mnistctl.trials.executors import Backend
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.nets import KeptNets
from mnistctl.trials.options import TrialsOptions
from mnistctl.trials.outputs import check_tables, check_trials_outputs, write_results
from mnistctl.trials.scheduler import Outcome, SlotPool, TrialFailure, TrialKey, run_tasks
from mnistctl.trials.sequential import PairSequence
from mnistctl.trials.summarize import raise_failures, summarize_trials
from mnistctl.trials.task import RunTrial, TrialSettings, TrialWithNet
from mnistctl.trials.winner import choose_winner, score_winner
from mnistctl.trials.worker import run_trial

Event = TrialsStarted | TrialEnded | PairCompared | WorkerDied | Saved | Warned | TrialsFinished


def run_trials(
    options: TrialsOptions,
    backend: Backend,
    *,
    command: Callable[[TrialsOptions], str] = lambda _: "",
    overwrite: bool = False,
    resume: bool = False,
    allow_mixed: bool = False,
    reference: str | None = None,
    require: Requirement | None = None,
    tables: TableFiles = NO_TABLES,
    run_trial: RunTrial = run_trial,
) -> Generator[Event, None, None]:
    """Run the trials that are not in the journal yet, and summarize all of them.

    Every trial that ends is written to the journal and flushed to disk before its event is yielded. So
    nothing is lost or repeated when the program stops in any way, and `resume` runs the rest.

    Args:
        options: which trials.
        backend: where they run.
        command: gives the command line that repeats the trials, for the journal and the summary.
        overwrite: replace an existing journal.
        resume: continue an existing journal with its options; failed trials run again.
        allow_mixed: resume even if settings differ from those of the journal, and note which.
        reference: name of published accuracies to compare with.
        require: "same" or "better": what the comparison must show.
        tables: the tables of the results to write.
        run_trial: runs one trial in a worker.

    Raises:
        UsageError: a number is out of range, a model or device does not exist, or the name is in use.
        DataError: the data set is missing or damaged, here or at a worker.
        CheckpointError: the journal to resume is missing, damaged, or has other settings.
        OutputError: a file cannot be written.
        FailedTrialsError: at the end: some trials diverged or failed.
        UnmetError: at the end: the comparison does not show what is required.
    """
    started = time.perf_counter()
    check_arguments(options, backend, overwrite, resume, allow_mixed, reference, require)
    files.prepare_folder(options.run_path.parent)
    with run_lock(options.run_path) as warnings:
        yield from warnings
        existing = None if overwrite else journal.read(options.journal_path)
        check_trials_outputs(options.run_path, replace=overwrite or existing is not None)
        check_tables(tables, overwrite=overwrite)
        config = resolve(
            options, backend, existing, resume=resume, allow_mixed=allow_mixed, reference=reference
        )
        entries = existing
        if not config.already:
            entries = yield from execute(config, backend, command(config.options), run_trial)
        assert entries is not None
        if config.nets is not None:
            _finish_sweep(config, entries, config.nets)
        result = replace(
            summarize_trials(entries, reference, require),
            command=command(config.options),
            session_seconds=time.perf_counter() - started,
        )
        yield from write_results(config.options.run_path, result, tables, already=config.already)
    raise_failures(result, len(entries.trials), require)


def execute(
    config: TrialsConfig, backend: Backend, command: str, run_trial: RunTrial
) -> Generator[Event, None, TrialsJournal]:
    """Run the remaining trials and append each one to the journal, which is returned at the end.

    Raises:
        UsageError, DataError, OutputError: as `run_trials`.
    """
    path = config.options.journal_path
    header = config.header if config.existing is None else config.existing.header
    settings = _trial_settings(config.options, header)
    slots = backend.slots(settings.device, len(config.remaining))
    # An executor that cannot be made leaves no journal. The pool stops the workers, however this block ends.
    with SlotPool(slots, run_trial, settings) as pool:
        entries = _prepare_journal(config, command)
        yield from _check_data(config)
        remaining = set(config.remaining)
        done = len(config.options.keys()) - len(remaining)
        workers = sum(slot.width for slot in slots) if backend.local else None
        yield TrialsStarted.of(config.header, device=settings.device, done=done, workers=workers)
        for record in entries.trials.values():
            if (record.model, record.seed) not in remaining:
                yield _ended_event(record, from_previous_session=True)
        pairs = None if header.stopping is None else PairSequence(header, entries.trials)
        yield from _look_at(pairs)
        failed: set[TrialKey] = set()
        checker = header.result_checker(nets=settings.send_nets)
        for key, outcome in run_tasks(config.remaining, pool, checker):
            if isinstance(outcome, WorkerDied):
                yield outcome
                continue
            if isinstance(outcome, TrialWithNet):
                assert config.nets is not None
                config.nets.save(key, outcome.net)
            record = _record(key, outcome, header.machine)
            journal.append(path, entries, record)
            yield _ended_event(record, from_previous_session=False)
            yield from _look_at(pairs)
            if record.state == "failed":
                failed.add(key)
            if pairs is not None and (pairs.settled or pairs.waits_for(failed)):
                break  # the trials of later seeds that run by now are stopped; no decision may depend on them
    return entries


def _finish_sweep(config: TrialsConfig, entries: TrialsJournal, nets: KeptNets) -> None:
    """Score the winner on the test set once all trials have ended, then delete the nets of the other arms.

    Raises:
        CheckpointError, DataError, OutputError: as `run_trials`.
    """
    if entries.winner is None and not entries.remaining(config.options.keys()):
        winner = choose_winner(entries)
        if winner is not None:
            data_dir = config.options.options.get("data_dir")
            scores = score_winner(entries, winner, nets, config.options.models, data_dir)
            journal.append(config.options.journal_path, entries, scores)
    if (scored := entries.winner) is not None:
        nets.delete(keep=[(scored.model, seed) for seed in scored.seeds])


def _look_at(pairs: PairSequence | None) -> Iterator[PairCompared]:
    for seed, look in [] if pairs is None else pairs.advance():
        yield PairCompared(seed, look)


def _prepare_journal(config: TrialsConfig, command: str) -> TrialsJournal:
    """A new journal, or the existing one with a note of what changes.

    Raises:
        OutputError: a file cannot be written.
    """
    options, path = config.options, config.options.journal_path
    if config.existing is None:
        for ending in ("json", "png"):  # of the trials that are overwritten
            files.with_ending(options.run_path, ending).unlink(missing_ok=True)
        KeptNets(options.run_path).delete()
        return journal.create(path, replace(config.header, command=command))
    if config.note is not None:
        journal.append(path, config.existing, config.note)
    return config.existing


def _trial_settings(options: TrialsOptions, header: JournalHeader) -> TrialSettings:
    run, shared = options.options, header.settings
    device = run.get("device")
    return TrialSettings(
        epochs=run.epochs,
        batch_size=run.batch_size,
        lr=run.lr,
        precision=run.get("precision"),
        dataset=run.get("dataset"),
        data_dir=str(run.get("data_dir").absolute()),
        device=shared.device if device == "auto" else device,
        sha256=shared.dataset.sha256,
        versions=versions(),
        models={model.name: model for model in options.models},
        recipe_sha256={model.name: model.sha256 for model in options.models if model.sha256 is not None},
        holdout=shared.holdout,
        sweep=options.sweep is not None,
        send_nets=header.has_winner,
    )


def _check_data(config: TrialsConfig) -> Iterator[Warned]:
    """Warnings about the user's own digits. Those of the known data sets are in order."""
    run, recipes = config.options.options, config.header.settings.recipes.values()
    if run.get("dataset") != "own":
        return
    data = load_training_data(run)
    shuffle = all(recipe.shuffle for recipe in recipes)
    training_set = describe_training_set(data.train, "own", data.holdout)
    yield from check_data(training_set, data.train, data.scored, shuffle=shuffle)


def _record(key: TrialKey, outcome: Outcome, machine: MachineInfo) -> TrialRecord:
    """The line of a trial in the journal. The machine is in it only if it is not that of the header."""
    model, seed = key
    if isinstance(outcome, TrialFailure):
        return TrialRecord(model=model, seed=seed, state=outcome.state, reason=outcome.reason)
    if isinstance(outcome, TrialWithNet):
        outcome = outcome.without_net()
    if outcome.machine == machine:
        outcome = replace(outcome, machine=None)
    return TrialRecord(model=model, seed=seed, result=outcome)


def _ended_event(record: TrialRecord, *, from_previous_session: bool) -> TrialEnded:
    result = record.result
    return TrialEnded(
        model=record.model,
        seed=record.seed,
        accuracies={} if result is None else result.accuracies,
        seconds=None if result is None else result.seconds,
        state=record.state,
        reason=record.reason,
        from_previous_session=from_previous_session,
    )
