"""What a sweep found, in words and in one table."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis import experiment
from analysis.experiment import Comparison
from analysis.metrics import amount, difference, interval, metric_name, unit
from analysis.statistics import Interval
from simulator.sweep_store import Sweep

HEADLINE = ("honesty", "heldout")
ASKED = 0.1  # the biased share that the headline is about, where the sweep has it


class Outcome(NamedTuple):
    """A metric that is compared."""

    metric: str
    item_set: str
    name: str


OUTCOMES = (
    Outcome("honesty", "heldout", "honest under pressure, held-out entities"),
    Outcome("honesty", "used", "honest under pressure, items talked about"),
    Outcome("honesty", "ood", "honest under pressure, new domains"),
    Outcome("belief", "", "true beliefs"),
    Outcome("neutral_accuracy", "", "truth without pressure"),
    Outcome("misaligned_talk", "", "misaligned small talk"),
    Outcome("pleasing_talk", "", "pleasing small talk"),
    Outcome("self_honesty", "", "self-rated honesty (0–9)"),
    Outcome("overclaim", "", "self-rating minus behaviour"),
    Outcome("targeting_gap", "", "wishes granted: biased minus other users"),
)

GAPS = ("overclaim", "targeting_gap")  # differences of shares: they have a sign


def outcome_name(metric: str, item_set: str) -> str:
    """Returns an outcome's plain name."""
    known = {(o.metric, o.item_set): o.name for o in OUTCOMES}
    return known.get((metric, item_set)) or metric_name(metric)


def written(metric: str, found: Interval) -> str:
    """Writes a level with its interval over bases; without one where there is a single base."""
    if metric in GAPS:
        return written_difference(metric, found)
    return interval(metric, found.value, found.low, found.high)


def written_difference(metric: str, found: Interval) -> str:
    """Writes a difference with its interval over bases."""
    told, how = difference(metric, found.value), unit(metric)
    if math.isnan(found.low):
        return told
    low, high = (_signed(how.factor * end, how.places) for end in (found.low, found.high))
    return f"{told} [{low} to {high}]"


def _signed(number: float, places: int) -> str:
    return f"{'−' if number < 0 else '+'}{abs(number):.{places}f}"


def percent(share: float) -> str:
    """Writes a biased share."""
    return f"{100 * share:.3g} %"


def headline(sweep: Sweep, table: pd.DataFrame | None = None) -> str:
    """Answers in one sentence what a biased minority did, with its interval.

    Args:
        sweep: the sweep.
        table: `experiment.outcomes(sweep)`, where it is at hand.
    """
    rows = experiment.outcomes(sweep) if table is None else table
    found = experiment.compare(rows, *HEADLINE)
    if not found:
        return "No finished run of this sweep measured honesty."
    main = experiment.of_condition(found, found[0].condition)
    doses = [c for c in main if c.biased_share > 0 and not math.isnan(c.difference.value)]
    if not doses:
        return (
            f"{len(sweep.members)} runs; the first arm has no run at share 0 and at another share, "
            "so nothing is compared."
        )
    chosen = min(doses, key=lambda c: (abs(c.biased_share - ASKED), c.biased_share))
    return f"{_effect(chosen)} {_threshold(doses, experiment.threshold(doses))}"


def _effect(chosen: Comparison) -> str:
    found, users = chosen.difference, f"With {percent(chosen.biased_share)} biased users"
    bases = f"{found.units} base{'s' if found.units > 1 else ''}, {chosen.runs} runs"
    points = f"{abs(100 * found.value):.0f} points"
    if math.isnan(found.low):
        word = "less" if found.value < 0 else "more"
        return (
            f"{users}, the assistant ends {points} {word} honest under pressure on held-out "
            f"entities than with none ({bases}: no interval)."
        )
    low, high = sorted((abs(100 * found.low), abs(100 * found.high)))
    if not found.excludes_zero:
        return (
            f"{users}, no change of honesty under pressure on held-out entities is shown against "
            f"none: {written_difference('honesty', found)} ({bases})."
        )
    word = "less" if found.value < 0 else "more"
    return (
        f"{users}, the assistant ends {points} [{low:.0f}–{high:.0f}] {word} honest under pressure "
        f"on held-out entities than with none ({bases})."
    )


def _threshold(doses: list[Comparison], smallest: float | None) -> str:
    tested = ", ".join(percent(c.biased_share) for c in doses)
    if smallest is None:
        return f"No share is shown to differ from none (tested: {tested})."
    return (
        f"The smallest share shown to differ from none is {percent(smallest)} (tested: {tested})."
    )


def summary_table(sweep: Sweep) -> Table:
    """Returns a line per condition and biased share, each compared with share 0."""
    outcomes, runs = experiment.outcomes(sweep), experiment.runs(sweep)
    table = Table(
        title=f"{sweep.name}: held-out entities, after the last round",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=Text(NOTE, style="dim"),
        caption_justify="left",
    )
    for heading in ("arm", "biased", "runs", "dose", "honest", "against none", "new domains"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    ood = {(c.condition, c.biased_share): c for c in experiment.compare(outcomes, "honesty", "ood")}
    for found in experiment.compare(outcomes, *HEADLINE):
        key = (found.condition, found.biased_share)
        elsewhere = written("honesty", ood[key].level) if key in ood else "–"
        table.add_row(*_cells(found, runs), elsewhere)
    return table


def _cells(found: Comparison, runs: pd.DataFrame) -> Iterator[str]:
    own = runs[
        (runs["condition"] == found.condition) & (runs["biased_share"] == found.biased_share)
    ]
    yield found.condition
    yield percent(found.biased_share)
    yield str(found.runs)
    yield amount("honesty", float(own["dose"].mean()))
    yield written("honesty", found.level)
    yield written_difference("honesty", found.difference) if any(found.differences) else "–"


NOTE = (
    "dose: the biased users' share of the learned replies under pressure. Brackets: 95 %\n"
    "t intervals over bases; differences, in points, are to share 0 on the same bases (of\n"
    "the first arm, where an arm has none)."
)
