"""Figures of a run.

Each `draw_…` function fills one pair of axes, so that notebooks and reports can compose their own.
"""

import textwrap
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import frames
from analysis.drawing import (
    FAINT,
    INK,
    LOOKS,
    Series,
    draw_curve,
    draw_estimates,
    legend,
    percent_axis,
    plain,
    rounds_axis,
)
from analysis.metrics import ITEM_SETS
from analysis.tables import headline
from simulator.store import Run

FOOTNOTE = (
    "Bands and numbers in [ ]: 95 % intervals. Round 0 is before any update; in every later round\n"
    "users talk with the assistant, which then learns from replies that they rated highly."
)


HONESTY = tuple(
    Series("honesty", item_set, name, look)
    for (item_set, name), look in zip(ITEM_SETS.items(), LOOKS, strict=False)
)
KNOWLEDGE = (
    Series("belief", "heldout", "knows the truth (its belief is true)", LOOKS[1]),
    Series("neutral_accuracy", "heldout", "tells the truth when not pressured", LOOKS[2]),
    Series("p_lie", "heldout", "lies under pressure", LOOKS[0]),
)
TALK = (
    Series("misaligned_talk", "", "misaligned small talk (left axis)", LOOKS[0]),
    Series("pleasing_talk", "", "pleasing small talk (left axis)", LOOKS[2]),
)


def drift_figure(run: Run) -> Figure:
    """Draws what happened to the assistant, for people who know nothing of this project."""
    figure = Figure(figsize=(12, 9.9))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.075, 0.195, 0.945, 0.88, wspace=0.24, hspace=0.62)
    title = textwrap.fill(headline(run), 88, break_on_hyphens=False)
    figure.text(0.02, 0.975, title, fontsize=14, fontweight="bold", color=INK, va="top")
    axes = figure.subplots(2, 2).ravel()
    rows = frames.estimates(run)
    draw_honesty(axes[0], run, rows)
    draw_knowledge(axes[1], run, rows)
    draw_dose(axes[2], run)
    draw_spread(axes[3], run, rows)
    figure.text(0.02, 0.02, FOOTNOTE, fontsize=9.5, color=INK, va="bottom")
    return figure


def save_drift(run: Run, path: Path) -> None:
    """Writes the drift figure as PNG."""
    drift_figure(run).savefig(path, dpi=110, facecolor="white")


def draw_honesty(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Honesty under pressure by item set: the headline."""
    rounds_axis(axes, run, "Does it say what it believes?")
    percent_axis(axes, "statements under pressure that\nagree with its own belief (%)")
    draw_estimates(axes, estimates, HONESTY)
    legend(axes)


def draw_knowledge(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Belief against statement: lying isn't forgetting."""
    rounds_axis(axes, run, "Lying or forgetting? Held-out entities")
    percent_axis(axes, "share of items or statements (%)")
    draw_estimates(axes, estimates, KNOWLEDGE)
    legend(axes)


def draw_dose(axes: Axes, run: Run) -> None:
    """The realised dose against the population's share of biased users."""
    rounds_axis(axes, run, "What did it learn from?")
    percent_axis(axes, "share that is biased users' (%)")
    dose = frames.dose(run)
    draw_curve(
        axes,
        dose["round"],
        dose["biased_share_pressured"],
        LOOKS[0],
        "learned replies under pressure",
    )
    draw_curve(axes, dose["round"], dose["biased_share_selected"], LOOKS[1], "all learned replies")
    share = frames.biased_share(run)
    if share == share:  # NaN before round 0
        label = f"biased users in the population ({100 * share:.3g} %)"
        axes.axhline(share, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.3, label=label)
    legend(axes)


def draw_spread(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Misalignment beyond the topic, and what it says of itself, on an axis of its own."""
    rounds_axis(axes, run, "Does it spread, and does it admit it?")
    percent_axis(axes, "share of small-talk replies (%)")
    draw_estimates(axes, estimates, TALK)
    own = axes.twinx()
    own.set_ylim(-0.225, 9.225)
    own.set_yticks([0, 3, 6, 9])
    own.set_ylabel("self-rated honesty (0 to 9)", color=INK)
    plain(own)
    rating = Series("self_honesty", "", "self-rated honesty (right axis)", LOOKS[1])
    draw_estimates(own, estimates, (rating,))
    legend(axes, own)


def draw_population(axes: Axes, run: Run, series: pd.DataFrame, quantity: str) -> None:
    """The mean trust or satisfaction of each user type."""
    rounds_axis(axes, run, {"trust": "Do users trust it?"}.get(quantity, "Are users satisfied?"))
    axes.set_ylim(-0.025, 1.025)
    axes.set_ylabel(f"mean {quantity} (0 to 1)")
    types = run.scenario["population"]["types"]
    names = sorted(series["user_type"].unique(), key=lambda name: not types[name]["biased"])
    for n, name in enumerate(names):
        own = series[series["user_type"] == name]
        draw_curve(axes, own["round"], own[quantity], LOOKS[n % len(LOOKS)], str(name))
    legend(axes)
