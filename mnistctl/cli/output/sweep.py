"""What `trials` prints about a sweep: what is varied, a row for each arm, and the winner."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mnistctl.artifacts.rounding import format_percent, format_percent_interval
from mnistctl.cli.output.terminal import plain_table, print_line, print_table
from mnistctl.errors import plural
from mnistctl.models.values import format_value

if TYPE_CHECKING:
    from mnistctl.trials import events
    from mnistctl.trials.comparisons import Comparison
    from mnistctl.trials.summary import ArmSummary, TrialsSummary, Winner
    from mnistctl.trials.sweep import Sweep


def describe_sweep(event: "events.TrialsStarted", sweep: "Sweep") -> Iterator[str]:
    """Lines of the header: what is varied, and how an arm is chosen."""
    for key, values in sweep.values.items():
        yield f"vary {key}: {', '.join(map(format_value, values))}"
    yield f"arms: {len(sweep.arms)}, with the unchanged recipe, {sweep.baseline}"
    if event.stopping is None:
        if event.holdout is None:
            yield "no arm is chosen: the test set is scored in every trial, so it cannot judge a choice"
        else:
            yield "the arm with the highest mean is then scored on the test set, once"


def print_sweep(summary: "TrialsSummary") -> None:
    """Print a row for each arm, compared with the unchanged recipe, and the winner."""
    sweep = summary.sweep
    assert sweep is not None
    compared = {row.second: row for row in summary.comparisons}
    tested = [row for row in summary.comparisons if row.p is not None]
    p = "adjusted p" if len(tested) > 1 else "p"
    headers = (*sweep.values, "n", "mean", "SD", "95 % interval", "minus unchanged", p)
    table = plain_table(*headers, justify="right", keys=len(sweep.values))
    for arm in summary.arms:
        difference = compared.get(arm.label)
        values = ("-" if v is None else format_value(v) for v in sweep.settings[arm.label].values())
        unchanged = "unchanged" if arm.label == sweep.baseline else "-"
        table.add_row(
            *values,
            str(arm.n),
            "-" if arm.mean is None else format_percent(arm.mean, 4),
            "-" if arm.sd is None else f"{arm.sd:.4f}",
            _interval(arm),
            unchanged if difference is None else f"{difference.difference:+z.4f}",
            "" if difference is None else _p_value(difference),
        )
    print_table(table)
    if tested:
        print_line(_describe_tests(tested))
    if sweep.winner is not None:
        _print_winner(summary, sweep.winner)
    elif summary.holdout is None:
        print_line("no arm was chosen: the test set was scored in every trial, so it cannot judge a choice")
    else:
        print_line("no arm was chosen: none has a result of every seed")


def _interval(arm: "ArmSummary") -> str:
    return "-" if arm.interval is None else format_percent_interval(arm.interval, 4)


def _p_value(comparison: "Comparison") -> str:
    """The adjusted p-value; `-` if there is none: one pair, or differences without variance."""
    return "-" if comparison.p_adjusted is None else f"{comparison.p_adjusted:.2g}"


def _describe_tests(comparisons: "Sequence[Comparison]") -> str:
    """Which tests gave the p-values of the comparisons, all of which have one."""
    paired = all(row.method == "paired" for row in comparisons)
    if len(comparisons) == 1:
        return f"{'paired t test by seed' if paired else 't test'} with the unchanged recipe"
    method = "paired t tests by seed" if paired else "t tests"
    number = plural(len(comparisons), "comparison")
    return f"{method} with the unchanged recipe, adjusted by Holm's method for {number}"


def _print_winner(summary: "TrialsSummary", winner: "Winner") -> None:
    assert summary.sweep is not None
    of = plural(winner.chosen_from, "arm")
    mean = f"{format_percent(winner.mean, 4)} %"
    if winner.label == summary.sweep.baseline:
        print_line(f"The unchanged recipe has the highest mean validation accuracy of {of}: {mean}.", "bold")
    else:
        print_line(f"{winner.label} has the highest mean validation accuracy of {of}: {mean}.", "bold")
    if winner.chosen_from > 1:
        print_line(f"This figure is optimistic: it was picked as the highest of {winner.chosen_from}.")
    if winner.label != summary.sweep.baseline:
        rows = [row for row in summary.comparisons if row.second == winner.label]
        conclusion = rows[0].conclusion if rows else "The unchanged recipe has no result to compare it with"
        print_line(f"{conclusion}.")
    test = winner.test
    interval = ""
    if test.interval is not None:
        interval = f", 95 % interval {format_percent_interval(test.interval, 4)}"
    images = plural(winner.images, "test image")
    nets = "Its net" if test.n == 1 else f"Its {test.n} nets"
    print_line(f"{nets} on the {images}, scored once: {format_percent(test.mean, 4)} %{interval}.", "bold")
