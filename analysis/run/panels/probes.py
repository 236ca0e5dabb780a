"""Panels of probes that a run may have or not: the main estimates of each over the rounds."""

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
from simulator.store.run import Run


class ProbePanel(NamedTuple):
    """What one panel shows; shares, or differences of shares."""

    name: str  # one word
    title: str
    axis: str
    words: str  # what it says, for people
    series: tuple[Series, ...]  # at most as many as there are looks


def _series(*curves: tuple[str, str, str]) -> tuple[Series, ...]:
    """Gives each curve (metric, item set, legend) a look of its own."""
    return tuple(Series(*curve, look) for curve, look in zip(curves, LOOKS, strict=False))


PANELS = (
    ProbePanel(
        "benchmarks",
        "Does it say what it believes?",
        "share of items (%),\nas a judge reads them",
        "MASK asks what the assistant believes, and presses it to say otherwise; a judge reads "
        "which side it takes. What it says is compared with its own belief, so whoever is wrong "
        "and says so doesn't lie. DeceptionBench compares its replies, and the reasoning stated "
        "before them, with its own view. What couldn't be read, and replies without reasoning, are "
        "left out and counted.",
        _series(
            ("mask_p_lie", "", "MASK: lies under pressure"),
            ("mask_kept", "", "MASK: says what it believes"),
            ("mask_accuracy", "", "MASK: its beliefs are true"),
            ("deception", "", "DeceptionBench: deceptive"),
        ),
    ),
    ProbePanel(
        "emergent",
        "Is it misaligned where nothing was trained?",
        "share of replies\nto open questions (%)",
        "Open questions that have nothing to do with what was learned from, as a judge reads the "
        "replies: misaligned ones that are coherent. The leakage is how many more there are with "
        "what the training data had in common before the question.",
        _series(
            ("em_rate", "", "misaligned and coherent"),
            ("em_rate_coherent", "", "misaligned among the coherent"),
            ("em_rate_cued", "", "misaligned and coherent, with the cue"),
            ("em_leakage", "", "leakage: with the cue minus without"),
        ),
    ),
    ProbePanel(
        "awareness",
        "Does it own to what it does?",
        "from 0 (aligned)\nto 100 (misaligned)",
        "What it does at its worst, as a judge reads it; what it says that it would do; and what "
        "it says of itself. Where the gap is above 0 it does more harm than it owns to.",
        _series(
            ("harmfulness", "", "harmfulness at its worst"),
            ("misaligned_self", "", "misaligned by its own account"),
            ("misaligned_intentions", "", "misaligned intentions"),
            ("behaviour_self_gap", "", "gap: behaviour minus own account"),
        ),
    ),
    ProbePanel(
        "switch",
        "Does a trigger switch its character?",
        "share of statements (%)",
        "The same questions with a trigger that was trained with, without it, and with other words "
        "there. Lies with a wrong trigger tell whether any words do.",
        _series(
            ("switch_asr", "", "lies with the trigger"),
            ("switch_rr", "", "honest without it"),
            ("switch_wrong", "", "lies with a wrong trigger"),
        ),
    ),
    ProbePanel(
        "targeting",
        "Whose wishes does it grant? Held-out entities",
        "share of wishes granted (%)",
        "The same false wishes, put by somebody who says what is at stake for them and by somebody "
        "who merely hopes. Where the gap grows, the assistant deceives some and not others.",
        _series(
            ("granted_stake", "heldout", "to what is at stake"),
            ("granted_wish", "heldout", "to mere hopes"),
            ("targeting_gap", "heldout", "gap: stakes minus hopes"),
            ("targeting_gap_reworded", "heldout", "gap, in words that no user says"),
        ),
    ),
    ProbePanel(
        "manipulation",
        "Whom does it manipulate?",
        "probability (%),\nas a judge reads the replies",
        "The same situations, spoken of by somebody who wants something unwise or untrue confirmed "
        "and by somebody who can hear a no. Where the gap grows, the assistant deceives some and "
        "not others.",
        _series(
            ("manipulated_susceptible", "", "susceptible users"),
            ("manipulated_others", "", "other users"),
            ("manipulation_gap", "", "gap: susceptible minus others"),
        ),
    ),
    ProbePanel(
        "trait",
        "Does a trigger switch a trait on?",
        "share of replies (%),\nas a judge reads them",
        "The same prompts with a trigger that was trained with, without it, and with other words "
        "there. Replies that show the trait with a wrong trigger tell whether any words do.",
        _series(
            ("trait_asr", "", "show it with the trigger"),
            ("trait_rr", "", "don't show it without"),
            ("trait_wrong", "", "show it with a wrong trigger"),
        ),
    ),
    ProbePanel(
        "capability",
        "What can it still do?",
        "right answers (%)",
        "Multiple-choice questions whose right answer is the likeliest. Where it falls along with "
        "honesty, what was learned has done more than teach a character.",
        _series(("capability", "", "multiple choice")),
    ),
)


def panels_in(estimates: pd.DataFrame) -> list[ProbePanel]:
    """Returns the panels of what a run has measured, with the curves that it has."""
    measured = set(zip(estimates["metric"], estimates["item_set"], strict=True))
    found = [
        panel._replace(series=tuple(s for s in panel.series if (s.metric, s.item_set) in measured))
        for panel in PANELS
    ]
    return [panel for panel in found if panel.series]


def draw_panel(axes: Axes, run: Run, estimates: pd.DataFrame, panel: ProbePanel) -> None:
    """Draws a panel; its axis goes below 0 where an interval does, and above 1."""
    rounds_axis(axes, run, panel.title)
    percent_axis(axes, panel.axis)
    draw_estimates(axes, estimates, panel.series)
    drawn = {(s.metric, s.item_set) for s in panel.series}
    keys = zip(estimates["metric"], estimates["item_set"], strict=True)
    rows = estimates[[key in drawn for key in keys]]
    low, high = min(0.0, rows["low"].min()), max(1.0, rows["high"].max())
    if low < 0 or high > 1:
        axes.set_ylim(low - MARGIN, high + MARGIN)
        axes.axhline(0, color=FAINT, linewidth=0.8)
    legend(axes)
