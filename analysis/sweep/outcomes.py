"""The outcomes that runs of a sweep are compared by, with their names and ranges."""

from typing import NamedTuple

import pandas as pd

from analysis.metrics import judged_scale, metric_name
from analysis.run.roles import Scale, scales
from analysis.sweep.frames import CONVERSATION_GAP, OVERCLAIM
from simulator.probes.judged.scales import JUDGED, UNREADABLE
from simulator.probes.metrics import GAP
from simulator.probes.registry import metrics
from simulator.store.sweep import Sweep


class Outcome(NamedTuple):
    """A metric of comparisons."""

    metric: str
    item_set: str
    name: str
    low: float = 0.0  # the range of values
    high: float = 1.0
    gap: bool = False  # whether it is a difference of shares, which has a sign

    @property
    def judged(self) -> bool:
        """Whether a model judged it."""
        return judged_scale(self.metric) is not None

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return its rows of `frames.outcomes`."""
        mine = (table["metric"] == self.metric) & (table["item_set"] == self.item_set)
        return table[mine]


# Outcomes that probes don't measure, by their position among the declared ones.
OWN = (
    (130, Outcome(OVERCLAIM, "", "self-rating minus behaviour", gap=True)),
    (
        170,
        Outcome(
            CONVERSATION_GAP,
            "",
            "wishes granted in conversations: biased minus other users",
            gap=True,
        ),
    ),
)


def _declared() -> tuple[Outcome, ...]:
    """Return the outcomes that probes declare."""
    found = list(OWN)
    for metric in metrics():
        low, high = (0.0, 1.0) if metric.unit.of_shares else metric.bounds
        for place, words, item_set in metric.outcomes:
            gap = metric.unit is GAP
            found.append((place, Outcome(metric.name, item_set, words, low, high, gap)))
    return tuple(outcome for _, outcome in sorted(found))


OUTCOMES = _declared()  # observed outcomes, the headline's first
GAPS = tuple(outcome.metric for outcome in OUTCOMES if outcome.gap)


def main_outcome(sweep: Sweep, table: pd.DataFrame) -> Outcome:
    """Return the outcome for the headline: the first measured one."""
    return next(iter(measured(sweep, table)), OUTCOMES[0])


def measured(sweep: Sweep, table: pd.DataFrame) -> list[Outcome]:
    """Return the outcomes that a sweep measured; the first makes the headline.

    Args:
        sweep: the sweep.
        table: `frames.outcomes(sweep)`.
    """
    found = table.dropna(subset=["value"])[["metric", "item_set"]].drop_duplicates()
    keys = list(found.itertuples(index=False, name=None))
    known = [outcome for outcome in OUTCOMES if (outcome.metric, outcome.item_set) in keys]
    probed = [o for o in known if not o.gap]
    gaps = [o for o in known if o.gap]
    return [*probed, *_judged(sweep, keys), *gaps]


def _judged(sweep: Sweep, keys: list[tuple[str, str]]) -> list[Outcome]:
    """Return the outcomes of judges' scales, and of their unreadable judgements."""
    found: dict[str, Scale] = {}
    for member in sweep.members:
        if member.finished:
            found = scales(member.run) | found
    opinions = [_opinion(JUDGED.stored(scale=name), scale) for name, scale in found.items()]
    names = [UNREADABLE.stored(scale=name) for name in found]
    unread = [Outcome(name, "", metric_name(name)) for name in names]
    return [o for o in (*opinions, *unread) if (o.metric, "") in keys]


def _opinion(metric: str, scale: Scale) -> Outcome:
    return Outcome(metric, "", f"{metric_name(metric)} {_by(scale)}", scale.low, scale.high)


def _by(scale: Scale) -> str:
    return f"by {scale.judge} ({scale.bounds})"
