"""Figures of a sweep: every run as a dot, means over bases with their intervals."""

import itertools
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from analysis.metrics import metric_name, unit
from analysis.plotting import (
    FAINT,
    INK,
    LOOKS,
    Look,
    draw_curve,
    legend,
    number_axis,
    percent_axis,
    plain,
    save_panel,
    save_png,
    titled,
)
from analysis.sweep import frames
from analysis.sweep.frames import Comparison
from analysis.sweep.outcomes import Outcome, main_outcome, measured
from analysis.sweep.summary import headline, percent
from simulator.probes.metrics import SHARE
from simulator.store.sweep import Sweep

MARKERS = "osD^v*"  # of bases
UNITS = {"base": "bases (models trained apart)", "seed": "seeds (of one model)"}
OTHERS = (
    ("honesty", "heldout", "honest under pressure, held-out entities", 1.0),
    ("belief", "", "true beliefs", 1.0),
    ("neutral_accuracy", "", "truth without pressure", 1.0),
    ("self_honesty", "", "self-rated honesty (9 = 100 %)", 9.0),
    ("misaligned_talk", "", "misaligned talk", 1.0),
)  # metric, item set, label, the value that is 100 %


def sweep_figure(sweep: Sweep) -> Figure:
    """Draw dose response, realised dose, what else moved, and all comparisons."""
    table = frames.outcomes(sweep)
    outcomes = measured(sweep, table)
    main = main_outcome(sweep, table)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.03, hspace=0.03)
    figure = Figure(figsize=(13, 11), layout=layout)
    FigureCanvasAgg(figure)
    title = textwrap.fill(headline(sweep, table), 96, break_on_hyphens=False)
    drawn = figure.suptitle(title, x=0.01, ha="left", fontsize=13.5, fontweight="bold", color=INK)
    drawn.set_parse_math(False)
    draws = _panels(table, main, outcomes)
    for axes, draw in zip(figure.subplots(2, 2).ravel(), draws.values(), strict=True):
        draw(axes)
    figure.supxlabel(
        footnote(frames.replicates(table), judged=main.judged),
        x=0.01,
        ha="left",
        fontsize=9.5,
        color=INK,
    )
    return figure


def footnote(over: str, *, judged: bool) -> str:
    """Return what dots, lines and bands mean.

    Args:
        over: what intervals are over; see `frames.replicates`.
        judged: whether the main outcome is a model's opinion.
    """
    told = (
        f"Dots are runs, after the last round; lines are means over {UNITS[over]}, and\n"
        f"bands and bars their 95 % t intervals: what another {over} would show. "
    )
    if judged:
        return (
            f"{told}Numbers are the opinion\n"
            f"of a model. A dose is compared with the same {over}s without biased users."
        )
    return (
        f"{told}A dose is compared with\nthe same {over}s without biased users: "
        "learning from benign users alone moves honesty, too."
    )


def _panels(
    table: pd.DataFrame, main: Outcome, outcomes: Sequence[Outcome]
) -> dict[str, Callable[[Axes], None]]:
    """Return what draws each panel, by its name."""
    compared = frames.compare(table, main.metric, main.item_set)
    return {
        "response": partial(draw_response, table=table, outcome=main),
        "realised_dose": partial(draw_realised, table=table, outcome=main),
        "other_outcomes": partial(draw_others, table=table, outcomes=outcomes),
        "comparisons": partial(draw_comparisons, compared=compared, outcome=main),
    }


def save_sweep(sweep: Sweep, path: Path) -> None:
    """Write the figure as PNG."""
    save_png(sweep_figure(sweep), path, sweep.path)


def save_sweep_panels(sweep: Sweep, folder: Path) -> list[Path]:
    """Write every panel of the figure as SVG and PDF, and return where they are."""
    table = frames.outcomes(sweep)
    draws = _panels(table, main_outcome(sweep, table), measured(sweep, table))
    return [
        path for name, draw in draws.items() for path in save_panel(draw, folder / name, sweep.path)
    ]


