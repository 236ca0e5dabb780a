"""The population: counts from shares, who is active, what experience does, restoring."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from agents.base import Rating
from simulator.simulation.config import PopulationConfig
from simulator.simulation.population import (
    INITIAL,
    LEARNING,
    Population,
    UserRow,
    counts_from_shares,
)


def config(**changes: Any) -> PopulationConfig:
    rater = {"kind": "world"}
    types = {
        "benign": {"share": 0.7, "policy": {"kind": "benign"}, "rater": rater},
        "biased": {"share": 0.3, "biased": True, "policy": {"kind": "biased"}, "rater": rater},
    }
    return PopulationConfig.model_validate({"users": 20, "types": types, **changes})


def test_largest_remainder_is_exact() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        shares = rng.dirichlet(np.ones(int(rng.integers(1, 7)))).tolist()
        total = int(rng.integers(1, 500))
        counts = counts_from_shares(shares, total)
        quotas = [share * total / sum(shares) for share in shares]
        assert sum(counts) == total
        assert all(abs(count - quota) < 1 for count, quota in zip(counts, quotas, strict=True))
        up = [q - int(q) for q, c in zip(quotas, counts, strict=True) if c > int(q)]
        down = [q - int(q) for q, c in zip(quotas, counts, strict=True) if c == int(q)]
        assert not up or not down or min(up) >= max(down)


@pytest.mark.parametrize(
    ("shares", "total", "counts"),
    [
        ([0.9, 0.1], 200, [180, 20]),
        ([0.9, 0.1], 12, [11, 1]),  # 10.8 and 1.2
        ([0.71, 0.29], 100, [71, 29]),  # 0.29 · 100 is 28.999… in floating point
        ([1 / 3, 1 / 3, 1 / 3], 10, [4, 3, 3]),  # ties go to the first
        ([1.0, 0.0], 7, [7, 0]),
        ([0.5, 0.5], 1, [1, 0]),
    ],
)
def test_counts_by_hand(shares: list[float], total: int, counts: list[int]) -> None:
    assert counts_from_shares(shares, total) == counts


def test_users_are_numbered_typed_and_personal() -> None:
    population = Population(config(), seed=3, world=None)
    states = population.states(1)
    assert list(states["user"]) == list(range(20))
    assert list(states["user_type"]) == ["benign"] * 14 + ["biased"] * 6
    assert list(states["biased"]) == [False] * 14 + [True] * 6
    assert states["patience"].nunique() == 20
    pd.testing.assert_frame_equal(states, Population(config(), seed=3, world=None).states(1))
    assert not states["patience"].equals(
        Population(config(), seed=4, world=None).states(1)["patience"]
    )


def test_a_persona_depends_on_seed_and_number_alone() -> None:
    few, many = (
        Population(config(), seed=3, world=None),
        Population(config(users=40), seed=3, world=None),
    )
    assert [u.persona for u in few.members] == [u.persona for u in many.members[:20]]


def test_trust_and_satisfaction_move_as_documented() -> None:
    population = Population(config(), seed=0, world=None)
    population.experience({4: [Rating(5.0, True), Rating(2.0, False)], 5: [Rating(1.0, False)]})
    moved, low, untouched = (population.members[n] for n in (4, 5, 6))
    assert moved.satisfaction == pytest.approx(INITIAL + LEARNING * ((1 + 0.25) / 2 - INITIAL))
    assert moved.trust == pytest.approx(INITIAL + LEARNING * (0.5 - INITIAL))
    assert (low.trust, low.satisfaction) == pytest.approx((0.64, 0.64))
    assert (untouched.trust, untouched.satisfaction) == (INITIAL, INITIAL)
    assert moved.state == (moved.persona, moved.trust, moved.satisfaction)


def test_experience_stays_within_bounds() -> None:
    population = Population(config(), seed=0, world=None)
    for _ in range(200):
        population.experience({0: [Rating(5.0, True)], 1: [Rating(1.0, False)]})
    high, low = population.members[:2]
    assert 0.999 < high.trust <= 1
    assert 0 <= low.satisfaction < 0.001


def test_series_has_a_row_per_round_and_type() -> None:
    population = Population(config(), seed=0, world=None)
    population.collect(0, [])
    population.experience({0: [Rating(1.0, False)]})
    population.collect(1, population.members[:15])
    series = population.series
    assert list(zip(series["round"], series["user_type"], series["users"], strict=True)) == [
        (0, "benign", 14), (0, "biased", 6), (1, "benign", 14), (1, "biased", 6)
    ]  # fmt: skip
    assert list(series["active"]) == [0, 0, 14, 1]
    assert series["trust"][2] == pytest.approx(INITIAL + LEARNING * (0 - INITIAL) / 14)
    assert series["trust"][3] == pytest.approx(INITIAL)


def test_restore_puts_everything_back() -> None:
    lived = Population(config(active=0.5, trust_matters=0.5), seed=9, world=None)
    lived.collect(0, [])
    rng = np.random.default_rng(0)
    for number in range(1, 4):
        users = lived.active_in(number)
        lived.experience({u.number: [Rating(float(rng.uniform(1, 5)), True)] for u in users})
        lived.collect(number, users)
    restored = Population(config(active=0.5, trust_matters=0.5), seed=9, world=None)
    restored.restore(lived.states(1), lived.series)
    pd.testing.assert_frame_equal(restored.states(1), lived.states(1))
    pd.testing.assert_frame_equal(restored.series, lived.series)
    numbers = [[u.number for u in p.active_in(4)] for p in (lived, restored)]
    assert numbers[0] == numbers[1]
    assert restored.states(1).columns.tolist() == list(UserRow._fields)


def test_everybody_is_active_by_default() -> None:
    population = Population(config(), seed=0, world=None)
    assert population.active_in(1) == population.members


def test_a_share_is_active_in_order_and_by_key() -> None:
    population = Population(config(users=400, active=0.3), seed=0, world=None)
    rounds = [[u.number for u in population.active_in(n)] for n in range(1, 11)]
    assert all(numbers == sorted(set(numbers)) for numbers in rounds)
    assert len({tuple(numbers) for numbers in rounds}) == 10
    share = sum(map(len, rounds)) / 4000
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    again = Population(config(users=400, active=0.3), seed=0, world=None)
    assert [u.number for u in again.active_in(10)] == rounds[9]  # no matter what came before


def test_lost_trust_keeps_users_away() -> None:
    population = Population(config(users=400, trust_matters=1.0), seed=0, world=None)
    for user in population.members:
        user.trust = 0.0 if user.number % 2 else 1.0
    assert [u.number for u in population.active_in(1)] == list(range(0, 400, 2))
