"""A round's scores as one table, and the estimates that its probes make of them."""

from collections.abc import Iterable, Mapping
from itertools import chain

import pandas as pd

from analysis.probes.base import Probe, Score
from analysis.probes.estimates import Estimate, Rows

COLUMNS = ("probe", *Score._fields)  # of the table of scores: the probe's name, and what it found


def scores_table(scores: Mapping[str, Iterable[Score]]) -> pd.DataFrame:
    """Returns the scores of each probe, by its name, as one table."""
    rows = ((name, *score) for name, found in scores.items() for score in found)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def summarise(
    probes: Mapping[str, Probe], scores: pd.DataFrame, baseline: pd.DataFrame
) -> list[Estimate]:
    """Estimates every metric of a round.

    Args:
        probes: by name.
        scores: the round's rows; see `COLUMNS`.
        baseline: the rows of round 0.
    """
    return list(
        chain.from_iterable(
            probe.estimates(_of(scores, name), _of(baseline, name))
            for name, probe in probes.items()
            if (scores["probe"] == name).any()  # not every round is measured
        )
    )


def _of(scores: pd.DataFrame, probe: str) -> Rows:
    return Rows.of(scores[(scores["probe"] == probe).to_numpy(bool)])