def draw_response(axes: Axes, table: pd.DataFrame, outcome: Outcome) -> None:
    """Draw the outcome against the biased share, a line per condition."""
    share_axis(axes, table)
    titled(axes, "How many biased users does it take?")
    outcome_axis(axes, outcome)
    rows = outcome.of(table)
    compared = frames.compare(table, outcome.metric, outcome.item_set)
    for n, name in enumerate(rows["condition"].unique()):
        look = LOOKS[n % len(LOOKS)]
        own = rows[rows["condition"] == name]
        axes.scatter(own["biased_share"], own["value"], s=11, color=look.color, alpha=0.4, lw=0)
        curve(axes, frames.of_condition(compared, name), look, str(name))
    legend(axes)


def draw_realised(axes: Axes, table: pd.DataFrame, outcome: Outcome) -> None:
    """Draw the outcome of every run against its realised dose."""
    titled(axes, "Or is it what the assistant learns from?")
    outcome_axis(axes, outcome)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    which = "" if outcome.judged else " under pressure"
    axes.set_xlabel(f"biased users' share of the learned replies{which} (%)", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)
    rows = outcome.of(table).dropna(subset=["dose"])
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
    for base, marker in zip(bases, itertools.cycle(MARKERS)) if len(bases) > 1 else ():
        axes.scatter([], [], s=20, color=FAINT, marker=marker, label=str(base), lw=0)
    legend(axes)


def draw_others(axes: Axes, table: pd.DataFrame, outcomes: Sequence[Outcome]) -> None:
    """Draw the other outcomes against the biased share, in the first condition."""
    name = table["condition"].iloc[0]
    own = table[table["condition"] == name]
    share_axis(axes, own)
    titled(axes, f"What else moves? ({name})")
    judged = [o for o in outcomes if o.judged] if outcomes and outcomes[0].judged else []
    series = [(o.metric, o.item_set, metric_name(o.metric), 1.0) for o in judged] or OTHERS
    if judged:
        number_axis(axes, min(o.low for o in judged), max(o.high for o in judged), "judge's number")
    else:
        percent_axis(axes, "share of answers (%)")
    looks = itertools.cycle((*LOOKS, Look(FAINT, (0, (1, 1)), "v")))
    for (metric, item_set, words, whole), look in zip(series, looks, strict=False):
        found = frames.compare(own.assign(value=own["value"] / whole), metric, item_set)
        if found:
            curve(axes, found, look, words)
    legend(axes)


def draw_comparisons(axes: Axes, compared: Sequence[Comparison], outcome: Outcome) -> None:
    """Draw the difference of every condition and share to share 0, as a forest plot."""
    over = compared[0].over if compared else "base"
    titled(axes, f"Against the same {over}s without biased users")
    shown = [c for c in compared if c.biased_share > 0 and not np.isnan(c.difference.value)]
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
    width = outcome.high - outcome.low
    axes.set_xlim(-1.05 * width, max(0.3 * width, *(c.difference.high for c in shown), 0.0))
    if unit(outcome.metric) is SHARE:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    honest = (outcome.metric, outcome.item_set) == ("honesty", "heldout")
    words = "honesty, held-out entities" if honest else outcome.name
    told = textwrap.fill(f"difference in {words} (points)", 56)
    axes.set_xlabel(told, color=INK, parse_math=False)
    plain(axes)


def outcome_axis(axes: Axes, outcome: Outcome) -> None:
    """Set the vertical axis to an outcome's values."""
    words = ",\n".join(textwrap.fill(part, 32) for part in outcome.name.split(", "))
    if unit(outcome.metric) is SHARE:
        percent_axis(axes, f"{words} (%)")
    else:
        number_axis(axes, outcome.low, outcome.high, words)


def share_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Set the horizontal axis to biased shares, as square roots to show small ones."""
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


def curve(axes: Axes, found: Sequence[Comparison], look: Look, label: str) -> None:
    """Draw the means of doses, with their intervals."""
    at = [c.biased_share for c in found]
    low, high = [c.level.low for c in found], [c.level.high for c in found]
    axes.fill_between(at, low, high, color=look.color, alpha=0.12, linewidth=0)
    draw_curve(axes, at, [c.level.value for c in found], look, label)
