"""The findings of a run as text and tables, for the command line, plots and reports."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.metrics import (
    described,
    full_name,
    interval,
    judged_scale,
    metric_name,
    shown_change,
)
from analysis.run import frames
from analysis.run.phases import phases_so_far
from analysis.run.roles import Scale, scales
from simulator.probes.metrics import RATING, KeyFigure
from simulator.store.run import LEFT_OUT, Run

_SHORT_SETS: Mapping[str, str] = {
    "used": "talked about",
    "heldout": "held out",
    "ood": "new domains",
}
CHANGES = (
    "[low–high]: 95 % intervals; n: answers; a change is shown where the intervals don't overlap "
    f"and n is {frames.FEWEST} or more"
)
FIRST = 39  # number of metrics shown if none is a key figure


def key_figures(run: Run) -> pd.DataFrame:
    """Return the rows of `frames.changes` that matter most, as probes declare, in their order.

    Observed metrics come first, then judges' scales, then the shares of unread judgements, if any.
    """
    rows = frames.changes(run)
    declared = [_key_figure(m, s) for m, s in zip(rows["metric"], rows["item_set"], strict=True)]
    happened = rows[["value_first", "value_last"]].any(axis=1)
    rare = [figure is not None and figure.if_any for figure in declared]
    place = [figure.place if figure else None for figure in declared]
    rows = rows.assign(place=pd.array(place, dtype="Int64"))[happened | ~np.array(rare, bool)]
    chosen = rows.dropna(subset=["place"])
    if chosen.empty:  # probes without key figures
        chosen = rows.head(FIRST).assign(place=0)
    return chosen.sort_values("place", kind="stable").drop(columns="place").reset_index(drop=True)


def _key_figure(metric: str, item_set: str) -> KeyFigure | None:
    figures = described(metric).key_figures
    return next((figure for figure in figures if figure.item_set == item_set), None)


def headline(run: Run) -> str:
    """Return the main finding in one sentence, with intervals.

    A change is claimed only where the 95 % intervals of the baseline and of the last measured
    round don't overlap.
    """
    figures = key_figures(run)
    measurable = figures.dropna(subset=["value_first", "value_last"])
    if measurable.empty:
        return "Nothing could be measured yet."
    row = measurable.iloc[0]
    metric = str(row["metric"])
    before = interval(metric, row["value_first"], row["low_first"], row["high_first"])
    after = interval(metric, row["value_last"], row["low_last"], row["high_last"])
    name = _subject(run, metric, str(row["item_set"]))
    first, last = frames.compared_rounds(run)
    users = f"{100 * frames.biased_share(run):.3g} % biased users"
    when = f"After {phases_so_far(run, last)}" if last else f"Before any update, with {users}"
    if first == last:
        return f"{when}, {name} is {before}; no later round is measured."
    counted = f", counted from round {first}" if first else ""
    if not row["separate"]:
        return (
            f"{when}, no change in {name} could be shown{counted}: {before} before, {after} after."
        )
    verb = "fell" if row["change"] < 0 else "rose"
    return f"{when}, {name} {verb} from {before} to {after}{counted}."


def _subject(run: Run, metric: str, item_set: str) -> str:
    """Return a metric's name for a sentence; a judged metric with its judge."""
    scale, name = scale_of(run, metric), full_name(metric, item_set)
    return f"{name} by {scale.judge} ({scale.bounds})" if scale else name


def scale_of(run: Run, metric: str) -> Scale | None:
    """Return the judge's scale of a metric, or None for other metrics."""
    return scales(run).get(judged_scale(metric) or "")


def rows_left_out(run: Run) -> list[str]:
    """Return a sentence for each source of data of which bad rows were left out."""
    return [
        f"{n:,} bad row{'s' if n > 1 else ''} of {source} were left out: see {run.left_out_file}."
        for source, n in run.manifest.get(LEFT_OUT, {}).items()
    ]


def unchanged_rounds(run: Run) -> list[str]:
    """Return a sentence for each round whose update left the assistant unchanged."""
    rows = frames.updates(run)[["round", "unchanged"]].itertuples(index=False)
    return [
        f"Round {n} left the assistant as it was: {why}." for n, why in rows if isinstance(why, str)
    ]


def lengths_table(run: Run) -> Table | None:
    """Return the table of lengths of each phase's training replies; None if there are none."""
    rows = frames.phase_lengths(run)
    if rows.empty:
        return None
    table = Table(
        box=box.SIMPLE_HEAD,
        caption=Text("lengths in tokens; where phases differ, so may what they teach", style="dim"),
        caption_justify="left",
    )
    for heading in ("learned from", "replies", "mean length", "sd"):
        table.add_column(heading, justify="left" if heading == "learned from" else "right")
    for phase, signal, n, mean, sd in rows.itertuples(index=False):
        table.add_row(Text(f"{phase}, {signal}"), f"{n:,}", f"{mean:.1f}", f"{sd:.1f}")
    return table


