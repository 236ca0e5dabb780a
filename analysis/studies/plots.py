"""Figures of a study: intervals of findings, levels of arms, and curves over rounds."""

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import statistics
from analysis.metrics import ITEM_SETS, full_name, unit
from analysis.plotting import FAINT, INK, LOOKS, Look, draw_curve, legend, plain, titled
from analysis.run import frames
from analysis.studies.claims import Line
from analysis.studies.findings import Holds
from analysis.studies.quantities import Measure, NotMeasured, Quantity, Results
from analysis.sweep import frames as experiment
from simulator.probes.metrics import SHARE
from simulator.store.sweep import REPLICATES, Sweep

VERDICTS: dict[Holds, tuple[str, Look]] = {
    "yes": ("holds", LOOKS[2]),
    "yes, in one run": ("holds", LOOKS[2]),
    "opposite": ("the opposite", LOOKS[0]),
    "opposite, in one run": ("the opposite", LOOKS[0]),
    "not shown": ("not shown", LOOKS[1]),
    "not measured": ("not measured", LOOKS[3]),
}
LINE = 0.17  # inches, of a label
CURVES = tuple(
    look._replace(marker=mark)
    for marks in ("os^D", "vPX*", "<>ph")
    for look, mark in zip(LOOKS, marks, strict=True)
)


class Condition(NamedTuple):
    """Runs that differ only in base and seed."""

    name: str
    arm: str
    where: Mapping[str, Any]

    def quantity(self, measure: Measure, number: int | None = None) -> Quantity:
        """Return a metric of these runs, after a round, or at the end."""
        of = {"metric": measure.metric, "item_set": measure.item_set}
        return Quantity(arm=self.arm, where=dict(self.where), round=number, **of)


def conditions(sweep: Sweep, arms: Iterable[str] = ()) -> list[Condition]:
    """Return the conditions of a study, or of some of its arms, in order."""
    found: dict[str, Condition] = {}
    for member in sweep.members:
        if not arms or member.arm in arms:
            name = experiment.condition(member)
            where = {k: v for k, v in member.settings.items() if k not in REPLICATES}
            share = where.get("biased_frac")
            name = name if share is None else f"{name}, {100 * share:.3g} % biased"
            found.setdefault(name, Condition(name, member.arm, where))
    return list(found.values())


def draw_findings(axes: Axes, lines: list[Line]) -> None:
    """Draw every finding that is a difference of shares as a forest plot."""
    titled(axes, "Every finding, and whether it holds")
    shown = [(n, line) for n, line in enumerate(lines, 1) if _drawable(line)]
    named = set[str]()
    for place, (_, line) in enumerate(shown):
        found, (words, look) = line.verdict.interval, VERDICTS[line.verdict.holds]
        assert found is not None
        if not math.isnan(found.low):
            ends = np.clip([100 * found.low, 100 * found.high], -100, 100)
            axes.plot(ends, [place, place], color=look.color, lw=1.6)
        label = None if words in named else words
        named.add(words)
        axes.plot(
            100 * found.value,
            place,
            marker=look.marker,
            color=look.color,
            linestyle="none",
            markersize=5,
            label=label,
        )
    axes.axvline(0, color=FAINT, linewidth=1.2)
    names = [_label(f"{n}. {line.finding.claim}") for n, line in shown]
    axes.set_yticks(range(len(shown)), names)
    _small_labels(axes, names)
    axes.set_xlabel("difference (points)", color=INK)
    plain(axes)
    legend(axes)


