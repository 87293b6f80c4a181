"""The section of docs/results.md on weight averaging: our trials of swa beside the published ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnistctl.evaluation import statistics
from mnistctl.evaluation.statistics import Difference
from mnistctl.models.published import Published
from mnistctl.trials.conclusions import conclusion, format_p
from mnistctl.trials.journal import TrialsJournal
from mnistctl.trials.summarize import summarize_trials

HEAD = "trials | n | conv | swa | swa's last epoch | swa minus conv | swa minus its last epoch"
TEXT = """\
conv lowers the learning rate to the end. swa trains in the same way up to epoch 31, then keeps the rate, and
averages the weights after epochs 31 to 50. So there are two questions: is the average better than conv, and
is it better than the last epoch of its own run? Mean accuracies in percent; differences in points, with 95 %
interval and p-value. Our trials are pairs with one seed. Records are not pooled. The published runs of conv
and swa are independent samples. Trials of earlier versions do not have the accuracy of the last epoch."""


@dataclass(frozen=True)
class Averaging:
    """What one source shows.

    Args:
        source: the record, or the name of the published accuracies.
        conv, swa, last_epochs: accuracies in percent. The last epochs are those of the runs of swa, or empty.
        from_conv, from_last_epochs: difference of swa from either; the latter is None without last epochs.
    """

    source: str
    conv: Sequence[float]
    swa: Sequence[float]
    last_epochs: Sequence[float]
    from_conv: Difference
    from_last_epochs: Difference | None


def find_averaging(trials: dict[str, TrialsJournal], published: Published) -> list[Averaging]:
    """What the trials of swa in full show, those with most pairs first, and then the published runs."""
    ours = [_of_trials(name, entries) for name, entries in trials.items() if _is_swa_in_full(entries)]
    return [*sorted(ours, key=lambda each: -len(each.swa)), _of_published(published)]


def _is_swa_in_full(entries: TrialsJournal) -> bool:
    header, run = entries.header, entries.header.options
    changed = run.epochs, run.batch_size, run.lr, header.sweep, header.settings.origins or None
    where = header.settings.precision, header.settings.dataset.name
    return header.models == ("swa",) and not any(changed) and where == ("float32", "mnist")


def _of_trials(name: str, entries: TrialsJournal) -> Averaging:
    summary = summarize_trials(entries)
    conv, swa = summary.arms
    (from_conv,), from_last = summary.comparisons, next(iter(summary.averaging), None)
    return Averaging(f"`{name}`", conv.accuracies, swa.accuracies, swa.before_averaging, from_conv, from_last)


def _of_published(published: Published) -> Averaging:
    conv, swa = published.accuracies("conv"), published.accuracies("swa")
    last, name = published.models["swa"].last_iterate, published.source.partition(" ")[0]
    return Averaging(name, conv, swa, last, statistics.welch(conv, swa), statistics.paired(last, swa))


def answer(ours: Averaging) -> str:
    """The answers of our trials, in words. They hold for significant gains and no significant difference."""
    gain, difference = ours.from_last_epochs, ours.from_conv
    assert gain is not None and gain.significant and gain.difference > 0
    assert not difference.significant and difference.interval is not None
    low, high = (f"{end:+.4f}" for end in difference.interval)
    detectable = f"{difference.minimum_detectable_effect:.4f} points"
    return f"""\
Our {len(ours.swa)} pairs answer the second question: the average is better than the last epoch of its own
run, by about {gain.difference:.3f} points. They leave the first question open: no difference from conv was
found. A true difference of {detectable} would have been found with 80 % power. The interval is
{low} to {high}."""


def table_rows(found: Sequence[Averaging]) -> Iterator[Sequence[object]]:
    """A row for each source."""
    for each in found:
        means = (_format_mean(values) for values in (each.conv, each.swa, each.last_epochs))
        differences = map(_format_difference, (each.from_conv, each.from_last_epochs))
        yield (each.source, len(each.swa), *means, *differences)


def conclusions(found: Sequence[Averaging]) -> Iterator[str]:
    """What each source says to either question, in a sentence."""
    for each in found:
        yield f"- {each.source}: {conclusion(each.from_conv, 'conv', 'swa', each.from_conv.p)}."
        if (difference := each.from_last_epochs) is not None:
            sentence = conclusion(difference, "the last epoch of its run", "swa", difference.p)
            yield f"- {each.source}: {sentence}."


def _format_mean(values: Sequence[float]) -> str:
    return f"{statistics.summarize(values).mean:.4f}" if values else ""


def _format_difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    assert difference.interval is not None and difference.p is not None
    low, high = difference.interval
    return f"{difference.difference:+.4f} ({low:+.4f} to {high:+.4f}, {format_p(difference.p)})"
