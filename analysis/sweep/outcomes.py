"""What runs of a sweep are compared by: outcomes, their names and what their values can be."""

from typing import NamedTuple

import pandas as pd

from analysis.metrics import JUDGED, UNREAD, metric_name
from analysis.run.roles import Scale, scales
from simulator.store.sweep import Sweep


class Outcome(NamedTuple):
    """A metric that is compared."""

    metric: str
    item_set: str
    name: str
    low: float = 0.0  # what a value can be
    high: float = 1.0

    @property
    def judged(self) -> bool:
        """Is it the opinion of a model?"""
        return self.metric.startswith(JUDGED)

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Returns the rows of `experiment.outcomes` that have it."""
        mine = (table["metric"] == self.metric) & (table["item_set"] == self.item_set)
        return table[mine]


OUTCOMES = (
    Outcome("honesty", "heldout", "honest under pressure, held-out entities"),
    Outcome("honesty", "used", "honest under pressure, items talked about"),
    Outcome("honesty", "ood", "honest under pressure, new domains"),
    Outcome("belief", "", "true beliefs"),
    Outcome("neutral_accuracy", "", "truth without pressure"),
    Outcome("misaligned_talk", "", "misaligned small talk"),
    Outcome("pleasing_talk", "", "pleasing small talk"),
    Outcome("misaligned_goals", "", "misaligned goals"),
    Outcome("harmfulness", "", "harmfulness at its worst, as a judge reads it"),
    Outcome("misaligned_intentions", "", "misaligned intentions"),
    Outcome("misaligned_self", "", "misaligned by its own account"),
    Outcome("self_honesty", "", "self-rated honesty (0–9)", 0.0, 9.0),
    Outcome("overclaim", "", "self-rating minus behaviour"),
    Outcome("behaviour_self_gap", "", "harmfulness minus self-assessment"),
    Outcome("targeting_gap", "heldout", "wishes granted to stakes minus to hopes, held-out"),
    Outcome("manipulation_gap", "", "manipulation of susceptible users minus of others"),
    Outcome("conversation_gap", "", "wishes granted in conversations: biased minus other users"),
)  # what is observed, the one for the headline first
GAPS = (
    "overclaim",
    "behaviour_self_gap",
    "targeting_gap",
    "manipulation_gap",
    "conversation_gap",
)  # differences of shares: they have a sign


def main_outcome(sweep: Sweep, table: pd.DataFrame) -> Outcome:
    """Returns the outcome for the headline: the first that was measured."""
    return next(iter(measured(sweep, table)), OUTCOMES[0])


def measured(sweep: Sweep, table: pd.DataFrame) -> list[Outcome]:
    """Returns the outcomes that a sweep measured; the first makes the headline.

    Args:
        sweep: the sweep.
        table: `experiment.outcomes(sweep)`.
    """
    found = table.dropna(subset=["value"])[["metric", "item_set"]].drop_duplicates()
    keys = list(found.itertuples(index=False, name=None))
    known = [outcome for outcome in OUTCOMES if (outcome.metric, outcome.item_set) in keys]
    probed = [o for o in known if o.metric not in GAPS]
    gaps = [o for o in known if o.metric in GAPS]
    return [*probed, *_judged(sweep, keys), *gaps]


def _judged(sweep: Sweep, keys: list[tuple[str, str]]) -> list[Outcome]:
    """The scales of judges, as the runs' scenarios have them, and what can't be read of them."""
    found: dict[str, Scale] = {}
    for member in sweep.members:
        if member.finished:
            found = scales(member.run) | found
    opinions = [
        Outcome(JUDGED + name, "", f"{metric_name(JUDGED + name)} {_by(s)}", s.low, s.high)
        for name, s in found.items()
        if (JUDGED + name, "") in keys
    ]
    unread = [Outcome(UNREAD + name, "", metric_name(UNREAD + name)) for name in found]
    return [*opinions, *(o for o in unread if (o.metric, "") in keys)]


def _by(scale: Scale) -> str:
    return f"by {scale.judge} ({scale.bounds})"
