"""Trials of two arms that end when their comparison is settled: which pairs count, and what they show.

Pairs are looked at in the order of their seeds. So a decision depends neither on the number of workers nor
on whether the trials were resumed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mnistctl.evaluation.sequential import Decision, Look, SequentialTest, StoppingRule
from mnistctl.schema import Schema
from mnistctl.trials.conclusions import conclude_sequential

if TYPE_CHECKING:
    from mnistctl.trials.entries import JournalHeader, TrialRecord
    from mnistctl.trials.scheduler import TrialKey


@dataclass(frozen=True, kw_only=True)
class SequentialComparison(Schema):
    """The difference of the `second` arm from the `first` one, checked after every pair.

    Args:
        first, second: labels of the arms.
        rule: when the comparison is settled.
        resolution: smallest possible difference of two accuracies, in points.
        most: largest number of pairs.
        last_seed: seed of the last pair that was looked at.
        n, difference, sd, interval, e_value, decision: see `evaluation.sequential.Look`.
        conclusion: the decision in words.
    """

    first: str
    second: str
    rule: StoppingRule
    resolution: float
    most: int
    last_seed: int
    n: int
    difference: float
    sd: float | None
    interval: tuple[float, float] | None
    e_value: float
    decision: Decision
    conclusion: str


class PairSequence:
    """The pairs of a journal in the order of their seeds, as far as all of their trials have ended.

    A seed of which a trial diverged makes no pair and is passed over. One of which a trial failed is waited
    for: that trial can be run again.

    Args:
        header: the header of the journal, with a stopping rule and two arms.
        trials: the trials that have ended; more may be added between two calls of `advance`.

    Attributes:
        seed: the first seed that was not looked at.
        last_seed: the seed of the last pair; None before the first one.
        look: what the pairs show; None before the first one.
    """

    def __init__(self, header: "JournalHeader", trials: "Mapping[TrialKey, TrialRecord]") -> None:
        assert header.stopping is not None
        self.seed = header.seed
        self.last_seed: int | None = None
        self.look: Look | None = None
        self._trials, self._rule = trials, header.stopping
        self._first, self._second = header.arms()
        self._resolution = 100 / sum(header.support)
        self._test = SequentialTest(self._rule, self._resolution)

    @property
    def settled(self) -> bool:
        """Whether the pairs settle the comparison, so that no later one is looked at."""
        return self.look is not None and self.look.decision != "not settled"

    def advance(self) -> list[tuple[int, Look]]:
        """The seed of each pair that is complete by now, and what all pairs up to it show."""
        new = []
        while not self.settled and self._has_ended():
            records = [self._trials[arm.model, self.seed].result for arm in (self._first, self._second)]
            if None not in records:
                first, second = (
                    record.accuracies[arm.name]
                    for record, arm in zip(records, (self._first, self._second), strict=True)
                    if record is not None
                )
                self.look, self.last_seed = self._test.add(second - first), self.seed
                new.append((self.seed, self.look))
            self.seed += 1
        return new

    def waits_for(self, failed: "set[TrialKey]") -> bool:
        """Whether the next pair needs one of the trials that have failed."""
        return not self.settled and any(
            (arm.model, self.seed) in failed for arm in (self._first, self._second)
        )

    def compare(self, most: int) -> SequentialComparison | None:
        """The comparison of the pairs looked at; None if there are none."""
        if self.look is None or self.last_seed is None:
            return None
        first, second = self._first.label, self._second.label
        return SequentialComparison(
            first=first,
            second=second,
            rule=self._rule,
            resolution=self._resolution,
            most=most,
            last_seed=self.last_seed,
            **asdict(self.look),
            conclusion=conclude_sequential(self.look, self._rule, first, second),
        )

    def _has_ended(self) -> bool:
        records = [self._trials.get((arm.model, self.seed)) for arm in (self._first, self._second)]
        return all(record is not None and record.state != "failed" for record in records)
