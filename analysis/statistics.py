"""Inference about the arms of a sweep. The unit is the base, not the answer.

Runs of one base share its weights and its world, and answers about one entity share the model's
knowledge of it. An interval over bases covers other bases; an interval over entities covers other
entities on the same bases. They answer different questions.

scipy is imported where it is used, as it takes as long to load as everything else.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000
ROUNDING = 1e-12  # values that differ by less count as equal
ENOUGH = 10  # smallest number of entities of one base for a bootstrap


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float
    units: int  # independent units: bases, or entities

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0; False for NaN."""
        return self.low > 0 or self.high < 0


def over_bases(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the mean of one value per base with Student's t interval at a level.

    With one base the interval is NaN; bases that agree exactly give one of width 0.
    """
    from scipy import stats

    known = np.array([v for v in values if not np.isnan(v)], float)
    if len(known) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(mean, np.nan, np.nan, 1)
    if np.ptp(known) < ROUNDING:
        return Interval(mean, mean, mean, len(known))
    low, high = stats.ttest_1samp(known, 0.0).confidence_interval(level)
    return Interval(mean, float(low), float(high), len(known))


def over_entities(groups: Sequence[np.ndarray], seed: int = 0) -> Interval:
    """Return the mean over bases of the mean over entities, bootstrapped over entities.

    Args:
        groups: per base, one value per entity (the mean of the answers about it), (entities,).
        seed: of the resampling.

    Returns:
        The percentile interval (Efron, 1979); entities are resampled within each base. With one
        base of fewer than `ENOUGH` entities it is Student's t, as a bootstrap of few is too narrow.
        A base with a single entity can't be resampled: then it is the interval over bases.
    """
    from scipy import stats

    if len(groups) == 1 and len(groups[0]) < ENOUGH:
        return over_bases(groups[0])
    if min(map(len, groups)) < 2:
        return over_bases([float(group.mean()) for group in groups])
    units = sum(map(len, groups))
    value = float(np.mean([group.mean() for group in groups]))
    if all(np.ptp(group) == 0 for group in groups):
        return Interval(value, value, value, units)

    def statistic(*samples: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.mean([sample.mean(axis=axis) for sample in samples], axis=0))

    found = stats.bootstrap(
        groups,
        statistic,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high), units)


class Test(NamedTuple):
    """A two-sided test of a direction."""

    falls: bool  # the direction of the data
    p: float


def signed_rank(differences: np.ndarray) -> Test:
    """Test whether paired differences, (items,), lean to one side (Wilcoxon, 1945)."""
    from scipy import stats

    if not differences.any():
        return Test(False, 1.0)
    found = stats.wilcoxon(differences)
    lean = stats.wilcoxon(differences, alternative="less").pvalue < 0.5
    return Test(bool(lean), float(found.pvalue))


def trend(table: np.ndarray) -> Test:
    """Test whether the outcome falls or rises with the dose (Page, 1963).

    Args:
        table: (bases, doses), the doses in ascending order; at least 2 bases and 3 doses.
    """
    from scipy import stats

    rising, falling = stats.page_trend_test(table), stats.page_trend_test(-table)
    falls = falling.pvalue <= rising.pvalue
    return Test(bool(falls), float(min(1.0, 2 * min(rising.pvalue, falling.pvalue))))


def threshold(differences: Mapping[float, Sequence[float]]) -> float | None:
    """Return the smallest dose shown to differ from dose 0.

    Doses are tested from the highest down, each by whether the interval over bases excludes 0 on
    the side of the highest, until one doesn't. This fixed order bounds the error rate at 5 % for
    any number of doses (Maurer, Hothorn and Lehmacher, 1995).

    Args:
        differences: per dose, one difference to dose 0 per base.
    """
    smallest, sign = None, 0.0
    for dose in sorted(differences, reverse=True):
        found = over_bases(differences[dose])
        sign = sign or float(np.sign(found.value))
        if not found.excludes_zero or np.sign(found.value) != sign:
            break
        smallest = dose
    return smallest


def explained(outcome: np.ndarray, predictor: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return how well a monotone function of `predictor` predicts each base from the others.

    Args:
        outcome: (runs,).
        predictor: (runs,).
        base: (runs,), which base a run belongs to.

    Returns:
        Out-of-base R², one per base in ascending order: 1 is perfect, 0 no better than the other
        bases' mean; it can be negative.
    """
    shares = []
    for left_out in np.unique(base):
        here = base == left_out
        told = _monotone(predictor[~here], outcome[~here], predictor[here])
        errors = ((outcome[here] - told) ** 2).sum()
        total = ((outcome[here] - outcome[~here].mean()) ** 2).sum()
        shares.append(1 - errors / total)
    return np.array(shares)


def _monotone(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit an isotonic regression in the direction of the data; interpolate linearly."""
    from scipy import stats
    from scipy.optimize import isotonic_regression

    order = np.argsort(x, kind="stable")
    levels, first = np.unique(x[order], return_index=True)
    counts = np.diff([*first, len(x)])
    means = np.add.reduceat(y[order], first) / counts
    leans = np.ptp(x) > 0 and np.ptp(y) > 0
    rises = leans and stats.spearmanr(x, y).statistic >= 0
    fitted = isotonic_regression(means, weights=counts, increasing=bool(rises)).x
    return np.asarray(np.interp(at, levels, fitted))
