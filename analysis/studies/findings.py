"""Findings: a paper's claim, and the comparison that decides whether it holds here.

They are declared before the runs and judged after. Intervals are 95 % and over replicates: bases if
there are several, else seeds. With one run per arm they are over questions, and don't cover the
differences between runs: such findings hold "in one run". Each finding is judged by itself.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field

from analysis import statistics
from analysis.metrics import amount
from analysis.statistics import LEVEL, Interval
from analysis.studies.quantities import Measure, NotMeasured, Quantities, Quantity, Results
from analysis.sweep.summary import written_difference
from simulator.core.config import Config, Many, Number

Expected = Literal["lower", "higher"]
Holds = Literal[
    "yes", "opposite", "yes, in one run", "opposite, in one run", "not shown", "not measured"
]
IN_ONE_RUN: dict[Holds, Holds] = {
    "yes": "yes, in one run",
    "opposite": "opposite, in one run",
}
Place: TypeAlias = tuple[str | int, ...]  # the path of a quantity within its finding
NO_INTERVAL = "one run of each, or all alike, and no interval over what was asked"
SAME_CORRELATION = "ρ is the same in all, by chance or not: no interval"
FOR_PERFECT = 5  # checkpoints; with fewer, equal orders by chance are likely


class Verdict(NamedTuple):
    """The verdict on a finding."""

    holds: Holds
    replicates: int = 0  # the units that it was tested over
    measured: str = "–"  # for people
    interval: Interval | None = None  # of the tested quantity
    metric: str = ""  # the metric of the interval's unit; "" for a correlation
    note: str = ""


class _Finding(Config):
    claim: str = Field(min_length=1, description="One sentence.")
    reported: str = Field(min_length=1, description="The paper's claim.")


class Contrast(_Finding):
    """Tests whether one quantity is lower, or higher, than another."""

    kind: Literal["contrast"] = "contrast"
    a: Quantities
    b: Quantities | None = Field(None, description="Empty: 0.")
    expected: Expected

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield the quantities, with their paths in the finding."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Test a − b by whether its interval excludes 0."""
        found = results.difference(self.a, self.b)
        count, measured = _compared(results, self.a, self.b, found)
        note = NO_INTERVAL if math.isnan(found.low) else ""
        return Verdict(_side(found, self.expected), count, measured, found, self.a[0].metric, note)


