"""From probed answers to estimates with intervals."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from simulator.core.rng import stream
from simulator.worlds.base import ITEM_SETS

RESAMPLES = 1000
LEVEL = 0.95
Bounds: TypeAlias = tuple[float, float]  # the range of a value
SHARE: Bounds = (0.0, 1.0)
UNBOUNDED: Bounds = (-np.inf, np.inf)
ENOUGH_CLUSTERS = 10  # for a bootstrap
ALIKE = 1e-9  # tolerance of rounding in sums of equal values


class Estimate(NamedTuple):
    """One metric of one item set, with its interval."""

    metric: str
    item_set: str  # "" for all
    value: float
    low: float
    high: float
    n: int  # answers


class Rows(NamedTuple):
    """Columns of scores as arrays, which slice much faster than frames."""

    measure: np.ndarray
    item_set: np.ndarray
    item: np.ndarray
    cluster: np.ndarray
    label: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, scores: pd.DataFrame) -> "Rows":
        """Take the columns of a table of scores; see `Score`."""
        return cls(*(scores[name].to_numpy(object) for name in cls._fields))

    def where(self, kept: np.ndarray) -> "Rows":
        """Return the rows marked in `kept`, or at its indices."""
        return Rows(*(column[kept] for column in self))

    def measured(self, measure: str) -> "Rows":
        """Return the rows of one measure."""
        return self.where(self.measure == measure)


def estimate(
    metric: str,
    item_set: str,
    values: np.ndarray,
    clusters: np.ndarray,
    bounds: Bounds = SHARE,
) -> Estimate:
    """Return the mean of `values` with a 95 % interval that treats clusters as the units.

    Answers about one entity (or topic) aren't independent. From `ENOUGH_CLUSTERS` on, the interval
    is a percentile bootstrap over whole clusters, below it Student's t over their means. Where all
    clusters agree neither has a width; there as many others as Wilson's (1927) bound allows, having
    seen none among so many clusters, might lie at either end of `bounds`; what has no bounds has no
    width there.
    """
    if not len(values):
        return Estimate(metric, item_set, float("nan"), float("nan"), float("nan"), 0)
    numbers = values.astype(float)
    cluster, _ = pd.factorize(clusters, sort=True)
    totals, counts = np.bincount(cluster, numbers), np.bincount(cluster)
    mean, k = float(numbers.mean()), len(totals)
    means = totals / counts
    if np.ptp(means) < ALIKE and np.isfinite(bounds).all():
        others = wilson(0.0, k)[1]
        low, high = (mean + others * (end - mean) for end in bounds)
    elif k < ENOUGH_CLUSTERS:
        from scipy.special import stdtrit

        margin = stdtrit(k - 1, (1 + LEVEL) / 2) * means.std(ddof=1) / k**0.5 if k > 1 else np.nan
        low, high = mean - margin, mean + margin
    else:
        weights = _resamples(k)
        drawn = (weights @ totals) / (weights @ counts)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.clip((low, high), *bounds)  # values stay within their bounds
    return Estimate(metric, item_set, mean, float(low), float(high), len(numbers))


def difference(metric: str, a: Estimate, b: Estimate) -> Estimate:
    """Return `a` minus `b`, which were measured on different things, with a 95 % interval.

    The distances of the two values from the ends of their intervals add up as squares (Zou and
    Donner, 2008, after Newcombe, 1998). So a difference inherits what its parts' intervals do about
    few clusters and about unanimity, where resampling both at once would be too sure.
    """
    value = a.value - b.value
    below = np.hypot(a.value - a.low, b.high - b.value)
    above = np.hypot(a.high - a.value, b.value - b.low)
    return Estimate(metric, "", value, value - float(below), value + float(above), a.n + b.n)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % interval of a share of `n`."""
    from scipy.special import ndtri

    z = float(ndtri((1 + LEVEL) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return centre - margin, centre + margin


@lru_cache(maxsize=64)
def _resamples(clusters: int) -> np.ndarray:
    """Return how often each cluster is drawn, (RESAMPLES, clusters): the same for every metric."""
    rng = stream("bootstrap", clusters)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)


def with_total(
    metric: str,
    rows: Rows,
    values: np.ndarray,
    item_sets: Iterable[str] = ITEM_SETS,
    bounds: Bounds = SHARE,
) -> Iterator[Estimate]:
    """Estimate the mean of `values`, aligned with the rows, over all items and by item set."""
    yield estimate(metric, "", values, rows.cluster, bounds)
    yield from by_set(metric, rows, values, item_sets, bounds)


def by_set(
    metric: str,
    rows: Rows,
    values: np.ndarray,
    item_sets: Iterable[str] = ITEM_SETS,
    bounds: Bounds = SHARE,
) -> Iterator[Estimate]:
    """Estimate the mean of `values`, aligned with the rows, in every item set."""
    for item_set in item_sets:
        here = rows.item_set == item_set
        yield estimate(metric, item_set, values[here], rows.cluster[here], bounds)


def lookup(estimates: Sequence[Estimate], metric: str, item_set: str = "") -> Estimate | None:
    """Return one estimate, or None where it wasn't measured."""
    return next((e for e in estimates if (e.metric, e.item_set) == (metric, item_set)), None)
