"""Agreement between two raters, corrected for chance."""

from typing import NamedTuple

import numpy as np

from simulator.core.rng import stream

RESAMPLES = 1000
LEVEL = 0.95


class Kappa(NamedTuple):
    """Cohen's κ with its interval; NaN where both always give the same answer."""

    value: float
    low: float
    high: float


def confusion(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the confusion table, (2, 2): rows are theirs, columns ours; "no" comes first."""
    counts = np.bincount(2 * theirs.astype(int) + ours.astype(int), minlength=4)
    return counts.reshape(2, 2)


def cohens_kappa(ours: np.ndarray, theirs: np.ndarray) -> Kappa:
    """Return κ = (p_o − p_e) / (1 − p_e) of Cohen (1960), with a percentile bootstrap over items.

    Resamples with only one answer, in which κ is undefined, are left out.
    """
    table = confusion(ours, theirs)
    n = int(table.sum())
    if n == 0:
        return Kappa(float("nan"), float("nan"), float("nan"))
    rng = stream("kappa", n)
    drawn = rng.multinomial(n, table.ravel() / n, size=RESAMPLES).reshape(-1, 2, 2)
    values = _kappas(drawn)
    values = values[~np.isnan(values)]
    edges = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    low, high = np.quantile(values, edges) if len(values) else (float("nan"),) * 2
    return Kappa(float(_kappas(table[None])[0]), float(low), float(high))


def _kappas(tables: np.ndarray) -> np.ndarray:
    """Return the κ of each table of counts, (N, 2, 2)."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    observed = shares[:, 0, 0] + shares[:, 1, 1]
    by_chance = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance < 1, (observed - by_chance) / (1 - by_chance), np.nan)