class Equivalence(_Finding):
    """Tests whether two quantities are equal within a margin."""

    kind: Literal["equivalence"] = "equivalence"
    a: Quantities
    b: Quantities
    within: Number = Field(gt=0, le=1e9, description="The margin, in the metric's own units.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield the quantities, with their paths in the finding."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Test whether the 95 % interval of a − b lies within the margin, or beyond it.

        This is stricter than two one-sided tests, which use the 90 % interval (Schuirmann, 1987).
        """
        found = results.difference(self.a, self.b)
        holds: Holds = "not shown"
        if -self.within <= found.low and found.high <= self.within:
            holds = "yes"
        elif found.low > self.within or found.high < -self.within:
            holds = "opposite"
        count, measured = _compared(results, self.a, self.b, found)
        note = NO_INTERVAL if math.isnan(found.low) else ""
        return Verdict(holds, count, measured, found, self.a[0].metric, note)


class Trend(_Finding):
    """Tests whether a quantity falls, or rises, along ordered arms."""

    kind: Literal["trend"] = "trend"
    points: Many[Quantity] = Field(min_length=3, description="In order.")
    expected: Expected = Field(description="Direction of the later quantities.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield the quantities, with their paths in the finding."""
        yield from _placed("points", self.points)

    def judge(self, results: Results) -> Verdict:
        """Apply Page's test over replicates; the interval is last − first."""
        columns = [results.by_replicate((point,), self.points) for point in self.points]
        metric, count = self.points[0].metric, len(columns[0])
        table = np.array([[column[name] for column in columns] for name in columns[0]])
        levels = " → ".join(amount(metric, float(level)) for level in table.mean(axis=0))
        found = statistics.over_bases(table[:, -1] - table[:, 0])
        measured = f"{levels}: {written_difference(metric, found)}"
        if count == 1:
            note = "one run of each: a trend is tested over several"
            return Verdict("not shown", count, measured, found, metric, note)
        test = statistics.trend(table)
        measured += f", {_p(test.p)} ({_counted(results, count)})"
        if test.p >= 1 - LEVEL:
            return Verdict("not shown", count, measured, found, metric)
        as_expected = test.falls == (self.expected == "lower")
        return Verdict("yes" if as_expected else "opposite", count, measured, found, metric)


class Correlation(_Finding):
    """Tests whether two metrics correlate over checkpoints."""

    kind: Literal["correlation"] = "correlation"
    arms: Many[str] = Field(min_length=1, description="The arms whose runs are pooled.")
    x: Measure
    y: Measure
    checkpoints: Literal["rounds", "phases"] = Field(
        "rounds", description="All measured rounds, or round 0 and the ends of phases."
    )
    expected: Expected = Field("higher", description="Than 0.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield the quantities, with their paths in the finding."""
        for arm in self.arms:
            for name, of in (("x", self.x), ("y", self.y)):
                yield (name,), Quantity(arm=arm, metric=of.metric, item_set=of.item_set)

    def judge(self, results: Results) -> Verdict:
        """Compute Spearman's ρ on each replicate, with Student's t interval, cut at ±1."""
        from scipy import stats

        x, y = (self._pooled(results, of) for of in (self.x, self.y))
        counts = {name: len(values) for name, values in x.items()}
        if min(counts.values()) < 3:
            raise NotMeasured("a correlation takes three checkpoints")
        constant = [name for name in x if not np.ptp(x[name]) or not np.ptp(y[name])]
        if constant:
            raise NotMeasured(f"in {results.replicate} {constant[0]} one of the two never changes")
        each = [float(stats.spearmanr(x[name], y[name]).statistic) for name in x]
        fewest = min(counts.values())
        found = _over_correlations(each, fewest)
        told = f"ρ = {found.value:.2f}".replace("-", "−")
        if not math.isnan(found.low):
            told += f" [{found.low:.2f} to {found.high:.2f}]".replace("-", "−")
        over = f"{fewest} checkpoints ({_counted(results, len(each))})"
        note = ""
        if math.isnan(found.low):
            note = "one run: no interval" if len(each) == 1 else SAME_CORRELATION
        side = _side(found, self.expected)
        return Verdict(side, len(each), f"{told} over {over}", found, "", note)

    def _pooled(self, results: Results, of: Measure) -> dict[str, list[float]]:
        pooled: dict[str, list[float]] = {}
        for arm in self.arms:
            for name, values in results.checkpoints(arm, of, self.checkpoints == "phases").items():
                pooled.setdefault(name, []).extend(values)
        return pooled


class Paired(_Finding):
    """Tests whether one quantity is lower, or higher, than another, item by item."""

    kind: Literal["paired"] = "paired"
    a: Quantities
    b: Quantities
    expected: Expected

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yield the quantities, with their paths in the finding."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Apply Wilcoxon's two-sided signed-rank test (1945) on each replicate.

        All replicates must agree on the side: answers about one item aren't independent across
        bases. The interval is over items, and covers other items on the same bases.
        """
        groups = results.paired(self.a, self.b, "item")
        if not groups:
            raise NotMeasured("no items were asked about in both")
        found, metric, count = statistics.over_entities(groups), self.a[0].metric, len(groups)
        tests = [statistics.signed_rank(differences) for differences in groups]
        p = max(test.p for test in tests)
        largest = f"largest {_p(p)}" if count > 1 else _p(p)
        over = f"{found.units} items, {largest} ({_counted(results, count)})"
        measured = f"{written_difference(metric, found)} over {over}"
        sides = {test.falls for test in tests}
        if p >= 1 - LEVEL or len(sides) > 1:
            return Verdict("not shown", count, measured, found, metric)
        as_expected = sides == {self.expected == "lower"}
        return Verdict("yes" if as_expected else "opposite", count, measured, found, metric)


Finding: TypeAlias = Contrast | Equivalence | Trend | Correlation | Paired
AnyFinding: TypeAlias = Annotated[Finding, Field(discriminator="kind")]


def judged(finding: Finding, results: Results) -> Verdict:
    """Return the verdict on a finding, or the reason why there is none."""
    try:
        verdict = finding.judge(results)
    except NotMeasured as reason:
        return Verdict("not measured", note=str(reason))
    if verdict.replicates == 1:
        return verdict._replace(holds=IN_ONE_RUN.get(verdict.holds, verdict.holds))
    return verdict


def _placed(name: str, quantities: Quantities | None) -> Iterator[tuple[Place, Quantity]]:
    yield from (((name, n), one) for n, one in enumerate(quantities or ()))


def _side(found: Interval, expected: Expected) -> Holds:
    if not found.excludes_zero:
        return "not shown"
    return "yes" if (found.value < 0) == (expected == "lower") else "opposite"


def _over_correlations(each: Sequence[float], fewest: int) -> Interval:
    """Return the interval of ρ over replicates, cut at ±1; NaN where they may agree by chance.

    Args:
        each: ρ of every replicate.
        fewest: the smallest number of checkpoints of a replicate.
    """
    found = statistics.over_bases(each)
    perfect = abs(found.value) > 1 - statistics.ROUNDING and fewest >= FOR_PERFECT
    if found.high - found.low < statistics.ROUNDING and not perfect:
        return found._replace(low=math.nan, high=math.nan)
    return found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))


def _compared(
    results: Results, a: Quantities, b: Quantities | None, found: Interval
) -> tuple[int, str]:
    """Return the number of replicates, and a text of the levels and their difference."""
    metric, first = a[0].metric, results.by_replicate(a, b or ())
    told = written_difference(metric, found)
    if b:
        levels = [np.mean([*of.values()]) for of in (first, results.by_replicate(b, a))]
        of_a, of_b = (amount(metric, float(level)) for level in levels)
        told = f"{of_a} against {of_b}: {told}"
    over = _counted(results, len(first))
    if found.units != len(first):
        over += f", over {found.units} subjects of questions"
    return len(first), f"{told} ({over})"


def _counted(results: Results, count: int) -> str:
    return f"{count} {results.replicate}{'' if count == 1 else 's'}"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")
