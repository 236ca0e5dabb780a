"""Decisions belong to candidates: the order of rows has no part in them."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.core.rng import stream
from simulator.simulation.decisions import CandidateKey, Choice, Decision, in_order
from simulator.simulation.selection import (
    BestOfK,
    BestWorst,
    RandomMatched,
    ShuffledRatings,
    TopBottom,
    examples_from,
    realised_dose,
)

WAVES, TURNS, CONVERSATIONS, CANDIDATES = 12, 2, (0, 1, 9_999, 10_000), 3


def said() -> pd.DataFrame:
    """A round's candidates as a run keeps them, with many ties; some can't be rated."""
    rng = stream("candidates of a test")
    keys = itertools.product(range(WAVES), range(TURNS), CONVERSATIONS, range(CANDIDATES))
    rows = pd.DataFrame(
        [(f"3-{wave}-{n:04d}", turn, c, wave, n) for wave, turn, n, c in keys],
        columns=[*CandidateKey._fields, "wave", "number"],
    )
    size = len(rows)
    return rows.assign(
        user_type=rng.choice(["a", "b"], size),
        about=rng.choice(["x", "y", "z"], size),
        biased=rng.random(size) < 0.3,
        pressured=rng.random(size) < 0.5,
        rating=rng.choice([1.0, 3.0, 4.0, 5.0, float("nan")], size),
        tokens=rng.integers(1, 4, size),
        heard=rows["candidate"] == 1,
        messages=pd.Series([[{"role": "user", "content": "?"}]] * size),
        reply=[f"r{i}" for i in range(size)],
        dropped=0,
        stop="end",
    )


SAID = said()
SHUFFLED = SAID.sample(frac=1, random_state=1)


def test_candidates_are_put_in_the_order_in_which_they_were_said() -> None:
    assert SHUFFLED["reply"].tolist() != SAID["reply"].tolist()
    for rows in (SAID, SHUFFLED, SAID[::-1]):
        assert in_order(rows)["reply"].tolist() == SAID["reply"].tolist()
    assert in_order(SAID[:0]).empty


@pytest.mark.parametrize(
    "selection",
    [
        BestOfK(),
        BestWorst(),
        TopBottom(top=0.2, bottom=0.1),
        TopBottom(top=5, bottom=3, scope="per_type"),
        TopBottom(top=0.2, bottom=0.2, unit="conversation_mean", scope="per_subject"),
        TopBottom(top=7, unit="conversation_final"),
        RandomMatched(matched=("user_type", "tokens")),
        RandomMatched(like=TopBottom(top=20)),
        ShuffledRatings(),
        ShuffledRatings(like=BestWorst()),
        ShuffledRatings(like=TopBottom(top=0.2)),
    ],
)
def test_a_selection_decides_alike_in_whatever_order_rows_are(selection: Any) -> None:
    decision, shuffled = (selection.decide(rows, seed=4) for rows in (SAID, SHUFFLED))
    assert shuffled.choices == decision.choices
    assert 0 < (decision.labels(SAID) == 1).sum() < len(SAID)
    assert (shuffled.labels(SHUFFLED) == decision.labels(SAID)[SHUFFLED.index]).all()
    assert realised_dose(SHUFFLED, decision) == realised_dose(SAID, decision)
    sources = [{e.source for e in examples_from(rows, decision)} for rows in (SAID, SHUFFLED)]
    assert sources[0] == sources[1]


ROWS = SAID[:3]
KEYS = CandidateKey.of(ROWS)


def test_labels_and_reasons_follow_the_rows() -> None:
    decision = Decision.of(ROWS, [1, 0, -1], ["good", "so so", "bad"])
    assert KEYS == [("3-0-0000", 0, 0), ("3-0-0000", 0, 1), ("3-0-0000", 0, 2)]
    assert decision.labels(ROWS[::-1]).tolist() == [-1, 0, 1]
    assert decision.labels(ROWS).dtype == np.int8
    assert decision.reasons(ROWS[1:]).tolist() == ["so so", "bad"]
    assert decision.desirable(ROWS)["reply"].tolist() == ["r0"]


def test_a_change_leaves_the_decision_as_it_was() -> None:
    decision = Decision.of(ROWS, [1, 1, 1], ["good"] * 3)
    changed = decision.changed({KEYS[1]: Choice(0, "vetoed")})
    assert changed.labels(ROWS).tolist() == [1, 0, 1]
    assert changed.reasons(ROWS).tolist() == ["good", "vetoed", "good"]
    assert decision.labels(ROWS).tolist() == [1, 1, 1]


def test_two_candidates_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="two candidates have the same"):
        Decision.of(ROWS.assign(candidate=0), [1, 1, 1], ["good"] * 3)
