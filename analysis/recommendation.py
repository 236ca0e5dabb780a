"""Which of several arms to choose: by what it keeps, and by what that costs.

Every arm is compared with the same one that does nothing, base by base. Ranked is by what is kept;
the price of a unit of it is stated where a loss is shown at all.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import Field

from analysis import statistics
from analysis.findings import Place
from analysis.metrics import metric_name
from analysis.quantities import Measure, NotMeasured, Quantity, Results
from analysis.statistics import Interval
from analysis.sweep_tables import written_difference
from simulator.settings import Settings

UNKNOWN = Interval(math.nan, math.nan, math.nan, 0)


class Recommendation(Settings):
    """What is to be kept, at the cost of what; more of either is better."""

    against: str = Field(description="The arm that does nothing.")
    arms: tuple[str, ...] = Field(min_length=1, description="Those to choose from.")
    where: dict[str, Any] = Field({}, description="Values of axes, as of quantities.")
    kept: Measure
    lost: Measure

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields all that is compared, and where the measures stand."""
        for arm in (self.against, *self.arms):
            for name, measure in (("kept", self.kept), ("lost", self.lost)):
                yield (name,), self._of(arm, measure)

    def ranked(self, results: Results) -> "list[Choice]":
        """Returns the arms that were measured, those that keep the most first."""
        choices = []
        for arm in self.arms:
            try:
                choices.append(self._choice(arm, results))
            except NotMeasured as reason:
                choices.append(Choice(arm, UNKNOWN, UNKNOWN, UNKNOWN, str(reason)))
        return sorted(choices, key=_rank)

    def told(self, results: Results, choices: "list[Choice]") -> str:
        """Says which arm its figures recommend, if any, and which it isn't shown to surpass."""
        shown = [choice for choice in choices if choice.kept.low > 0]
        what = metric_name(self.kept.metric)
        if not shown:
            return (
                f"Nothing is recommended: no arm is shown to keep more of {what} than "
                f"'{self.against}'."
            )
        best, *others = shown
        said = f"Recommended is '{best.arm}': of {what} it keeps {best.written(self)}."
        equals = [f"'{o.arm}'" for o in others if not self._surpasses(best.arm, o.arm, results)]
        return said + (f" It isn't shown to keep more than {', '.join(equals)}." if equals else "")

    def _choice(self, arm: str, results: Results) -> "Choice":
        kept, lost = (
            results.difference((self._of(first, measure),), (self._of(second, measure),))
            for measure, first, second in (
                (self.kept, arm, self.against),
                (self.lost, self.against, arm),
            )
        )
        price = self._price(arm, results) if lost.low > 0 else UNKNOWN
        return Choice(arm, kept, lost, price)

    def _price(self, arm: str, results: Results) -> Interval:
        """Returns what is kept per unit lost, over bases; unknown where one of them loses none."""
        kept = self._gaps(results, self.kept, arm, self.against)
        lost = self._gaps(results, self.lost, self.against, arm)
        bases = [base for base in kept if base in lost]
        if min(lost[base] for base in bases) <= 0:
            return UNKNOWN
        return statistics.over_bases([kept[base] / lost[base] for base in bases])

    def _gaps(
        self, results: Results, measure: Measure, first: str, second: str
    ) -> dict[str, float]:
        a, b = (results.by_base((self._of(arm, measure),)) for arm in (first, second))
        return {base: a[base] - b[base] for base in a if base in b}

    def _surpasses(self, arm: str, other: str, results: Results) -> bool:
        first, second = ((self._of(name, self.kept),) for name in (arm, other))
        return results.difference(first, second).low > 0

    def _of(self, arm: str, measure: Measure) -> Quantity:
        return Quantity(arm=arm, where=self.where, metric=measure.metric, item_set=measure.item_set)


class Choice(NamedTuple):
    """An arm against the one that does nothing."""

    arm: str
    kept: Interval
    lost: Interval
    price: Interval  # kept per unit lost
    note: str = ""

    def written(self, of: Recommendation) -> str:
        """Writes what it keeps and loses, with the price where a loss is shown."""
        if math.isnan(self.kept.value):
            return self.note
        kept, lost = (
            written_difference(measure.metric, found)
            for measure, found in ((of.kept, self.kept), (of.lost, self.lost))
        )
        told = f"{kept}, for a loss of {lost} of {metric_name(of.lost.metric)}"
        if math.isnan(self.price.value):
            return told
        ends = "" if math.isnan(self.price.low) else " [{1:.1f} to {2:.1f}]"
        return f"{told}: {{0:.1f}}{ends} kept for each lost".format(*self.price)


def _rank(choice: Choice) -> float:
    return math.inf if math.isnan(choice.kept.value) else -choice.kept.value
