"""Panels that probes declare: their main estimates over the rounds."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from analysis.plotting import (
    FAINT,
    LOOKS,
    MARGIN,
    Series,
    draw_estimates,
    legend,
    percent_axis,
    rounds_axis,
)
from simulator.probes.metrics import Panel
from simulator.probes.registry import metrics, panels
from simulator.store.run import Run


class ProbePanel(NamedTuple):
    """A panel with its curves, at most as many as there are styles."""

    declared: Panel
    series: tuple[Series, ...]


def every_panel() -> list[ProbePanel]:
    """Return the panels that probes declare, except those of the model's internals."""
    return [drawn_over_rounds(panel) for panel in panels() if not panel.inside]


def drawn_over_rounds(panel: Panel) -> ProbePanel:
    """Return a panel with the curves that metrics declare for it, in order."""
    declared = sorted(
        (curve.place, metric.name, curve)
        for metric in metrics()
        for curve in metric.curves
        if curve.panel == panel
    )
    series = (
        Series(name, curve.item_set, curve.legend, LOOKS[place % len(LOOKS)])
        for place, name, curve in declared
    )
    return ProbePanel(panel, tuple(series))


def panels_in(estimates: pd.DataFrame) -> list[ProbePanel]:
    """Return the panels of a run's estimates, with the measured curves."""
    measured = set(zip(estimates["metric"], estimates["item_set"], strict=True))
    found = [
        panel._replace(series=tuple(s for s in panel.series if (s.metric, s.item_set) in measured))
        for panel in every_panel()
    ]
    return [panel for panel in found if panel.series]


def draw_panel(axes: Axes, run: Run, estimates: pd.DataFrame, panel: ProbePanel) -> None:
    """Draw a panel; its axis extends below 0 and above 1 where an interval does."""
    rounds_axis(axes, run, panel.declared.title)
    percent_axis(axes, panel.declared.axis)
    draw_estimates(axes, estimates, panel.series)
    drawn = {(s.metric, s.item_set) for s in panel.series}
    keys = zip(estimates["metric"], estimates["item_set"], strict=True)
    rows = estimates[[key in drawn for key in keys]]
    low, high = min(0.0, rows["low"].min()), max(1.0, rows["high"].max())
    if low < 0 or high > 1:
        axes.set_ylim(low - MARGIN, high + MARGIN)
        axes.axhline(0, color=FAINT, linewidth=0.8)
    legend(axes)
