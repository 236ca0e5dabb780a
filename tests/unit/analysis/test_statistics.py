"""Statistics of sweeps on synthetic data with a known answer."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import explained, over_bases, over_entities, threshold, trend

EXPERIMENTS = 500
SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


def simulate(rng: np.random.Generator, effect: np.ndarray) -> np.ndarray:
    """Differences to share 0 of three bases, each a mean over three seeds, (bases, shares)."""
    shared = rng.normal(0, 0.03, (3, 1))  # the share-0 arm of a base enters all its differences
    return effect + shared + rng.normal(0, 0.05, (3, 1)) + rng.normal(0, 0.04, (3, len(effect)))


def test_intervals_over_bases_cover() -> None:
    rng = np.random.default_rng(1)
    found = [over_bases(simulate(rng, np.array([-0.3]))[:, 0].tolist()) for _ in range(EXPERIMENTS)]
    covered = np.mean([i.low <= -0.3 <= i.high for i in found])
    assert 0.90 <= covered <= 0.98


def test_intervals_over_entities_cover() -> None:
    """Three bases of 24 entities; an entity has a rate of its own, and six answers."""
    rng = np.random.default_rng(2)
    centres, covered = (0.3, 0.4, 0.5), 0
    for experiment in range(EXPERIMENTS):
        rates = [rng.beta(4 * c, 4 * (1 - c), 24) for c in centres]
        groups = [rng.binomial(6, rate) / 6 for rate in rates]
        found = over_entities(groups, seed=experiment)
        covered += bool(found.low <= np.mean(centres) <= found.high)
    assert 0.90 <= covered / EXPERIMENTS <= 0.98


def test_intervals_by_hand() -> None:
    found = over_bases([0.2, 0.3, 0.4])
    half = stats.t.ppf(0.975, 2) * 0.1 / 3**0.5
    assert found == pytest.approx((0.3, 0.3 - half, 0.3 + half, 3))
    assert over_bases([0.2, float("nan")])[0] == 0.2 and over_bases([0.2]).units == 1
    assert not over_bases([0.2]).excludes_zero and over_bases([0.2, 0.2]).excludes_zero
    assert np.isnan(over_bases([]).value)
    assert over_entities([np.ones(5), np.zeros(5)]) == (0.5, 0.5, 0.5, 10)


def test_nothing_is_found_on_a_null_more_often_than_agreed() -> None:
    rng = np.random.default_rng(3)
    null = np.zeros(len(SHARES))
    thresholds, trends = 0, 0
    for _ in range(4 * EXPERIMENTS):
        data = simulate(rng, null)
        thresholds += threshold(dict(zip(SHARES, data.T, strict=True))) is not None
    for _ in range(EXPERIMENTS):
        table = rng.normal(0, 0.05, (3, 1)) + rng.normal(0, 0.04, (3, 7))  # share 0 as any other
        trends += trend(table).p < 0.05
    assert 0.03 <= thresholds / (4 * EXPERIMENTS) <= 0.07
    assert trends / EXPERIMENTS <= 0.07


@pytest.mark.parametrize("planted", [0.02, 0.1, 0.5])
def test_the_threshold_of_planted_curves(planted: float) -> None:
    """Nothing below the planted share, a clear fall from it on; too little below may be shown."""
    rng = np.random.default_rng(4)
    effect = np.array([-0.6 if share >= planted else 0.0 for share in SHARES])
    found = [threshold(dict(zip(SHARES, simulate(rng, effect).T, strict=True))) for _ in range(200)]
    assert np.mean([f == planted for f in found]) >= 0.9
    assert np.mean([f is not None and f < planted for f in found]) <= 0.07


def test_trends_have_a_direction() -> None:
    falling = np.array([[0.9, 0.8, 0.6, 0.3], [0.9, 0.85, 0.5, 0.4], [0.8, 0.7, 0.4, 0.1]])
    assert trend(falling).falls and trend(falling).p < 0.01
    assert not trend(-falling).falls and trend(-falling).p < 0.01


def test_what_explains_the_outcome() -> None:
    rng = np.random.default_rng(5)
    base = np.repeat([1, 2, 3], 40)
    cause, other = rng.random(120), rng.random(120)
    outcome = np.where(cause < 0.5, 0.9, 1.4 - cause) + rng.normal(0, 0.02, 120)
    assert (explained(outcome, cause, base) > 0.9).all()
    assert (explained(outcome, other, base) < 0.15).all()
    assert explained(-outcome, cause, base) == pytest.approx(explained(outcome, cause, base))
