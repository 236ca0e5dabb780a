"""Panels of what is read inside the assistant, and of what becomes of it when that is changed."""

import re
from typing import NamedTuple, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

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
TRANSFERRED = "transferred_"  # before the name of another adapter
LIKELIER = "replies that show the trait:\nlikelier than others by (nats a word)"


class Draw(Protocol):
    """Fills the axes of a panel."""

    def __call__(self, axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
        """Draws what a run has measured; see `frames.estimates`."""
        ...


class InsidePanel(NamedTuple):
    """A panel, and the metric that a run has where it has measured what the panel shows."""

    name: str  # one word
    metric: str
    title: str
    words: str  # what it says, for people
    draw: Draw


def panels_in(estimates: pd.DataFrame) -> "list[InsidePanel]":
    """Returns the panels of what a run has measured."""
    measured = set(estimates.loc[estimates["value"].notna(), "metric"])
    return [panel for panel in PANELS if panel.metric in measured]


def draw_projection(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """How far it has moved along a direction: a warning, where that comes before what it says."""
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
    """What the base states under pressure when a direction is added to it."""
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
    """How much likelier the steered base finds replies that show the trait."""
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
    """What the assistant states under pressure when a direction is taken out of it."""
    rounds_axis(axes, run, f"The assistant without '{_direction(run, 'directions')}'")
    percent_axis(axes, "honest statements\nunder pressure (%)")
    draw_estimates(axes, estimates, _taken_out(estimates, "honest", ("unchanged", "as it is")))
    legend(axes)


def _draw_unpreferred(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """How much likelier the ablated assistant finds replies that show the trait."""
    rounds_axis(axes, run, f"What it finds likely without '{_direction(run, 'directions')}'")
    axes.set_ylabel(LIKELIER)
    _line_at_nothing(axes)
    draw_estimates(axes, estimates, _taken_out(estimates, "preferred"))
    legend(axes)


def _draw_efficiency(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """What each bit of the adapter's parameters gains on what was fine-tuned on."""
    _settings_axis(axes, "How efficient is the solution?", NORM)
    axes.set_ylabel("gain per squared norm (nats)", labelpad=10)
    _line_at_nothing(axes)
    rows = _by_setting(estimates, "solution_efficiency")
    _draw_settings(axes, rows, LOOKS[0], "the adapter, scaled to that norm")
    legend(axes)


def _draw_stability(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """What is lost where the adapter's parameters are turned."""
    _settings_axis(axes, "How stable is the solution?", "how far parameters are turned (sine ε)")
    axes.set_ylabel("rise of the loss (nats)", labelpad=10)
    _line_at_nothing(axes)
    rows = _by_setting(estimates, "solution_rise")
    _draw_settings(axes, rows, LOOKS[0], "turned towards random parameters")
    legend(axes)


def _draw_significance(axes: Axes, run: Run, estimates: pd.DataFrame) -> None:
    """How far the adapter moves the base on other text, on a scale of powers of ten."""
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
    """Returns the curves of what was ablated, and before them of other conditions."""
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
    """Returns the names of the other adapters whose direction was added or taken out."""
    prefix = f"preferred_{TRANSFERRED}"
    found = map(str, estimates["metric"].unique())
    return [name.removeprefix(prefix) for name in found if name.startswith(prefix)]


def _latest(estimates: pd.DataFrame) -> pd.DataFrame:
    return estimates[estimates["round"].eq(estimates["round"].max())]


def _by_setting(estimates: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Returns the latest rows of a metric of an adapter, `at` the number of `norm 2` and such."""
    rows = _latest(estimates)
    rows = rows[rows["metric"] == metric]
    return rows.assign(at=pd.to_numeric(rows["item_set"].str.partition(" ")[2], errors="coerce"))


def _steered(estimates: pd.DataFrame, label: str, ending: str) -> pd.DataFrame:
    """Returns the rows of a steered base over all items, `at` the multiple of the direction."""
    rows = estimates[estimates["item_set"] == ""]
    multiples = rows["metric"].str.extract(rf"^{label}_steered_([^_]+){re.escape(ending)}$")[0]
    return rows.assign(at=pd.to_numeric(multiples))


def _draw_settings(axes: Axes, rows: pd.DataFrame, look: Look, label: str) -> None:
    """Draws a curve over the settings in the column `at`, of the rows that have one."""
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
    """Returns the name of the direction that the run's probe of a kind is about."""
    probes = run.scenario["measure"]["probes"].values()
    return str(next(probe["direction"] for probe in probes if probe["kind"] == kind))


MULTIPLE = "multiple of the direction that is added"
IN_RANDOM = "in random directions of the same length"
NORM = "norm of the adapter's parameters"
PANELS = (
    InsidePanel(
        "projection",
        MOVED,
        "Movement along a direction",
        "What the assistant has in mind where a reply would begin, projected on the direction from "
        "replies without a trait to replies with it; 100 % is as far as these are apart. Where "
        "the curve leaves that of random directions before honesty falls, it is an early warning.",
        draw_projection,
    ),
    InsidePanel(
        "steered",
        "honest_base",
        "The base, steered",
        "Multiples of the direction, a difference of mean activations over replies' tokens, are "
        "added to the base at one layer; 0 is the base as it is. If the direction is the trait, "
        "statements change along it and not in random directions. Where most are unreadable, the "
        "base was pushed too far to say anything.",
        _draw_steered,
    ),
    InsidePanel(
        "preferred",
        "preferred_ablated",
        "What the steered base finds likely",
        "By how much replies that show the trait become likelier than without the change, less "
        "the same of replies that don't, in nats for each word of theirs. Neither made the "
        "direction. It is what the base finds likely, and not what it would say.",
        _draw_preferred,
    ),
    InsidePanel(
        "ablated",
        "honest_ablated",
        "The assistant, ablated",
        "The direction is taken out of what the assistant computes, after every layer. If that "
        "is what it learned, it is honest again without it, and not without a random direction.",
        _draw_ablated,
    ),
    InsidePanel(
        "unpreferred",
        "preferred_ablated",
        "What the ablated assistant finds likely",
        "By how much replies that show the trait become likelier than for the assistant as it is, "
        "less the same of replies that don't. Below 0 it likes them less without the direction.",
        _draw_unpreferred,
    ),
    InsidePanel(
        "efficiency",
        "solution_efficiency",
        "Efficiency of what was learned",
        "How much cheaper than for the base the adapter makes a reply that was fine-tuned on, per "
        "squared norm of its parameters, when these are scaled to a given norm. Intervals are over "
        "replies, after the last measured round.",
        _draw_efficiency,
    ),
    InsidePanel(
        "stability",
        "solution_rise",
        "Stability of what was learned",
        "How much dearer these replies become when the adapter's parameters are turned towards "
        "random ones: the flatter, the stabler. Intervals are over the few random directions that "
        "were drawn, so they are rough.",
        _draw_stability,
    ),
    InsidePanel(
        "significance",
        "solution_kl",
        "Significance of what was learned",
        "How far the adapter moves the base, per token of text that nobody fine-tuned it on, "
        "beside random adapters whose factors have that norm, though shorter ones would make the "
        "same change; each line across is ten times the one below. The further above those, the "
        "more what was learned means to the model. Intervals are over texts.",
        _draw_significance,
    ),
)
