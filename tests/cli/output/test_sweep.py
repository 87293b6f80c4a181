"""What is printed about a sweep when some arms have nothing to compare."""

from types import SimpleNamespace

from mnistctl.cli.output.sweep import print_sweep
from mnistctl.evaluation import statistics
from mnistctl.trials.comparisons import ArmAccuracies, compare_arms
from mnistctl.trials.summary import SweepSummary, Winner


def print_rows(comparisons, winner=None):
    sweep = SweepSummary(values={"lr": (0.1,)}, baseline="logit", settings={}, winner=winner)
    print_sweep(SimpleNamespace(arms=(), comparisons=comparisons, sweep=sweep, holdout=None))


def test_winner_is_printed_although_the_unchanged_recipe_has_no_result(capsys):
    winner = Winner(
        label="lr=0.1",
        mean=92.0,
        chosen_from=1,
        images=200,
        seeds=(0,),
        accuracies=(91.0,),
        test=statistics.summarize([91.0]),
    )
    print_rows((), winner)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == "lr=0.1 has the highest mean validation accuracy of 1 arm: 92.0000 %."
    assert lines[-2] == "The unchanged recipe has no result to compare it with."
    assert lines[-1].startswith("Its net on the 200 test images, scored once: 91.0000 %")


def test_number_of_comparisons_is_that_of_the_p_values(capsys):
    arms = [ArmAccuracies(name, name, dict(enumerate(values))) for name, values in ARMS.items()]
    print_rows(compare_arms(arms, with_first=True))
    assert "adjusted by Holm's method for 2 comparisons" in capsys.readouterr().out


ARMS = {
    "logit": (99.5, 99.6, 99.4),
    "a": (99.8, 99.7, 99.5),
    "b": (99.1, 99.7, 99.3),
    "shifted": (99.6, 99.7, 99.5),  # a constant difference has no variance
}
