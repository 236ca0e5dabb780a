"""Recommending one of several arms: by what it keeps, and by what it costs.

Every arm is compared with the same control arm, by replicate. Arms are ranked by what they keep.
The amount kept per unit lost is stated where a loss is shown. The advice names the arms that can't
be distinguished, and what remains after correcting for the number of arms.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from analysis import statistics
from analysis.metrics import metric_name
from analysis.statistics import LEVEL, ROUNDING, Interval
from analysis.studies.findings import Place
from analysis.studies.quantities import Measure, NotMeasured, Quantity, Results
from analysis.sweep.summary import written_difference
from simulator.core.config import ByName, Config, Many

UNKNOWN = Interval(math.nan, math.nan, math.nan, 0)


class Recommendation(Config):
    """The metric to keep and the metric that it costs; more of either is better."""

    against: str = Field(description="The control arm.")
    arms: Many[str] = Field(min_length=1, description="The arms to choose from.")
    where: ByName[Any] = Field({}, description="Values of axes, as in quantities.")
    kept: Measure
    lost: Measure

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield all compared quantities, with the paths of their measures."""
        for arm in (self.against, *self.arms):
            for name, measure in (("kept", self.kept), ("lost", self.lost)):
                yield (name,), self._of(arm, measure)

    def ranked(self, results: Results) -> "list[Choice]":
        """Return the measured arms, those that keep the most first."""
        choices = []
        for arm in self.arms:
            try:
                choices.append(self._choice(arm, results))
            except NotMeasured as reason:
                choices.append(Choice(arm, UNKNOWN, UNKNOWN, UNKNOWN, str(reason)))
        return sorted(choices, key=_rank)

    def advice(self, results: Results, choices: "list[Choice]") -> str:
        """Return the advice: the recommended arm, if any, and its support."""
        shown = [choice for choice in choices if choice.kept.low > 0]
        what = metric_name(self.kept.metric)
        if not shown:
            return (
                f"Nothing is recommended: no arm is shown to keep more of {what} than "
                f"'{self.against}'."
            )
        best = shown[0]
        said = [f"Recommended is '{best.arm}': of {what} it keeps {best.written(self)}."]
        measured = [c for c in choices if c is not best and not math.isnan(c.kept.value)]
        if equals := [c.arm for c in measured if not self._surpasses(best.arm, c.arm, results)]:
            said.append(f"It isn't shown to keep more than {_named(equals)}.")
        priced = [choice for choice in shown if choice.price.value > best.price.value]
        if priced:
            most = max(priced, key=lambda choice: choice.price.value)
            said.append(
                f"Of those that are shown to lose any, '{most.arm}' keeps the most for each lost: "
                f"{most.written_price}."
            )
        return " ".join([*said, self._supported(best, shown, len(measured) + 1, results)])

    def _supported(
        self, best: "Choice", shown: "Sequence[Choice]", tried: int, results: Results
    ) -> str:
        """Return what remains after correcting for the number of arms."""
        if len(self._kept_by(best.arm, results)) == 1:
            return "That is so in one run of each arm, and says nothing of how far runs differ."
        level = 1 - (1 - LEVEL) / len(self.arms)  # Bonferroni's
        kept = {
            choice.arm: statistics.over_bases(self._kept_by(choice.arm, results), level)
            for choice in shown
        }
        many = "" if len(self.arms) == 1 else "s"
        sure = [arm for arm, k in kept.items() if k.low > 0 and k.high - k.low > ROUNDING]
        return (
            f"Of {tried} arms tried, {len(shown)} are shown to keep more, each by itself; "
            f"after correcting for {len(self.arms)} comparison{many}, {_named(sure) or 'none'}."
        )

    def _kept_by(self, arm: str, results: Results) -> list[float]:
        """Return how much more an arm keeps than the control arm, by replicate."""
        first, second = ((self._of(name, self.kept),) for name in (arm, self.against))
        return [*results.gaps(first, second).values()]

    def _choice(self, arm: str, results: Results) -> "Choice":
        kept, lost = (
            results.difference((self._of(first, measure),), (self._of(second, measure),))
            for measure, first, second in self._compared(arm)
        )
        price = self._price(arm, results) if lost.low > 0 else UNKNOWN
        return Choice(arm, kept, lost, price)

    def _price(self, arm: str, results: Results) -> Interval:
        """Return the amount kept per unit lost, over replicates; NaN where one loses nothing."""
        kept, lost = (
            results.gaps((self._of(first, measure),), (self._of(second, measure),))
            for measure, first, second in self._compared(arm)
        )
        if min(lost.values()) <= 0:
            return UNKNOWN
        return statistics.over_bases([kept[name] / lost[name] for name in kept])

    def _compared(self, arm: str) -> tuple[tuple[Measure, str, str], ...]:
        """Return the compared arms of each measure, ordered to make gains and losses positive."""
        return (self.kept, arm, self.against), (self.lost, self.against, arm)

    def _surpasses(self, arm: str, other: str, results: Results) -> bool:
        first, second = ((self._of(name, self.kept),) for name in (arm, other))
        try:
            return results.difference(first, second).low > 0
        except NotMeasured:  # no replicate has both
            return False

    def _of(self, arm: str, measure: Measure) -> Quantity:
        return Quantity(arm=arm, where=self.where, metric=measure.metric, item_set=measure.item_set)


class Choice(NamedTuple):
    """An arm compared with the control arm."""

    arm: str
    kept: Interval
    lost: Interval
    price: Interval  # amount kept per unit lost
    note: str = ""

    def written(self, of: Recommendation) -> str:
        """Return its gain and loss as text, with the price if a loss is shown."""
        if math.isnan(self.kept.value):
            return self.note
        kept, lost = (
            written_difference(measure.metric, found)
            for measure, found in ((of.kept, self.kept), (of.lost, self.lost))
        )
        told = f"{kept}, for a loss of {lost} of {metric_name(of.lost.metric)}"
        if math.isnan(self.price.value):
            return told
        return f"{told}: {self.written_price} kept for each lost"

    @property
    def written_price(self) -> str:
        """The amount kept per unit lost, as text."""
        ends = "" if math.isnan(self.price.low) else " [{1:.1f} to {2:.1f}]"
        return f"{{0:.1f}}{ends}".format(*self.price)


def _named(arms: Sequence[str]) -> str:
    return ", ".join(f"'{arm}'" for arm in arms)


def _rank(choice: Choice) -> float:
    return math.inf if math.isnan(choice.kept.value) else -choice.kept.value
