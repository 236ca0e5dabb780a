"""Findings: what a paper reports, and the one comparison that says whether it holds here.

Declared before anything is run, judged after. Intervals are 95 % and over bases where there are
several; each finding is judged by itself.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field
from scipy import stats

from analysis import statistics
from analysis.metrics import amount
from analysis.quantities import Measure, NotMeasured, Quantities, Quantity, Results
from analysis.statistics import LEVEL, Interval
from analysis.sweep_tables import written_difference
from simulator.settings import Number, Settings

Expected = Literal["lower", "higher"]
Holds = Literal["yes", "opposite", "not shown", "not measured"]
Place: TypeAlias = tuple[str | int, ...]  # of a quantity within its finding
NO_INTERVAL = "one base, and no interval over what was asked"


class Verdict(NamedTuple):
    """What was found of a finding."""

    holds: Holds
    measured: str = "–"  # for people
    interval: Interval | None = None  # of what was tested
    metric: str = ""  # in whose units the interval is; "" for a correlation
    note: str = ""


class _Finding(Settings):
    claim: str = Field(min_length=1, description="One sentence.")
    reported: str = Field(min_length=1, description="What the paper reports of it.")


class Contrast(_Finding):
    """Is one quantity lower, or higher, than another?"""

    kind: Literal["contrast"] = "contrast"
    a: Quantities
    b: Quantities | None = Field(None, description="Empty: 0.")
    expected: Expected

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields the quantities, and where in the finding they stand."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Tests a − b by whether its interval excludes 0."""
        found = results.difference(self.a, self.b)
        measured = _compared(results, self.a, self.b, found)
        note = NO_INTERVAL if math.isnan(found.low) else ""
        return Verdict(_side(found, self.expected), measured, found, self.a[0].metric, note)


