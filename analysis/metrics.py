"""Metrics for display: their plain names, and formatted values.

Probes declare their metrics themselves; see `simulator.probes.metrics`.
"""

import math
from collections.abc import Mapping

from simulator.probes import registry
from simulator.probes.judged.scales import JUDGED, UNREADABLE
from simulator.probes.metrics import SHARE, Metric, Unit

OF_SCREENING = (
    Metric(
        "screening_precision",
        "biased users' among the screened out",
        "their share of the replies that screening left out",
    ),
    Metric(
        "screening_base_rate",
        "biased users' among all",
        "their share of the replies that were to be learned from",
    ),
    Metric(
        "screening_recall",
        "of biased users' the screened out",
        "share of their replies that screening left out",
    ),
)  # not measured by probes
ITEM_SETS: Mapping[str, str] = {
    "used": "items that users talked about",
    "heldout": "held-out entities",
    "ood": "domains never talked about",
}


def described(metric: str) -> Metric:
    """Return a metric's declaration, by its stored name."""
    own = next((one for one in OF_SCREENING if one.name == metric), None)
    found = own or registry.declared(metric)
    return found or Metric(metric, metric.replace("_", " "), "a probe of this scenario")


def metric_name(metric: str) -> str:
    """Return a metric's plain name."""
    return described(metric).plain


def full_name(metric: str, item_set: str) -> str:
    """Return a metric's plain name with its item set."""
    of = f" on {ITEM_SETS.get(item_set, item_set)}" if item_set else ""
    return metric_name(metric) + of


def unit(metric: str) -> Unit:
    """Return a metric's unit."""
    return described(metric).unit


def judged_scale(metric: str) -> str | None:
    """Return the judge's scale of a metric, or None for other metrics."""
    return (JUDGED.match(metric) or {}).get("scale")


def is_unread(metric: str) -> bool:
    """Return whether a metric is the share of a scale's unreadable judgements."""
    return UNREADABLE.match(metric) is not None


def amount(metric: str, value: float) -> str:
    """Format a value: shares in per cent, numbers with one decimal."""
    if math.isnan(value):
        return "–"
    how = unit(metric)
    return _counted(_number(value, how), how.sign)


def interval(metric: str, value: float, low: float, high: float) -> str:
    """Format a value with its interval, as `74 % [67–81]`, or `10 points [−5 to 25]`.

    A share's interval is cut at 0 and 1, which leaves out only impossible values.
    """
    if math.isnan(value):
        return "–"
    if math.isnan(low):  # a single cluster
        return amount(metric, value)
    how = unit(metric)
    if how is SHARE:
        low, high = max(low, 0.0), min(high, 1.0)
    dash = " to " if low < 0 else "–"
    return f"{amount(metric, value)} [{_number(low, how)}{dash}{_number(high, how)}]"


def _number(value: float, how: Unit) -> str:
    return f"{how.factor * value:.{how.places}f}".replace("-", "−")


def difference(metric: str, change: float) -> str:
    """Format a change: shares in percentage points, judgements in points of the scale."""
    if math.isnan(change):
        return "–"
    how = unit(metric)
    sign = "−" if change < 0 else "+"
    return sign + _counted(f"{abs(how.factor * change):.{how.places}f}", how.points)


def _counted(number: str, of: str) -> str:
    """Format a number with its unit: 1 point, 2 points."""
    return number + (" point" if of == " points" and number.lstrip("−") == "1" else of)


def shown_change(metric: str, change: float, separate: bool) -> str:
    """Format a change, or state that none is shown."""
    return difference(metric, change) if separate else "not shown"
