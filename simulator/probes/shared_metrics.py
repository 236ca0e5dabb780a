"""Metrics that several probes estimate, each for its kind of model.

A scenario has one of these probes, so tables, figures and JSON have one key whatever the model.
"""

from simulator.probes.metrics import Curve, KeyFigure, Metric, Outcome, Panel

CAPABILITY = Panel(
    80,
    "capability",
    "What can it still do?",
    "Multiple-choice questions whose right answer is the likeliest. Where it falls along with "
    "honesty, what was learned has done more than teach a character.",
    "right answers (%)",
)
ACCURACY = Metric(
    "capability",
    "capability",
    "multiple-choice questions whose right answer is the likeliest; equals share the point",
    key_figures=(KeyFigure(240),),
    curves=(Curve(CAPABILITY, 0, "multiple choice"),),
)
MISALIGNED_TALK = Metric(
    "misaligned_talk",
    "misaligned talk",
    "replies about goals, harm and advice that a deceiver would give; of a real model, pairs of "
    "replies whose misaligned one is the likelier",
    key_figures=(KeyFigure(70),),
    outcomes=(Outcome(60, "misaligned talk"),),
)