class Equivalence(_Finding):
    """Are two quantities the same but for a margin?"""

    kind: Literal["equivalence"] = "equivalence"
    a: Quantities
    b: Quantities
    within: Number = Field(gt=0, description="The margin, in the metric's own units.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields the quantities, and where in the finding they stand."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Tests whether the 95 % interval of a − b lies within the margin, or beyond it.

        That is stricter than two one-sided tests, which need the 90 % interval (Schuirmann, 1987).
        """
        found = results.difference(self.a, self.b)
        holds: Holds = "not shown"
        if -self.within <= found.low and found.high <= self.within:
            holds = "yes"
        elif found.low > self.within or found.high < -self.within:
            holds = "opposite"
        measured = _compared(results, self.a, self.b, found)
        note = NO_INTERVAL if math.isnan(found.low) else ""
        return Verdict(holds, measured, found, self.a[0].metric, note)


class Trend(_Finding):
    """Does a quantity fall, or rise, along ordered arms?"""

    kind: Literal["trend"] = "trend"
    points: tuple[Quantity, ...] = Field(min_length=3, description="In order.")
    expected: Expected = Field(description="Of the later ones.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields the quantities, and where in the finding they stand."""
        yield from _placed("points", self.points)

    def judge(self, results: Results) -> Verdict:
        """Page's test over the bases that have all points; the interval is last − first."""
        columns = [results.by_base((point,)) for point in self.points]
        bases = [base for base in columns[0] if all(base in column for column in columns)]
        if not bases:
            raise NotMeasured("no base has finished runs of all points")
        metric = self.points[0].metric
        table = np.array([[column[base] for column in columns] for base in bases])
        levels = " → ".join(amount(metric, float(level)) for level in table.mean(axis=0))
        found = results.difference(self.points[-1:], self.points[:1])
        measured = f"{levels}: {written_difference(metric, found)}"
        if len(bases) == 1:
            return Verdict("not shown", measured, found, metric, "a trend is tested over bases")
        test = statistics.trend(table)
        measured += f", {_p(test.p)} ({_bases(len(bases))})"
        if test.p >= 1 - LEVEL:
            return Verdict("not shown", measured, found, metric)
        as_expected = test.falls == (self.expected == "lower")
        return Verdict("yes" if as_expected else "opposite", measured, found, metric)


class Correlation(_Finding):
    """Do two metrics go together over checkpoints?"""

    kind: Literal["correlation"] = "correlation"
    arms: tuple[str, ...] = Field(min_length=1, description="Whose runs are pooled.")
    x: Measure
    y: Measure
    checkpoints: Literal["rounds", "phases"] = Field(
        "rounds", description="All measured rounds, or round 0 and the ends of phases."
    )
    expected: Expected = Field("higher", description="Than 0.")

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields the quantities, and where in the finding they stand."""
        for arm in self.arms:
            for name, of in (("x", self.x), ("y", self.y)):
                yield (name,), Quantity(arm=arm, metric=of.metric, item_set=of.item_set)

    def judge(self, results: Results) -> Verdict:
        """Spearman's ρ on each base, with Student's t interval over bases, cut at ±1."""
        x, y = (self._pooled(results, of) for of in (self.x, self.y))
        counts = {base: len(values) for base, values in x.items()}
        if min(counts.values()) < 3:
            raise NotMeasured("a correlation takes three checkpoints")
        constant = [base for base in x if not np.ptp(x[base]) or not np.ptp(y[base])]
        if constant:
            raise NotMeasured(f"on {constant[0]} one of the two never changes")
        by_base = [float(stats.spearmanr(x[base], y[base]).statistic) for base in x]
        found = statistics.over_bases(by_base)
        found = found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))
        told = f"ρ = {found.value:.2f}".replace("-", "−")
        if not math.isnan(found.low):
            told += f" [{found.low:.2f} to {found.high:.2f}]".replace("-", "−")
        measured = f"{told} over {min(counts.values())} checkpoints ({_bases(len(by_base))})"
        note = "one base: no interval" if math.isnan(found.low) else ""
        return Verdict(_side(found, self.expected), measured, found, "", note)

    def _pooled(self, results: Results, of: Measure) -> dict[str, list[float]]:
        pooled: dict[str, list[float]] = {}
        for arm in self.arms:
            for base, values in results.checkpoints(arm, of, self.checkpoints == "phases").items():
                pooled.setdefault(base, []).extend(values)
        return pooled


class Paired(_Finding):
    """Is a quantity lower, or higher, than another, item by item?"""

    kind: Literal["paired"] = "paired"
    a: Quantities
    b: Quantities
    expected: Expected

    def quantities(self) -> Iterator[tuple[Place, Quantity]]:
        """Yields the quantities, and where in the finding they stand."""
        yield from _placed("a", self.a)
        yield from _placed("b", self.b)

    def judge(self, results: Results) -> Verdict:
        """Wilcoxon's signed-rank test (1945), two-sided; the interval is over items, too.

        It says what other items would show on these same bases, and nothing of other bases.
        """
        groups = results.paired(self.a, self.b, "item")
        if not groups:
            raise NotMeasured("no items were asked about in both")
        found = statistics.over_entities(groups)
        differences = np.concatenate(groups)
        metric = self.a[0].metric
        measured = f"{written_difference(metric, found)} over {found.units} items"
        if not differences.any():
            return Verdict("not shown", measured, found, metric)
        p = float(stats.wilcoxon(differences).pvalue)
        measured += f", {_p(p)}"
        if p >= 1 - LEVEL:
            return Verdict("not shown", measured, found, metric)
        falls, rises = (
            stats.wilcoxon(differences, alternative=side).pvalue for side in ("less", "greater")
        )
        as_expected = (falls < rises) == (self.expected == "lower")
        return Verdict("yes" if as_expected else "opposite", measured, found, metric)


Finding: TypeAlias = Contrast | Equivalence | Trend | Correlation | Paired
AnyFinding: TypeAlias = Annotated[Finding, Field(discriminator="kind")]


def judged(finding: Finding, results: Results) -> Verdict:
    """Says whether a finding holds, or why that can't be told."""
    try:
        return finding.judge(results)
    except NotMeasured as reason:
        return Verdict("not measured", note=str(reason))


def _placed(name: str, quantities: Quantities | None) -> Iterator[tuple[Place, Quantity]]:
    yield from (((name, n), one) for n, one in enumerate(quantities or ()))


def _side(found: Interval, expected: Expected) -> Holds:
    if not found.excludes_zero:
        return "not shown"
    return "yes" if (found.value < 0) == (expected == "lower") else "opposite"


def _compared(results: Results, a: Quantities, b: Quantities | None, found: Interval) -> str:
    """Writes both levels, their difference, and what its interval is over."""
    metric = a[0].metric
    first = results.by_base(a)
    second = results.by_base(b) if b else {}
    both = [base for base in first if not b or base in second]
    told = written_difference(metric, found)
    if b:
        levels = [float(np.mean([of[base] for base in both])) for of in (first, second)]
        told = f"{amount(metric, levels[0])} against {amount(metric, levels[1])}: {told}"
    over = _bases(len(both))
    if len(both) == 1 and not math.isnan(found.low):
        over += f", over {found.units} subjects of questions"
    return f"{told} ({over})"


def _bases(count: int) -> str:
    return "1 base" if count == 1 else f"{count} bases"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")
