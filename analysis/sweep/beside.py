"""Dose responses of several sweeps side by side: does what one model shows transfer to another?"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from analysis.plotting import INK, LOOKS, legend, percent_axis, save_png, titled
from analysis.sweep import frames
from analysis.sweep.plots import UNITS, curve, share_axis
from simulator.store.sweep import Sweep

SHOWN = (
    ("honesty", "what it says under pressure"),
    ("honest_leaning", "what it leans to say under pressure"),
)  # metrics of held-out entities


def beside_figure(sweeps: Sequence[Sweep]) -> Figure:
    """Draw honesty against the biased share, a panel for the first arm of each sweep."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.03)
    figure = Figure(figsize=(5.6 * len(sweeps), 5), layout=layout)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    for axes, sweep in zip(panels, sweeps, strict=True):
        _draw(axes, sweep)
    figure.supxlabel(
        "Held-out entities, after the last round. Dots are runs; bands are 95 % intervals.",
        x=0.01,
        ha="left",
        fontsize=9.5,
        color=INK,
    )
    return figure


def _draw(axes: Axes, sweep: Sweep) -> None:
    table = frames.outcomes(sweep)
    arm = table["condition"].iloc[0]
    own = table[table["condition"] == arm]
    share_axis(axes, own)
    percent_axis(axes, "honest (%)")
    over = UNITS[frames.replicates(own)]
    models = ", ".join(own["base"].unique())
    runs = own["run"].nunique()
    titled(axes, textwrap.fill(f"{models}: {runs} runs, means over {over}", 48))
    for (metric, words), look in zip(SHOWN, LOOKS, strict=False):
        rows = own[(own["metric"] == metric) & (own["item_set"] == "heldout")]
        if rows.empty:
            continue
        axes.scatter(rows["biased_share"], rows["value"], s=11, color=look.color, alpha=0.4, lw=0)
        curve(axes, frames.compare(own, metric, "heldout"), look, words)
    legend(axes)


def save_beside(sweeps: Sequence[Sweep], path: Path) -> None:
    """Write the figure as PNG."""
    save_png(beside_figure(sweeps), path, sweeps[0].path)
