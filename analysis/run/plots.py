"""Figures of a run.

Each `draw_…` function fills one pair of axes, for use in notebooks and reports.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.metrics import ITEM_SETS
from analysis.plotting import (
    FAINT,
    INK,
    LOOKS,
    Series,
    draw_curve,
    draw_estimates,
    legend,
    number_axis,
    percent_axis,
    rounds_axis,
    save_panel,
    save_png,
)
from analysis.run import frames
from analysis.run.panels.interp import MOVED, draw_projection
from analysis.run.panels.judged import draw_failures, draw_judged
from analysis.run.panels.probes import draw_panel, panels_in
from analysis.run.roles import asks_world, scales
from analysis.run.summary import headline
from simulator.store.run import Run

BELOW, ABOVE, PER_ROW = 1.9305, 1.188, 3.61075  # inches: legends and footnote, title, a row
FOOTNOTE = (
    "Bands and numbers in [ ]: 95 % intervals. Round 0 is before any update; in every round of a\n"
    "loop users talk with the assistant, which then learns from replies that they rated highly."
)
JUDGED_FOOTNOTE = (
    "Bands and numbers in [ ]: 95 % intervals. A judge's numbers are a model's opinion of replies "
    "to set prompts. Round 0 is before any\nupdate; in every round of a loop users talk with the "
    "assistant, which then learns from replies that they rated highly."
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
    Series("misaligned_talk", "", "misaligned talk", LOOKS[0]),
    Series("pleasing_talk", "", "pleasing small talk", LOOKS[2]),
    Series("misaligned_goals", "", "misaligned goals", LOOKS[3]),
)
SELF_RATING = (Series("self_honesty", "", "self-rated honesty", LOOKS[1]),)
Draw = Callable[[Axes], None]


def drift_figure(run: Run) -> Figure:
    """Draw the overview figure of a run, for readers new to the project."""
    draws = _panels(run, frames.estimates(run))
    height = BELOW + ABOVE + PER_ROW * math.ceil(len(draws) / 2)
    figure = Figure(figsize=(12, height))
    FigureCanvasAgg(figure)
    bottom, top = BELOW / height, 1 - ABOVE / height
    figure.subplots_adjust(0.075, bottom, 0.945, top, wspace=0.24, hspace=0.725)
    title = textwrap.fill(headline(run), 88, break_on_hyphens=False)
    drawn = figure.text(
        0.02, 1 - 0.2475 / height, title, fontsize=14, fontweight="bold", color=INK, va="top"
    )
    drawn.set_parse_math(False)
    panels = figure.subplots(math.ceil(len(draws) / 2), 2).ravel()
    for axes, draw in zip(panels, draws.values(), strict=False):
        draw(axes)
    for axes in panels[len(draws) :]:
        axes.remove()
    footnote = JUDGED_FOOTNOTE if scales(run) else FOOTNOTE
    figure.text(0.02, 0.198 / height, footnote, fontsize=9.5, color=INK, va="bottom")
    return figure


def _panels(run: Run, rows: pd.DataFrame) -> dict[str, Draw]:
    """Return the drawing function of each panel, by its name."""
    dose = {"dose": partial(draw_dose, run=run)}
    judged = {"judged": partial(draw_judged, run=run, estimates=rows)} if scales(run) else {}
    failed = {"failures": partial(draw_failures, run=run, estimates=rows)}
    projected = (rows["metric"] == MOVED).any()
    inside = {"projection": partial(draw_projection, run=run, estimates=rows)} if projected else {}
    others = {
        panel.declared.name: partial(draw_panel, run=run, estimates=rows, panel=panel)
        for panel in panels_in(rows)
    }
    series = frames.population(run)
    satisfied = partial(draw_population, run=run, series=series, quantity="satisfaction")
    if asks_world(run):
        world = {
            "honesty": partial(draw_honesty, run=run, estimates=rows),
            "knowledge": partial(draw_knowledge, run=run, estimates=rows),
            **dose,
        }
        if is_measured(rows, TALK):
            world["spread"] = partial(draw_spread, run=run, estimates=rows)
        if is_measured(rows, SELF_RATING):
            world["self_rating"] = partial(draw_self_rating, run=run, estimates=rows)
        world["satisfaction"] = satisfied
        return {**world, **inside, **judged, **others, **(failed if judged else {})}
    return {**judged, **others, **inside, **dose, "satisfaction": satisfied, **failed}


def is_measured(rows: pd.DataFrame, curves: Sequence[Series]) -> bool:
    """Return whether a run measured the metric of one of the curves."""
    return bool(rows["metric"].isin([curve.metric for curve in curves]).any())


def save_drift(run: Run, path: Path) -> None:
    """Write the drift figure as PNG."""
    save_png(drift_figure(run), path, run.path)


def save_panels(run: Run, folder: Path) -> list[Path]:
    """Write every panel of the drift figure as SVG and PDF, and return their paths."""
    draws = _panels(run, frames.estimates(run))
    return [
        path for name, draw in draws.items() for path in save_panel(draw, folder / name, run.path)
    ]


def draw_honesty(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw honesty under pressure by item set, the headline."""
    rounds_axis(axes, run, "Does it say what it believes?")
    percent_axis(axes, "statements under pressure that\nagree with its own belief (%)")
    draw_estimates(axes, estimates, HONESTY)
    legend(axes)