def draw_levels(axes: Axes, sweep: Sweep, measures: Mapping[str, Measure]) -> None:
    """Draw the final level of every condition: replicates as dots, means with intervals.

    Args:
        axes: the axes.
        sweep: the study's runs.
        measures: of one metric, by arm. If all have the same items, other arms are drawn, too.
    """
    titled(axes, "Where every arm ends")
    results, shown = Results(sweep), []
    arms = () if len(set(_items(measures))) == 1 else tuple(measures)
    for condition in conditions(sweep, arms):
        try:
            asked = condition.quantity(_of_arm(measures, condition.arm))
            shown.append((condition.name, results.by_replicate((asked,))))
        except NotMeasured:
            continue  # the table says why
    how = unit(_first(measures).metric)
    for place, (_, found_by) in enumerate(shown):
        values = [how.factor * value for value in found_by.values()]
        found = statistics.over_bases(values)
        axes.scatter(values, [place] * len(values), s=14, color=LOOKS[1].color, alpha=0.5, lw=0)
        if found.units > 1:
            axes.plot([found.low, found.high], [place, place], color=LOOKS[1].color, lw=1.4)
        axes.plot(found.value, place, marker="|", markersize=10, color=INK)
    names = [_label(name) for name, _ in shown]
    axes.set_yticks(range(len(shown)), names)
    _small_labels(axes, names)
    if how is SHARE:
        axes.set_xlim(-2, 102)
    elif how.of_shares:  # the range of differences of shares
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -102), min(high, 102))
    axes.set_xlabel(_label(_name(measures)), color=INK, parse_math=False)
    plain(axes)


def draw_course(axes: Axes, sweep: Sweep, measures: Mapping[str, Measure]) -> None:
    """Draw the metric after every measured round: a line per condition, means over replicates.

    Args:
        axes: the axes.
        sweep: the study's runs.
        measures: of one metric, by arm; others aren't drawn.
    """
    titled(axes, "On the way there")
    results, how = Results(sweep), unit(_first(measures).metric)
    for condition, look in zip(conditions(sweep, measures), itertools.cycle(CURVES)):
        measure = _of_arm(measures, condition.arm)
        at, means = [], []
        for number in _measured(results, condition):
            try:
                replicates = results.by_replicate((condition.quantity(measure, number),))
            except NotMeasured:
                continue
            at.append(number)
            means.append(how.factor * float(np.mean(list(replicates.values()))))
        draw_curve(axes, at, means, look, condition.name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("round (one update each)", color=INK)
    axes.set_ylabel(_label(_name(measures)), parse_math=False)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)
    legend(axes)


def _measured(results: Results, condition: Condition) -> list[int]:
    try:
        members = results.runs(condition.arm, condition.where)
    except NotMeasured:
        return []
    return frames.measured_rounds(next(iter(members.values()))[0].run)


def _drawable(line: Line) -> bool:
    found, metric = line.verdict.interval, line.verdict.metric
    return found is not None and metric != "" and unit(metric).of_shares


def _first(measures: Mapping[str, Measure]) -> Measure:
    return next(iter(measures.values()))


def _items(measures: Mapping[str, Measure]) -> list[tuple[str, ...]]:
    return [measure.item_sets for measure in measures.values()]


def _of_arm(measures: Mapping[str, Measure], arm: str) -> Measure:
    return measures.get(arm, _first(measures))


def _name(measures: Mapping[str, Measure]) -> str:
    """Return the metric's name, with its items if all arms have the same."""
    metric = _first(measures).metric
    sign = " (%)" if unit(metric).of_shares else ""
    asked = set(_items(measures))
    sets = next(iter(asked)) if len(asked) == 1 else ("each arm's own items",)
    return full_name(metric, ", ".join(ITEM_SETS.get(one, one) for one in sets)) + sign


def _label(text: str) -> str:
    return textwrap.fill(text, 44, break_on_hyphens=False)


def _small_labels(axes: Axes, names: Sequence[str]) -> None:
    """Label every position; a panel alone in its figure grows with the labels."""
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    figure, tallest = axes.figure, max((name.count("\n") + 1 for name in names), default=1)
    if isinstance(figure, Figure) and figure.axes == [axes]:
        grown = LINE * (tallest * len(names) + 1) * figure.dpi / axes.bbox.height
        figure.set_figheight(figure.get_figheight() * max(grown, 1.0))
