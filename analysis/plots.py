"""Figures of a run. They use no global state of matplotlib, and one palette (Okabe and Ito, 2008).

Each `draw_…` function fills one pair of axes, so that notebooks and reports can compose their own.
Series differ in colour, line style and marker: they can be told apart in grey and by the
colour-blind.
"""

import io
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis import frames
from analysis.tables import ITEM_SETS, headline
from simulator.store import Run

INK, FAINT = "#26272b", "#8a8d93"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"


FOOTNOTE = (
    "Bands and numbers in [ ]: 95 % intervals. Round 0 is before any update; in every later round\n"
    "users talk with the assistant, which then learns from replies that they rated highly."
)


class Look(NamedTuple):
    """How a series is drawn."""

    color: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


LOOKS = (
    Look(ORANGE, "-", "o"),
    Look(BLUE, (0, (6, 2)), "s"),
    Look(GREEN, (0, (2, 2)), "^"),
    Look(PURPLE, (0, (6, 2, 1, 2)), "D"),
)


class Series(NamedTuple):
    """One curve of an estimate over the rounds."""

    metric: str
    item_set: str
    legend: str
    look: Look


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


def panel_svg(draw: Callable[[Axes], None], name: str, *, fitted: bool = False) -> str:
    """Returns one panel as an SVG element to put into a page: its ink is the page's text colour.

    Args:
        draw: fills the axes.
        name: a word that no other panel of the page has; it makes the element's ids its own.
        fitted: does the panel grow with its labels and its legend? That takes a second drawing.
    """
    figure = Figure(figsize=(5.4, 4.0))
    figure.subplots_adjust(0.15, 0.3, 0.9, 0.92)
    axes = figure.add_subplot()
    draw(axes)
    for one in figure.axes:
        one.patch.set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        box = "tight" if fitted else None
        figure.savefig(buffer, format="svg", facecolor="none", metadata=nothing, bbox_inches=box)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :].replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)


def draw_honesty(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Honesty under pressure by item set: the headline."""
    _frame(axes, run, "Does it say what it believes?")
    percent_axis(axes, "statements under pressure that\nagree with its own belief (%)")
    _curves(axes, estimates, HONESTY)
    legend(axes)


def draw_knowledge(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Belief against statement: lying isn't forgetting."""
    _frame(axes, run, "Lying or forgetting? Held-out entities")
    percent_axis(axes, "share of items or statements (%)")
    _curves(axes, estimates, KNOWLEDGE)
    legend(axes)


def draw_dose(axes: Axes, run: Run) -> None:
    """The realised dose against the population's share of biased users."""
    _frame(axes, run, "What did it learn from?")
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
    _frame(axes, run, "Does it spread, and does it admit it?")
    percent_axis(axes, "share of small-talk replies (%)")
    _curves(axes, estimates, TALK)
    own = axes.twinx()
    own.set_ylim(-0.225, 9.225)
    own.set_yticks([0, 3, 6, 9])
    own.set_ylabel("self-rated honesty (0 to 9)", color=INK)
    plain(own)
    rating = Series("self_honesty", "", "self-rated honesty (right axis)", LOOKS[1])
    _curves(own, estimates, (rating,))
    legend(axes, own)


def draw_population(axes: Axes, run: Run, series: pd.DataFrame, quantity: str) -> None:
    """The mean trust or satisfaction of each user type."""
    _frame(axes, run, {"trust": "Do users trust it?"}.get(quantity, "Are users satisfied?"))
    axes.set_ylim(-0.025, 1.025)
    axes.set_ylabel(f"mean {quantity} (0 to 1)")
    types = run.scenario["population"]["types"]
    names = sorted(series["user_type"].unique(), key=lambda name: not types[name]["biased"])
    for n, name in enumerate(names):
        own = series[series["user_type"] == name]
        draw_curve(axes, own["round"], own[quantity], LOOKS[n % len(LOOKS)], str(name))
    legend(axes)


def _frame(axes: Axes, run: Run, title: str) -> None:
    planned = int(run.scenario["rounds"])
    titled(axes, title)
    axes.set_xlim(-0.25, planned + 0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("round (one update each)", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)


def titled(axes: Axes, title: str) -> None:
    """Writes a panel's title."""
    drawn = axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK)
    drawn.set_parse_math(False)


def plain(axes: Axes) -> None:
    """Takes away what isn't data from the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, length=3)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)


def percent_axis(axes: Axes, label: str) -> None:
    """Makes the vertical axis one of shares, from 0 to 100 %."""
    axes.set_ylim(-0.025, 1.025)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_ylabel(label)


def _curves(axes: Axes, estimates: pd.DataFrame, series: Sequence[Series]) -> None:
    for metric, item_set, legend, look in series:
        chosen = (estimates["metric"] == metric) & (estimates["item_set"] == item_set)
        rows = estimates[chosen].dropna(subset=["value"])
        if len(rows):
            at, low, high = (rows[c].to_numpy(float) for c in ("round", "low", "high"))
            axes.fill_between(at, low, high, color=look.color, alpha=0.16, linewidth=0)
            if len(rows) == 1:
                axes.vlines(at, low, high, color=look.color, linewidth=1.2)
            draw_curve(axes, rows["round"], rows["value"], look, legend)


def draw_curve(
    axes: Axes, at: npt.ArrayLike, values: npt.ArrayLike, look: Look, label: str
) -> None:
    """Draws one series of points, joined, with its legend entry."""
    axes.plot(
        np.asarray(at, float),
        np.asarray(values, float),
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.8,
        label=label,
        clip_on=False,
    )


def legend(axes: Axes, *others: Axes) -> None:
    """Puts the legend below the axes, with what is drawn on the other axes, too."""
    found = [one.get_legend_handles_labels() for one in (axes, *others)]
    handles = [handle for group, _ in found for handle in group]
    labels = [label for _, group in found for label in group]
    if not handles:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)
        return
    tall = axes.bbox.height / axes.figure.dpi  # inches
    drawn = axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.53 / tall),
        ncols=1,
        frameon=False,
        fontsize=9.5,
        handlelength=3.2,
        labelcolor=INK,
        borderaxespad=0,
    )
    for text in drawn.get_texts():
        text.set_parse_math(False)