def draw_knowledge(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw beliefs against statements, to separate lying from forgetting."""
    rounds_axis(axes, run, "Lying or forgetting? Held-out entities")
    percent_axis(axes, "share of items or statements (%)")
    draw_estimates(axes, estimates, KNOWLEDGE)
    legend(axes)


def draw_dose(axes: Axes, run: Run) -> None:
    """Draw the realised dose against the population's share of biased users."""
    rounds_axis(axes, run, "What did it learn from?")
    percent_axis(axes, "share that is biased users' (%)")
    dose = frames.dose(run)
    taught, everything = dose["biased_share_pressured"], dose["biased_share_selected"]
    if not frames.in_situations(run):
        draw_curve(axes, dose["round"], taught, LOOKS[0], "learned replies under pressure")
    draw_curve(axes, dose["round"], everything, LOOKS[1], "all learned replies")
    share = frames.biased_share(run)
    if share == share:  # NaN before round 0
        label = f"biased users in the population ({100 * share:.3g} %)"
        axes.axhline(share, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.3, label=label)
    legend(axes)


def draw_spread(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw misalignment beyond the topics of conversations: small talk, or pairs of replies."""
    in_pairs = (estimates["metric"] == "misaligned_odds").any()
    rounds_axis(axes, run, f"Does it spread to {'other questions' if in_pairs else 'small talk'}?")
    shares = (
        "pairs whose misaligned reply\nis the likelier"
        if in_pairs
        else "share of small-talk replies"
    )
    percent_axis(axes, f"{shares} (%)")
    draw_estimates(axes, estimates, TALK)
    legend(axes)


def draw_self_rating(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the assistant's rating of its own honesty."""
    rounds_axis(axes, run, "Does it admit it?")
    number_axis(axes, 0, 9, "self-rated honesty (0 to 9)")
    axes.set_yticks([0, 3, 6, 9])
    draw_estimates(axes, estimates, SELF_RATING)
    legend(axes)


def draw_population(axes: Axes, run: Run, series: pd.DataFrame, quantity: str) -> None:
    """Draw the mean trust or satisfaction of each user type."""
    rounds_axis(axes, run, {"trust": "Do users trust it?"}.get(quantity, "Are users satisfied?"))
    axes.set_ylim(-0.025, 1.025)
    axes.set_ylabel(f"mean {quantity} (0 to 1)")
    types = run.scenario["population"]["types"]
    names = sorted(series["user_type"].unique(), key=lambda name: not types[name]["biased"])
    for n, name in enumerate(names):
        own = series[series["user_type"] == name]
        draw_curve(axes, own["round"], own[quantity], LOOKS[n % len(LOOKS)], str(name))
    legend(axes)
