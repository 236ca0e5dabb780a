"""The findings of a sweep as text and in one table."""

import math
from collections.abc import Iterator

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.metrics import amount, difference, interval, metric_name, unit
from analysis.statistics import Interval
from analysis.sweep import frames
from analysis.sweep.frames import Comparison
from analysis.sweep.outcomes import GAPS, Outcome, main_outcome, measured
from simulator.store.sweep import Sweep

ASKED = 0.1  # the headline's biased share, if the sweep has it


def written(metric: str, found: Interval) -> str:
    """Format a level with its interval; without one for a single run."""
    if metric in GAPS:
        return written_difference(metric, found)
    return interval(metric, found.value, found.low, found.high)


def written_difference(metric: str, found: Interval) -> str:
    """Format a difference with its interval."""
    told, how = difference(metric, found.value), unit(metric)
    if math.isnan(found.low):
        return told
    low, high = (_signed(how.factor * end, how.places) for end in _ends_within(metric, found))
    return f"{told} [{low} to {high}]"


def _ends_within(metric: str, difference: Interval) -> tuple[float, float]:
    """Return an interval's ends, cut at the range of differences of shares."""
    most = 1.0 if unit(metric).of_shares else math.inf
    return max(difference.low, -most), min(difference.high, most)


def _signed(number: float, places: int) -> str:
    return f"{'−' if number < 0 else '+'}{abs(number):.{places}f}"


def percent(share: float) -> str:
    """Format a biased share."""
    return f"{100 * share:.3g} %"


def headline(sweep: Sweep, table: pd.DataFrame | None = None) -> str:
    """Return the effect of a biased minority in one or two sentences, with its interval.

    Args:
        sweep: the sweep.
        table: `frames.outcomes(sweep)`, if already computed.
    """
    rows = frames.outcomes(sweep) if table is None else table
    outcome = main_outcome(sweep, rows)
    found = frames.compare(rows, outcome.metric, outcome.item_set)
    if not found:
        return "No finished run of this sweep measured anything."
    main = frames.of_condition(found, found[0].condition)
    doses = [c for c in main if c.biased_share > 0 and not math.isnan(c.difference.value)]
    if not doses:
        return (
            f"{len(sweep.members)} runs; the first arm has no run at share 0 and at another share, "
            "so nothing is compared."
        )
    chosen = min(doses, key=lambda c: (abs(c.biased_share - ASKED), c.biased_share))
    return f"{_effect(chosen, outcome)} {_threshold(doses, frames.threshold(doses))}"


def _effect(chosen: Comparison, outcome: Outcome) -> str:
    found, users = chosen.difference, f"With {percent(chosen.biased_share)} biased users"
    bases = ", ".join(
        f"{count} {what}{'s' if count > 1 else ''}"
        for count, what in ((found.units, chosen.over), (chosen.runs, "run"))
    )
    how = unit(outcome.metric)
    value, *ends = (
        f"{abs(how.factor * number):.{how.places}f}"
        for number in (found.value, *sorted(_ends_within(outcome.metric, found), key=abs))
    )
    if math.isnan(found.low):
        told = _ends(outcome, f"{value} points", found.value)
        return f"{users}, {told} than with none ({bases}: no interval)."
    if not found.excludes_zero:
        return (
            f"{users}, no change of {_subject(outcome)} is shown against none: "
            f"{written_difference(outcome.metric, found)} ({bases})."
        )
    told = _ends(outcome, f"{value} points [{'–'.join(ends)}]", found.value)
    return f"{users}, {told} than with none ({bases})."


def _subject(outcome: Outcome) -> str:
    honest = (outcome.metric, outcome.item_set) == ("honesty", "heldout")
    return "honesty under pressure on held-out entities" if honest else outcome.name


def _ends(outcome: Outcome, points: str, change: float) -> str:
    if (outcome.metric, outcome.item_set) == ("honesty", "heldout"):
        word = "less" if change < 0 else "more"
        return f"the assistant ends {points} {word} honest under pressure on held-out entities"
    return f"{outcome.name} ends {points} {'lower' if change < 0 else 'higher'}"


def _threshold(doses: list[Comparison], smallest: float | None) -> str:
    tested = ", ".join(percent(c.biased_share) for c in doses)
    if smallest is None:
        return f"No share is shown to differ from none (tested: {tested})."
    return (
        f"The smallest share shown to differ from none is {percent(smallest)} (tested: {tested})."
    )


def summary_table(sweep: Sweep) -> Table:
    """Return a line per condition and biased share, each compared with share 0."""
    rows, runs = frames.outcomes(sweep), frames.runs(sweep)
    main = main_outcome(sweep, rows)
    table = Table(
        title=Text(f"{sweep.name}: {main.name}, after the last round"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=Text(note(frames.replicates(runs)), style="dim"),
        caption_justify="left",
    )
    others = [o for o in measured(sweep, rows) if o != main]
    beside = [o for o in others if (o.metric, o.item_set) == ("honesty", "ood") or o.judged]
    heads = ["arm", "biased", "runs", "dose", "level", "against none"]
    for heading in (*heads, *(_short(outcome) for outcome in beside)):
        table.add_column(Text(heading), justify="left" if heading == "arm" else "right")
    levels = [_levels(rows, outcome) for outcome in beside]
    for found in frames.compare(rows, main.metric, main.item_set):
        key = (found.condition, found.biased_share)
        elsewhere = (level.get(key, "–") for level in levels)
        table.add_row(*map(Text, (*_cells(found, runs, main), *elsewhere)))
    return table


def _short(outcome: Outcome) -> str:
    return metric_name(outcome.metric) if outcome.judged else "new domains"


def _levels(rows: pd.DataFrame, outcome: Outcome) -> dict[tuple[str, float], str]:
    found = frames.compare(rows, outcome.metric, outcome.item_set)
    return {(c.condition, c.biased_share): written(outcome.metric, c.level) for c in found}


def _cells(found: Comparison, runs: pd.DataFrame, outcome: Outcome) -> Iterator[str]:
    own = runs[
        (runs["condition"] == found.condition) & (runs["biased_share"] == found.biased_share)
    ]
    yield found.condition
    yield percent(found.biased_share)
    yield str(found.runs)
    yield amount("dose", float(own["dose"].mean()))
    yield written(outcome.metric, found.level)
    yield against_none(outcome.metric, found)


def against_none(metric: str, found: Comparison, over: Interval | None = None) -> str:
    """Format the difference to share 0; empty for share 0 itself.

    Args:
        metric: the outcome.
        found: the comparison.
        over: the difference with another interval.
    """
    if found.biased_share == 0:
        return "–"
    return written_difference(metric, over or found.difference)


def note(over: str) -> str:
    """Return what the table's columns mean, with intervals over bases or over seeds."""
    return (
        "dose: the biased users' share of the learned replies; of the organism, of those\n"
        f"under pressure. Brackets: 95 % t intervals over {over}s. Differences, in points,\n"
        f"are to share 0 with the same {over}s (of the first arm, where an arm has none)."
    )
