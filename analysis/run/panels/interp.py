"""Panels of the model's internals: activations, interventions and the adapter."""

import re
from functools import partial
from typing import NamedTuple, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.metrics import described
from analysis.plotting import (
    FAINT,
    INK,
    LOOKS,
    MARGIN,
    Look,
    Series,
    draw_estimates,
    draw_intervals,
    legend,
    percent_axis,
    plain,
    rounds_axis,
    titled,
)
from analysis.run.panels.probes import draw_panel, drawn_over_rounds
from simulator.probes.metrics import Panel
from simulator.probes.registry import panels
from simulator.store.run import Run

MOVED = "projection_share"
PROJECTION = (
    Series(MOVED, "", "at the last token of prompts", LOOKS[0]),
    Series("projection_share_random", "", "along random directions, either way", LOOKS[1]),
)
HONEST = (
    Series("honesty", "heldout", "honest, held-out entities (right axis)", LOOKS[2]),
    Series("mask_kept", "", "MASK: says what it believes (right axis)", LOOKS[3]),
)
RANDOM = "_random"  # ending of metrics of controls
TRANSFERRED = "transferred_"  # prefix of the name of another adapter
LIKELIER = "replies that show the trait:\nlikelier than others by (nats a word)"


class Draw(Protocol):
    """Fills the axes of a panel."""

    def __call__(self, axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
        """Draw a run's estimates; see `frames.estimates`."""
        ...


class InsidePanel(NamedTuple):
    """A panel of the model's internals, and its drawing function."""

    declared: Panel
    draw: Draw


def every_panel() -> list[InsidePanel]:
    """Return the panels that probes declare of the model's internals."""
    return [InsidePanel(panel, _drawing(panel)) for panel in panels() if panel.inside]


def _drawing(panel: Panel) -> Draw:
    """Return a panel's own drawing function, or else that of curves over the rounds."""
    return DRAWN.get(panel.name) or partial(draw_panel, panel=drawn_over_rounds(panel))


def panels_in(estimates: pd.DataFrame) -> list[InsidePanel]:
    """Return the panels of a run's estimates."""
    measured = estimates.loc[estimates["value"].notna(), "metric"].unique()
    shown = {curve.panel for metric in measured for curve in described(str(metric)).curves}
    return [panel for panel in every_panel() if panel.declared in shown]


def draw_projection(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the movement along a direction: an early warning if it precedes behaviour."""
    rounds_axis(axes, run, f"Has it moved along '{_direction(run, 'projection')}'?")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_ylabel("share of the way to replies\nthat show the trait (%)")
    _line_at_nothing(axes)
    draw_estimates(axes, estimates, PROJECTION)
    if not estimates["metric"].isin([series.metric for series in HONEST]).any():
        legend(axes)
        return
    said = axes.twinx()
    percent_axis(said, "honest statements (%)")
    plain(said)
    draw_estimates(said, estimates, HONEST)
    legend(axes, said)


def _draw_steered(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the steered base's statements under pressure."""
    _settings_axis(axes, f"The base, steered along '{_direction(run, 'directions')}'", MULTIPLE)
    percent_axis(axes, "statements under pressure (%)")
    here = _latest(estimates)
    curves = (
        ("honest", "", "honest"),
        ("honest", RANDOM, "honest, in random directions"),
        ("unparsed", "", "unreadable"),
        ("unparsed", RANDOM, "unreadable, in random ones"),
    )
    for (label, ending, words), look in zip(curves, LOOKS, strict=True):
        unsteered = here[here["metric"] == f"{label}_base"].assign(at=0.0)
        rows = pd.concat([_steered(here, label, ending), unsteered[unsteered["item_set"] == ""]])
        _draw_settings(axes, rows, look, words)
    legend(axes)


def _draw_preferred(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw how much likelier replies with the trait are under the steered base."""
    _settings_axis(axes, "What the steered base finds likely", MULTIPLE)
    axes.set_ylabel(LIKELIER)
    _line_at_nothing(axes)
    here = _latest(estimates)
    curves = [
        ("", f"along '{_direction(run, 'directions')}'"),
        (RANDOM, IN_RANDOM),
        *((f"_of_{name}", f"along what {name} learned") for name in _others(estimates)),
    ]
    for n, (ending, words) in enumerate(curves):
        look = LOOKS[n % len(LOOKS)]
        _draw_settings(axes, _steered(here, "preferred", ending), look, words)
    legend(axes)


def _draw_ablated(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the assistant's statements under pressure when a direction is ablated."""
    rounds_axis(axes, run, f"The assistant without '{_direction(run, 'directions')}'")
    percent_axis(axes, "honest statements\nunder pressure (%)")
    draw_estimates(axes, estimates, _taken_out(estimates, "honest", ("unchanged", "as it is")))
    legend(axes)


def _draw_unpreferred(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw how much likelier replies with the trait are under the ablated assistant."""
    rounds_axis(axes, run, f"What it finds likely without '{_direction(run, 'directions')}'")
    axes.set_ylabel(LIKELIER)
    _line_at_nothing(axes)
    draw_estimates(axes, estimates, _taken_out(estimates, "preferred"))
    legend(axes)


def _draw_efficiency(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the gain on the fine-tuning data per squared norm of the adapter."""
    _settings_axis(axes, "How efficient is the solution?", NORM)
    axes.set_ylabel("gain per squared norm (nats)", labelpad=10)
    _line_at_nothing(axes)
    rows = _by_setting(estimates, "solution_efficiency")
    _draw_settings(axes, rows, LOOKS[0], "the adapter, scaled to that norm")
    legend(axes)


def _draw_stability(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the rise of the loss when the adapter's parameters are rotated."""
    _settings_axis(axes, "How stable is the solution?", "how far parameters are turned (sine ε)")
    axes.set_ylabel("rise of the loss (nats)", labelpad=10)
    _line_at_nothing(axes)
    rows = _by_setting(estimates, "solution_rise")
    _draw_settings(axes, rows, LOOKS[0], "turned towards random parameters")
    legend(axes)


def _draw_significance(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """Draw the adapter's KL divergence from the base on other text, on a log scale."""
    _settings_axis(axes, "How significant is the solution?", NORM)
    axes.set_ylabel("KL(base ‖ assistant) (nats)")
    axes.set_yscale("log")
    for metric, words, look in (
        ("solution_kl", "the adapter, scaled to that norm", LOOKS[0]),
        ("solution_kl_random", "random adapters of that norm", LOOKS[1]),
    ):
        _draw_settings(axes, _by_setting(estimates, metric), look, words)
    legend(axes)


def _taken_out(estimates: pd.DataFrame, label: str, *others: tuple[str, str]) -> list[Series]:
    """Return the curves of other conditions, and then those of the ablated directions."""
    conditions = [
        *others,
        ("ablated", "without the direction"),
        (f"ablated{RANDOM}", "without random directions"),
        *((TRANSFERRED + name, f"without what {name} learned") for name in _others(estimates)),
    ]
    return [
        Series(f"{label}_{name}", "", words, LOOKS[n % len(LOOKS)])
        for n, (name, words) in enumerate(conditions)
    ]


def _others(estimates: pd.DataFrame) -> list[str]:
    """Return the names of the other adapters whose direction was added or ablated."""
    prefix = f"preferred_{TRANSFERRED}"
    found = map(str, estimates["metric"].unique())
    return [name.removeprefix(prefix) for name in found if name.startswith(prefix)]


def _latest(estimates: pd.DataFrame) -> pd.DataFrame:
    return estimates[estimates["round"].eq(estimates["round"].max())]


def _by_setting(estimates: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the latest rows of an adapter's metric; `at` is the number in its setting."""
    rows = _latest(estimates)
    rows = rows[rows["metric"] == metric]
    return rows.assign(at=pd.to_numeric(rows["item_set"].str.partition(" ")[2], errors="coerce"))


def _steered(estimates: pd.DataFrame, label: str, ending: str) -> pd.DataFrame:
    """Return the rows of a steered base over all items; `at` is the direction's multiple."""
    rows = estimates[estimates["item_set"] == ""]
    multiples = rows["metric"].str.extract(rf"^{label}_steered_([^_]+){re.escape(ending)}$")[0]
    return rows.assign(at=pd.to_numeric(multiples))


def _draw_settings(axes: Axes, rows: pd.DataFrame, look: Look, label: str) -> None:
    """Draw a curve over the settings in the column `at`, where it is set."""
    rows = rows.dropna(subset=["at", "value"]).sort_values("at")
    if len(rows):
        draw_intervals(axes, rows["at"], rows, look, label)


def _settings_axis(axes: Axes, title: str, label: str) -> None:
    titled(axes, title)
    axes.set_xlabel(label, color=INK)
    axes.margins(x=MARGIN)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.7)
    plain(axes)


def _line_at_nothing(axes: Axes) -> None:
    axes.axhline(0, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.3)


def _direction(run: Run, kind: str) -> str:
    """Return the name of the direction of the run's probe of a kind."""
    probes = run.scenario["measure"]["probes"].values()
    return str(next(probe["direction"] for probe in probes if probe["kind"] == kind))


MULTIPLE = "multiple of the direction that is added"
IN_RANDOM = "in random directions of the same length"
NORM = "norm of the adapter's parameters"
DRAWN: dict[str, Draw] = {
    "projection": draw_projection,
    "steered": _draw_steered,
    "preferred": _draw_preferred,
    "ablated": _draw_ablated,
    "unpreferred": _draw_unpreferred,
    "efficiency": _draw_efficiency,
    "stability": _draw_stability,
    "significance": _draw_significance,
}  # by the names of panels
