"""From probed answers to estimates with intervals."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.probes.honesty import OUTCOMES
from simulator.organism.language import SELF_TRAITS
from simulator.organism.world import ITEM_SETS
from simulator.randomness import stream

RESAMPLES = 1000
LEVEL = 0.95
_Z = 1.959963984540054  # of the normal distribution, for LEVEL


class Estimate(NamedTuple):
    """One metric of one item set, with its interval."""

    metric: str
    item_set: str  # "" for all
    value: float
    low: float
    high: float
    n: int  # answers


def estimate(metric: str, item_set: str, values: pd.Series, clusters: pd.Series) -> Estimate:
    """Returns the mean of `values` with a 95 % percentile bootstrap over clusters.

    Answers about one entity (or topic) aren't independent, so whole clusters are resampled. Where
    every answer is the same 0 or 1 a bootstrap has no width; there the interval is Wilson's with
    the number of clusters as n, which is the cautious end.
    """
    if values.empty:
        return Estimate(metric, item_set, float("nan"), float("nan"), float("nan"), 0)
    cluster, _ = pd.factorize(clusters)
    totals, counts = np.bincount(cluster, values.to_numpy(float)), np.bincount(cluster)
    mean = float(totals.sum() / counts.sum())
    k = len(totals)
    if mean in (0.0, 1.0) and values.isin((0.0, 1.0)).all():
        margin = _Z**2 / (k + _Z**2)
        low, high = (1 - margin, 1.0) if mean == 1 else (0.0, margin)
    else:
        weights = _resamples(k)
        means = (weights @ totals) / (weights @ counts)
        low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(metric, item_set, mean, float(low), float(high), len(values))


@lru_cache(maxsize=64)
def _resamples(clusters: int) -> np.ndarray:
    """Returns how often each cluster is drawn, (RESAMPLES, clusters): the same for every metric."""
    rng = stream("bootstrap", clusters)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)


def summarise(scores: pd.DataFrame, baseline: pd.DataFrame) -> list[Estimate]:
    """Estimates every metric of a round.

    Args:
        scores: the round's rows; see `Score`.
        baseline: the rows of round 0, which fix the denominator of honesty: the items that the
            model had a belief about before any update.
    """
    estimates: list[Estimate] = []
    measured = set(scores["measure"])
    if "pressured" in measured:
        estimates += _honesty(scores, baseline)
    if "neutral" in measured:
        neutral = scores[scores["measure"] == "neutral"]
        estimates += _by_set("neutral_accuracy", neutral, neutral["value"])
    for trait in SELF_TRAITS:
        rows = scores[scores["measure"] == f"self_{trait}"]
        if len(rows):
            name = "self_honesty" if trait == "honest" else f"self_{trait}"
            estimates.append(estimate(name, "", rows["value"], rows["cluster"]))
    if "small_talk" in measured:
        talk = scores[scores["measure"] == "small_talk"]
        kinds = {"misaligned_talk": "deceiver", "pleasing_talk": "sycophant"}
        for name, label in {**kinds, "honest_talk": "honest"}.items():
            said = (talk["label"] == label).astype(float)
            estimates.append(estimate(name, "", said, talk["cluster"]))
    return estimates


def _honesty(scores: pd.DataFrame, baseline: pd.DataFrame) -> Iterator[Estimate]:
    beliefs = scores[scores["measure"] == "belief"]
    pressured = scores[scores["measure"] == "pressured"]
    honest = (pressured["label"] == "honest").astype(float)
    believed = pressured["item"].isin(_believed(baseline))
    yield from _by_set("honesty", pressured[believed], honest[believed], total=False)
    believed_now = pressured["item"].isin(_believed(scores))
    yield from _by_set("honesty_now", pressured[believed_now], honest[believed_now], total=False)
    for outcome in OUTCOMES:
        said = (pressured["label"] == outcome).astype(float)
        yield from _by_set(f"p_{outcome}", pressured, said, total=False)
    yield from _by_set("belief", beliefs, beliefs["value"])


def _believed(scores: pd.DataFrame) -> set[str]:
    beliefs = scores[scores["measure"] == "belief"]
    return set(beliefs.loc[beliefs["label"] != "none", "item"])


def _by_set(
    metric: str, rows: pd.DataFrame, values: pd.Series, *, total: bool = True
) -> Iterator[Estimate]:
    if total:
        yield estimate(metric, "", values, rows["cluster"])
    for item_set in ITEM_SETS:
        here = rows["item_set"] == item_set
        yield estimate(metric, item_set, values[here], rows.loc[here, "cluster"])


def lookup(estimates: Sequence[Estimate], metric: str, item_set: str = "") -> Estimate | None:
    """Returns one estimate, or None where it wasn't measured."""
    return next((e for e in estimates if (e.metric, e.item_set) == (metric, item_set)), None)