def screening_rows(run: Run) -> list[dict[Hashable, Any]]:
    """Return the results of screening before each update.

    One row per round: the counts `replies` and `dropped`, and `precision`, `base_rate` and `recall`
    formatted with their intervals; see `frames.screening`.
    """
    shares = frames.screening(run)
    written = [
        interval(share, *bounds)
        for share, *bounds in shares[["share", "value", "low", "high"]].itertuples(index=False)
    ]
    counts = ["round", "replies", "dropped"]
    rows = shares.assign(written=written).pivot(index=counts, columns="share", values="written")
    return rows.reset_index().to_dict("records")


def screening_table(run: Run) -> Table | None:
    """Return the table of screening before each update; None without screening."""
    rows = screening_rows(run)
    if not rows:
        return None
    notes = (
        "precision: of what was left out, the share of biased users' replies; at random: of all",
        "that was looked at; recall: of biased users' replies, the share that was left out",
    )
    table = Table(
        box=box.SIMPLE_HEAD,
        caption=Text("\n".join(notes), style="dim"),
        caption_justify="left",
    )
    for heading in ("screened in round", "replies", "left out", "precision", "at random", "recall"):
        table.add_column(heading, justify="right")
    for row in rows:
        keys = ("round", "replies", "dropped", "precision", "base_rate", "recall")
        table.add_row(*(Text(str(row[key])) for key in keys))
    return table


def summary_table(run: Run) -> Table:
    """Return the key figures at round 0, at the baseline and, once measured, at the last round."""
    figures = key_figures(run)
    first, last = frames.compared_rounds(run)
    changed = last > first
    judges = dict.fromkeys(scale.judge for scale in scales(run).values())
    notes = [CHANGES if changed else "[low–high]: 95 % intervals; n: answers"]
    notes += [f"as judged: the opinion of {' and '.join(judges)}"] if judges else []
    table = Table(
        box=box.SIMPLE_HEAD,
        caption=Text("\n".join(notes), style="dim"),
        caption_justify="left",
    )
    table.add_column("")
    later = (f"round {last}", "change") if changed else ()
    for title in (*(["round 0"] if first else []), f"round {first}", *later, "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in figures.to_dict("records"):
        name, before, then, change, n = _cells(run, row)
        raw = [_at_start(run, row)] if first else []
        cells = (name, *raw, before, *((then, change) if changed else ()), n)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _at_start(run: Run, row: Mapping[Hashable, Any]) -> str:
    """Return a metric's value before any update, which isn't the baseline."""
    rows = frames.estimates(run)
    same = rows[["round", "metric", "item_set"]].eq([0, row["metric"], row["item_set"]]).all(axis=1)
    found = rows[same]
    if found.empty:
        return ""
    return interval(str(row["metric"]), found["value"].iloc[0], math.nan, math.nan)


def rounds_table(run: Run, rows: pd.DataFrame) -> Table:
    """Return every estimate of every round, with its change since the first.

    Args:
        run: the run.
        rows: as `frames.estimates` has them.
    """
    table = Table(box=box.SIMPLE_HEAD, caption=Text(CHANGES, style="dim"), caption_justify="left")
    for heading in ("round", "", "value", "change", "n"):
        table.add_column(heading, justify="right" if heading in ("round", "n") else "left")
    first = int(rows["round"].min())
    for number, found in rows.groupby("round"):
        compared = frames.compared(rows[rows["round"] == first], found)
        for row in compared.to_dict("records"):
            name, _, value, change, n = _cells(run, row)
            cells = (str(number), name, value, "" if number == first else change, n)
            table.add_row(*map(Text, cells))
    return table


def _cells(run: Run, row: Mapping[Hashable, Any]) -> tuple[str, str, str, str, str]:
    """Return name, value before and after, change, and the number of answers."""
    metric, item_set = str(row["metric"]), str(row["item_set"])
    first, then = (
        interval(metric, row[f"value_{at}"], row[f"low_{at}"], row[f"high_{at}"])
        for at in ("first", "last")
    )
    of = f", {_SHORT_SETS.get(item_set, item_set)}" if item_set else ""
    name = metric_name(metric) + of + range_of(run, metric)
    n = int(min(row["n_first"], row["n_last"]))
    return name, first, then, shown_change(metric, row["change"], row["separate"]), f"{n:,}"


def range_of(run: Run, metric: str) -> str:
    """Return a metric's range, as a suffix of its name; empty for shares."""
    found, scale = described(metric), scale_of(run, metric)
    if found.unit is RATING:
        low, high = found.bounds
        return f" ({low:g}–{high:g})"
    return f" ({scale.bounds})" if scale else ""
