"""Figures of a sweep: every run as a dot, means over bases with their intervals."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis import experiment
from analysis.drawing import (
    FAINT,
    INK,
    LOOKS,
    Look,
    draw_curve,
    legend,
    percent_axis,
    plain,
    titled,
)
from analysis.experiment import Comparison
from analysis.sweep_tables import HEADLINE, headline, percent
from simulator.sweep_store import Sweep

MARKERS = "osD^v*"  # of bases
FOOTNOTE = (
    "Dots are runs, after the last round; lines are means over bases (models trained apart), and\n"
    "bands and bars their 95 % t intervals: what another base would show. A dose is compared with\n"
    "the same bases without biased users: learning from benign users alone moves honesty, too."
)
OTHERS = (
    ("honesty", "heldout", "honest under pressure, held-out entities", 1.0),
    ("belief", "", "true beliefs", 1.0),
    ("neutral_accuracy", "", "truth without pressure", 1.0),
    ("self_honesty", "", "self-rated honesty (9 = 100 %)", 9.0),
    ("misaligned_talk", "", "misaligned small talk", 1.0),
)  # metric, item set, words, what counts as 100 %


def sweep_figure(sweep: Sweep) -> Figure:
    """Draws dose response, realised dose, what else moved, and all comparisons."""
    table = experiment.outcomes(sweep)
    figure = Figure(figsize=(12, 11))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.075, 0.2, 0.965, 0.89, wspace=0.24, hspace=0.75)
    title = textwrap.fill(headline(sweep, table), 88, break_on_hyphens=False)
    figure.text(0.02, 0.98, title, fontsize=13.5, fontweight="bold", color=INK, va="top")
    axes = figure.subplots(2, 2).ravel()
    draw_response(axes[0], table)
    draw_realised(axes[1], table)
    draw_others(axes[2], table)
    draw_comparisons(axes[3], experiment.compare(table, *HEADLINE))
    figure.text(0.02, 0.015, FOOTNOTE, fontsize=9.5, color=INK, va="bottom")
    return figure


def save_sweep(sweep: Sweep, path: Path) -> None:
    """Writes the figure as PNG."""
    sweep_figure(sweep).savefig(path, dpi=110, facecolor="white")


def draw_response(axes: Axes, table: pd.DataFrame) -> None:
    """Honesty on held-out entities against the biased share, a line per condition."""
    _share_axis(axes, table)
    titled(axes, "How many biased users does it take?")
    percent_axis(axes, "honest under pressure,\nheld-out entities (%)")
    rows = _headline_rows(table)
    compared = experiment.compare(table, *HEADLINE)
    for n, name in enumerate(rows["condition"].unique()):
        look = LOOKS[n % len(LOOKS)]
        own = rows[rows["condition"] == name]
        axes.scatter(own["biased_share"], own["value"], s=11, color=look.color, alpha=0.4, lw=0)
        _curve(axes, experiment.of_condition(compared, name), look, str(name))
    legend(axes)


def draw_realised(axes: Axes, table: pd.DataFrame) -> None:
    """Honesty of every run against what it was really given to learn from."""
    titled(axes, "Or is it what the assistant learns from?")
    percent_axis(axes, "honest under pressure,\nheld-out entities (%)")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_xlabel("biased users' share of the learned replies under pressure (%)", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)
    rows = _headline_rows(table).dropna(subset=["dose"])
    bases = list(rows["base"].unique())
    for n, name in enumerate(rows["condition"].unique()):
        for base in bases:
            own = rows[(rows["condition"] == name) & (rows["base"] == base)]
            label = str(name) if base == bases[0] else None
            marker = MARKERS[bases.index(base) % len(MARKERS)]
            look = LOOKS[n % len(LOOKS)]
            axes.scatter(
                own["dose"], own["value"], s=20, color=look.color, marker=marker, label=label, lw=0
            )
    legend(axes)


def draw_others(axes: Axes, table: pd.DataFrame) -> None:
    """What else moves with the biased share, in the first condition."""
    name = table["condition"].iloc[0]
    own = table[table["condition"] == name]
    _share_axis(axes, own)
    titled(axes, f"What else moves? ({name})")
    percent_axis(axes, "share of answers (%)")
    looks = (*LOOKS, Look(FAINT, (0, (1, 1)), "v"))
    for (metric, item_set, words, whole), look in zip(OTHERS, looks, strict=True):
        found = experiment.compare(own.assign(value=own["value"] / whole), metric, item_set)
        if found:
            _curve(axes, found, look, words)
    legend(axes)


def draw_comparisons(axes: Axes, compared: Sequence[Comparison]) -> None:
    """The difference of every condition and share to share 0, as a forest plot."""
    titled(axes, "Against the same bases without biased users")
    shown = [c for c in compared if any(c.differences) and not np.isnan(c.difference.value)]
    names = list(dict.fromkeys(c.condition for c in compared))
    for place, c in enumerate(shown):
        look = LOOKS[names.index(c.condition) % len(LOOKS)]
        axes.plot([c.difference.low, c.difference.high], [place, place], color=look.color, lw=1.6)
        axes.plot(c.difference.value, place, marker=look.marker, color=look.color, markersize=5)
    axes.axvline(0, color=FAINT, linewidth=1.2)
    axes.set_yticks(range(len(shown)), [f"{c.condition}, {percent(c.biased_share)}" for c in shown])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", labelsize=max(5, 9 - len(shown) / 12))
    axes.invert_yaxis()
    axes.set_xlim(-1.05, max(0.3, *(c.difference.high for c in shown)) if shown else 0.3)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_xlabel("difference in honesty, held-out entities (points)", color=INK)
    plain(axes)


def _headline_rows(table: pd.DataFrame) -> pd.DataFrame:
    metric, item_set = HEADLINE
    return table[(table["metric"] == metric) & (table["item_set"] == item_set)]


def _share_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Makes the horizontal axis one of biased shares: square roots, so that small ones show."""
    shares = sorted(table["biased_share"].unique())
    axes.set_xscale("function", functions=(_root, _square))
    axes.set_xlim(0, max(1.05 * shares[-1], 0.01))
    axes.set_xticks(shares, [f"{100 * share:.3g}" for share in shares])
    axes.minorticks_off()
    axes.set_xlabel("biased users (% of the population)", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)


def _root(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(x, 0)))


def _square(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.square(x))


def _curve(axes: Axes, found: Sequence[Comparison], look: Look, label: str) -> None:
    at = [c.biased_share for c in found]
    low, high = [c.level.low for c in found], [c.level.high for c in found]
    axes.fill_between(at, low, high, color=look.color, alpha=0.12, linewidth=0)
    draw_curve(axes, at, [c.level.value for c in found], look, label)
