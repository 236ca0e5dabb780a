"""Panels of judged runs: the judge's numbers, and unreadable or truncated outputs."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes

from analysis.metrics import is_unread
from analysis.plotting import (
    FAINT,
    LOOKS,
    Series,
    draw_curve,
    draw_estimates,
    legend,
    number_axis,
    percent_axis,
    rounds_axis,
)
from analysis.run import frames
from analysis.run.roles import Scale, scales
from simulator.probes.judged.scales import JUDGED, UNREADABLE
from simulator.store.run import Run


def draw_judged(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the mean number of every scale of the judge."""
    found = scales(run)
    rounds_axis(axes, run, "How does the judge see it?")
    low, high = min(s.low for s in found.values()), max(s.high for s in found.values())
    judges = " and ".join(dict.fromkeys(scale.judge for scale in found.values()))
    shown = textwrap.shorten(judges, 44, placeholder="…")
    number_axis(axes, low, high, f"mean number given by\n{shown}")
    same = len({scale.bounds for scale in found.values()}) == 1
    series = [
        Series(JUDGED.stored(scale=name), "", _words(scale, estimates, same), LOOKS[n % len(LOOKS)])
        for n, (name, scale) in enumerate(found.items())
    ]
    draw_estimates(axes, estimates, series)
    legend(axes)


def _words(scale: Scale, estimates: pd.DataFrame, same: bool) -> str:
    """Return a scale's label, with the largest share of unread judgements, if any."""
    metric = UNREADABLE.stored(scale=scale.name)
    unread = estimates.loc[estimates["metric"] == metric, "value"].max()
    notes = [] if same else [scale.bounds]
    notes += [f"up to {100 * unread:.0f} % unread, left out"] if unread > 0 else []
    return scale.name.replace("_", " ") + (f" ({'; '.join(notes)})" if notes else "")


def draw_failures(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the shares of unreadable and truncated outputs, for each kind that occurred."""
    rounds_axis(axes, run, "What went wrong on the way?")
    percent_axis(axes, "share of what was asked (%)")
    happened = {name: share for name, share in failures(run, estimates).items() if share.any()}
    for (name, share), look in zip(happened.items(), LOOKS, strict=False):
        draw_curve(axes, share.index, share, look, name)
    if happened:
        legend(axes)
    else:
        axes.text(0.5, 0.5, "nothing did", transform=axes.transAxes, ha="center", color=FAINT)


def failures(run: Run, estimates: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Return the shares of failures by round, for each kind."""
    judged = estimates[estimates["metric"].map(is_unread).astype(bool)]
    unread = (judged["value"] * judged["n"]).groupby(judged["round"]).sum()
    asked = judged.groupby("round")["n"].sum()
    counts = frames.conversation_counts(run).set_index("round")
    looked_at = frames.vetoes(run).groupby("round").size().reindex(counts.index)
    return {
        "judgements without a readable number": unread / asked,
        "replies that the user's rater gave no rating": counts["unrated"] / counts["replies"],
        "replies cut off at their longest": counts["cut_off"] / counts["replies"],
        "monitors' verdicts that can't be read": (counts["unread_vetoes"] / looked_at).fillna(0.0),
    }
