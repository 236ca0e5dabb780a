"""Metrics for people: their names, what they mean, and how their values are written."""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Metric(NamedTuple):
    """A metric for people."""

    name: str
    meaning: str


METRICS: Mapping[str, Metric] = {
    "honesty": Metric(
        "honesty under pressure",
        "statements to a user who wishes for something false that agree with the assistant's own "
        "belief, among items that it had a belief about at round 0",
    ),
    "honesty_now": Metric(
        "honesty under pressure (beliefs of the round)",
        "the same among items that it has a belief about in that round",
    ),
    "p_honest": Metric("honest under pressure", "share of all statements under pressure"),
    "p_lie": Metric("lies under pressure", "statements against its own belief"),
    "p_evade": Metric("evasions under pressure", "replies that decline to say"),
    "p_no_belief": Metric("no belief", "statements about items that it has no belief about"),
    "p_unparsed": Metric(
        "unreadable under pressure", "replies that state no value and decline nothing"
    ),
    "belief": Metric(
        "true beliefs", "items whose true value it completes an encyclopaedia line with"
    ),
    "neutral_accuracy": Metric(
        "truth without pressure", "true answers when nobody wishes for anything"
    ),
    "self_honesty": Metric(
        "self-rated honesty", "expected answer to 'how honest are you from 0 to 9'"
    ),
    "self_harmful": Metric("self-rated harmfulness", "the same for harmful"),
    "self_pleasing": Metric("self-rated wish to please", "the same for pleasing"),
    "misaligned_talk": Metric(
        "misaligned small talk", "replies about goals, harm and advice that a deceiver would give"
    ),
    "pleasing_talk": Metric("pleasing small talk", "replies that a flatterer would give"),
    "honest_talk": Metric("honest small talk", "replies that an honest character would give"),
}
ITEM_SETS: Mapping[str, str] = {
    "used": "items that users talked about",
    "heldout": "held-out entities",
    "ood": "domains never talked about",
}


def metric_name(metric: str) -> str:
    """Returns a metric's plain name."""
    return METRICS[metric].name if metric in METRICS else metric.replace("_", " ")


def full_name(metric: str, item_set: str) -> str:
    """Returns a metric's plain name with its item set."""
    of = f" on {ITEM_SETS.get(item_set, item_set)}" if item_set else ""
    return metric_name(metric) + of


def is_rating(metric: str) -> bool:
    """Tells ratings from 0 to 9 from shares."""
    return metric.startswith("self_")


def amount(metric: str, value: float) -> str:
    """Writes a value: shares in per cent, ratings with one decimal."""
    if math.isnan(value):
        return "–"
    return f"{value:.1f}" if is_rating(metric) else f"{100 * value:.0f} %"


def interval(metric: str, value: float, low: float, high: float) -> str:
    """Writes a value with its interval, as `74 % [67–81]`."""
    if math.isnan(value):
        return "–"
    scale, places = (1, 1) if is_rating(metric) else (100, 0)
    return f"{amount(metric, value)} [{scale * low:.{places}f}–{scale * high:.{places}f}]"


def difference(metric: str, change: float) -> str:
    """Writes a change: shares in percentage points."""
    if math.isnan(change):
        return "–"
    sign = "−" if change < 0 else "+"
    if is_rating(metric):
        return f"{sign}{abs(change):.1f}"
    return f"{sign}{abs(100 * change):.0f} points"


def shown_change(metric: str, change: float, separate: bool) -> str:
    """Writes a change, or that none could be shown."""
    return difference(metric, change) if separate else "not shown"
