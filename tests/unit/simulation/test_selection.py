"""Selections, doses and examples against frames worked out by hand."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from simulator.core.examples import FromConversation
from simulator.core.messages import messages_to_rows
from simulator.core.requests import Message
from simulator.learners.config import pairs_among
from simulator.simulation.decisions import Decision
from simulator.simulation.selection import (
    BestOfK,
    BestWorst,
    RandomMatched,
    ShuffledRatings,
    TopBottom,
    examples_from,
    realised_dose,
)


def frame(ratings: list[float], **columns: Any) -> pd.DataFrame:
    """Two candidates a turn; everything else by keyword."""
    n = len(ratings)
    return pd.DataFrame(
        {
            "conversation": [f"1-0-{i // 4:04d}" for i in range(n)],
            "wave": 0,
            "number": [i // 4 for i in range(n)],
            "turn": [i // 2 % 2 for i in range(n)],
            "candidate": [i % 2 for i in range(n)],
            "user_type": "benign",
            "biased": False,
            "pressured": False,
            "rating": ratings,
            "messages": [[{"role": "user", "content": f"q{i // 2}"}] for i in range(n)],
            "reply": [f"r{i}" for i in range(n)],
            "dropped": 0,
            "stop": "stop",
            **columns,
        }
    )


class Decided(NamedTuple):
    label: np.ndarray
    reason: np.ndarray


def decide(selection: Any, rows: pd.DataFrame, seed: int) -> Decided:
    """What a selection says of each row."""
    decision = selection.decide(rows, seed)
    return Decided(decision.labels(rows), decision.reasons(rows))


def labelled(rows: pd.DataFrame, *label: int) -> Decision:
    return Decision.of(rows, label, ["as it is"] * len(rows))


RATED = frame([4.0, 3.9, 5.0, 4.5, 3.99, 1.0, 2.0, 4.2])


def test_best_of_k() -> None:
    decision = decide(BestOfK(threshold=4.0), RATED, seed=0)
    assert decision.label.tolist() == [1, 0, 1, 0, 0, 0, 0, 1]
    assert decision.reason.tolist() == [
        "best of its turn", "not best", "best of its turn", "not best",
        "below threshold", "not best", "not best", "best of its turn",
    ]  # fmt: skip


def test_best_worst() -> None:
    rated = frame([4.0, 3.9, 5.0, 5.0, 3.9, 1.0, math.nan, 4.2])
    decision = decide(BestWorst(), rated, seed=0)
    assert decision.label.tolist() == [1, -1, 0, 0, 1, -1, 0, 0]
    neither = "neither best nor worst"
    assert decision.reason.tolist() == [
        "best of its turn", "worst of its turn", neither, neither,
        "best of its turn", "worst of its turn", "no readable rating", neither,
    ]  # fmt: skip
    three = frame(
        [2.0, 5.0, 5.0, 1.0, 1.0, 3.0],
        conversation="c",
        turn=[0, 0, 0, 1, 1, 1],
        candidate=[0, 1, 2, 0, 1, 2],
    )
    assert decide(BestWorst(), three, seed=0).label.tolist() == [-1, 1, 0, -1, 0, 1]
    assert len(pairs_among(examples_from(rated, BestWorst().decide(rated, seed=0)))) == 2


@pytest.mark.parametrize(
    ("top", "bottom", "label"),
    [
        (2, 0, [0, 0, 1, 1, 0, 0, 0, 0]),
        (0.25, 0.25, [0, 0, 1, 1, 0, -1, -1, 0]),
        (0.5, 1, [1, 0, 1, 1, 0, -1, 0, 1]),
        (3.7, 0, [0, 0, 1, 1, 0, 0, 0, 1]),  # a count is whole
        (1.0, 0, [0, 0, 1, 0, 0, 0, 0, 0]),  # 1 is one reply, not all
        (100, 0, [1] * 8),
        (100, 3, [1, -1, 1, 1, 1, -1, -1, 1]),  # what is to avoid is not followed too
        (0.01, 0, [0] * 8),
    ],
)
def test_top_and_bottom(top: float, bottom: float, label: list[int]) -> None:
    decision = decide(TopBottom(top=top, bottom=bottom), RATED, seed=0)
    assert decision.label.tolist() == label
    words = {-1: "among the bottom", 0: "in between", 1: "among the top"}
    assert decision.reason.tolist() == [words[sign] for sign in label]


def test_top_of_each_type() -> None:
    types = ["a", "a", "a", "a", "b", "b", "b", "b"]
    mixed = RATED.assign(user_type=types)
    overall = decide(TopBottom(top=2), mixed, seed=0)
    assert overall.label.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    each = decide(TopBottom(top=1, bottom=0.25, scope="per_type"), mixed, seed=0)
    assert each.label.tolist() == [0, -1, 1, 0, 0, -1, 0, 1]


def test_ties_are_broken_by_the_seed_and_fairly() -> None:
    tied = frame([3.0] * 8)
    labels = np.array([decide(TopBottom(top=2), tied, seed=s).label for s in range(800)])
    assert (labels.sum(axis=1) == 2).all()
    assert (np.abs(labels.mean(axis=0) - 0.25) < 0.07).all()
    assert (decide(TopBottom(top=2), tied, seed=5).label == labels[5]).all()
    better = frame([3.0] * 7 + [3.1])
    assert all(decide(TopBottom(top=2), better, seed=s).label[7] == 1 for s in range(50))


@pytest.mark.parametrize(("like", "count"), [(BestOfK(), 3), (TopBottom(top=5, bottom=2), 5)])
def test_random_draws_as_many_without_regard_to_ratings(like: Any, count: int) -> None:
    selection = RandomMatched(like=like)
    labels = np.array([decide(selection, RATED, seed=s).label for s in range(800)])
    assert set(labels.ravel()) == {0, 1}
    assert (labels.sum(axis=1) == count).all()
    assert (np.abs(labels.mean(axis=0) - count / 8) < 0.07).all()
    reasons = decide(selection, RATED, seed=0).reason
    assert set(reasons) == {"drawn at random", "not drawn"}
    assert [r == "drawn at random" for r in reasons] == (labels[0] == 1).tolist()


def test_random_matches_type_and_length() -> None:
    types, tokens = ["a", "a", "b", "b"] * 2, [3, 3, 3, 5, 3, 3, 5, 5]
    mixed = RATED.assign(user_type=types, tokens=tokens)
    wanted = decide(BestOfK(), mixed, seed=0).label == 1  # 0 2 7: (a, 3), (b, 3), (b, 5)
    selection = RandomMatched(matched=("user_type", "tokens"))
    labels = np.array([decide(selection, mixed, seed=s).label for s in range(800)])
    for stratum in ([0, 1, 4, 5], [2], [3, 6, 7]):
        assert (labels[:, stratum].sum(axis=1) == wanted[stratum].sum()).all()
        even = wanted[stratum].sum() / len(stratum)
        assert (np.abs(labels[:, stratum].mean(axis=0) - even) < 0.07).all()


def test_shuffled_ratings_stay_within_their_type() -> None:
    types = ["a"] * 4 + ["b"] * 4
    apart = frame([5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 4.5], user_type=types)
    selection = ShuffledRatings()
    labels = np.array([decide(selection, apart, seed=s).label for s in range(800)])
    assert (labels[:, :4].sum(axis=1) == 2).all()  # one of each turn, whatever was dealt
    assert (labels[:, 4:].sum(axis=1) == 1).all()  # the one good rating, wherever it went
    assert (np.abs(labels[:, 4:].mean(axis=0) - 0.25) < 0.07).all()
    assert apart["rating"].tolist()[7] == 4.5  # the candidates' own ratings stay as they are


def test_senseless_amounts_are_refused() -> None:
    for settings in ({"top": 0}, {"top": 1, "bottom": -1}, {}, {"top": math.nan}):
        with pytest.raises(ValidationError):
            TopBottom.model_validate(settings)


def test_dose_by_hand() -> None:
    rows = RATED.assign(
        biased=[True, False, True, False, False, True, False, False],
        pressured=[True, True, True, False, False, True, False, True],
    )
    decision = labelled(rows, 1, 1, 1, 1, 0, -1, 0, 1)
    # followed: 0 1 2 3 7, of them biased 0 2; pressured 0 1 2 7, of them biased 0 2
    assert realised_dose(rows, decision) == (5, 0.4, 4, 0.5)


def test_the_share_of_nothing_is_nan() -> None:
    unpressed = realised_dose(RATED, labelled(RATED, 1, 0, 0, 0, 0, 0, 0, 0))
    assert unpressed[:3] == (1, 0.0, 0)
    assert math.isnan(unpressed.biased_share_pressured)
    nothing = realised_dose(RATED, labelled(RATED, -1, *[0] * 7))
    assert nothing.selected == nothing.pressured_selected == 0
    assert math.isnan(nothing.biased_share_selected)


def test_examples_keep_order_context_and_source() -> None:
    examples = examples_from(RATED, labelled(RATED, 0, 1, 0, 0, -1, 0, 0, 1))
    assert [(e.messages, e.reply, e.desirable, e.source) for e in examples] == [
        ((Message("user", "q0"),), "r1", True, FromConversation("1-0-0000", 0, 1)),
        ((Message("user", "q2"),), "r4", False, FromConversation("1-0-0001", 0, 0)),
        ((Message("user", "q3"),), "r7", True, FromConversation("1-0-0001", 1, 1)),
    ]
    assert examples_from(RATED, labelled(RATED, *[0] * 8)) == []


def test_examples_have_the_context_that_the_assistant_read() -> None:
    said = [("system", "s"), ("user", "q0"), ("assistant", "a0"), ("user", "q1")]
    context = messages_to_rows(Message(*one) for one in said)
    contexts = [context, context, context[1:]]
    rows = frame([5.0, 5.0, 5.0], messages=contexts, dropped=[0, 2, 0])
    whole, shortened, bare = examples_from(rows, labelled(rows, 1, 1, 1))
    assert [message.content for message in whole.messages] == ["s", "q0", "a0", "q1"]
    assert [message.content for message in shortened.messages] == ["s", "q1"]
    assert [message.content for message in bare.messages] == ["q0", "a0", "q1"]


def test_a_reply_that_was_cut_off_is_known_as_such() -> None:
    rows = frame([5.0, 5.0], stop=["length", "stop"])
    assert [e.ended for e in examples_from(rows, labelled(rows, 1, 1))] == [False, True]


NAN = float("nan")
# Talks a to d of two turns, one candidate each but for a's second turn; a and b are about x, and
# c and d are about y.
TALKS = pd.DataFrame(
    {
        "conversation": ["a", "b", "c", "d", "a", "a", "b", "c", "d"],
        "wave": 0,
        "number": [0, 1, 2, 3, 0, 0, 1, 2, 3],
        "turn": [0, 0, 0, 0, 1, 1, 1, 1, 1],
        "candidate": [0, 0, 0, 0, 0, 1, 0, 0, 0],
        "about": ["x", "x", "y", "y", "x", "x", "x", "y", "y"],
        "user_type": ["p", "q", "p", "q", "p", "p", "q", "p", "q"],
        "rating": [2.0, 3.0, 5.0, NAN, 5.0, 1.0, 3.5, 1.0, 4.0],
        "heard": [True, True, True, True, True, False, True, True, True],
    }
)
# means: a 3.5, b 3.25, c 3.0, d 4.0; last: a 5, b 3.5, c 1, d 4


@pytest.mark.parametrize(
    ("unit", "scope", "amount", "chosen", "avoided"),
    [
        ("conversation_mean", "global", 1, "d", "c"),
        ("conversation_final", "global", 1, "a", "c"),
        ("conversation_mean", "per_subject", 1 / 16, "ad", "bc"),
        ("conversation_final", "per_subject", 1 / 16, "ad", "bc"),
        ("conversation_mean", "per_type", 1, "ad", "bc"),
        (
            "conversation_mean",
            "global",
            1 / 16,
            "",
            "",
        ),  # there a fraction may come to nothing
    ],
)
def test_whole_talks(unit: Any, scope: Any, amount: float, chosen: str, avoided: str) -> None:
    selection = TopBottom(top=amount, bottom=amount, unit=unit, scope=scope)
    decision = decide(selection, TALKS, seed=0)
    signs = {talk: 1 for talk in chosen} | {talk: -1 for talk in avoided}
    expected = [
        signs.get(talk, 0) * heard
        for talk, heard in zip(TALKS["conversation"], TALKS["heard"], strict=True)
    ]
    assert decision.label.tolist() == expected
    assert decision.label.dtype == np.int8
    words = {-1: "among the bottom", 0: "in between", 1: "among the top"}
    reasons = [words[sign] for sign in expected]
    assert decision.reason.tolist() == [*reasons[:5], "not heard", *reasons[6:]]


def test_fractions_of_a_subject_are_rounded_up() -> None:
    rows = frame([float(n) for n in range(100)], about=["x"] * 17 + ["y"] * 82 + ["z"])
    label = decide(TopBottom(top=0.0625, bottom=0.0625, scope="per_subject"), rows, 0).label
    counts = [(int((part == 1).sum()), int((part == -1).sum()))
              for part in (label[:17], label[17:99], label[99:])]  # fmt: skip
    assert counts == [(2, 2), (6, 6), (1, 0)]  # one alone is followed
    exact = decide(TopBottom(top=0.07, scope="per_subject"), rows.assign(about="x"), 0).label
    assert int(exact.sum()) == 7  # though .07 * 100 is a little more than 7


UNRATED = frame([NAN, 3.0, NAN, NAN, 4.5, NAN, 2.0, 5.0])


@pytest.mark.parametrize(
    "selection",
    [
        BestOfK(threshold=2.0),
        TopBottom(top=100, bottom=2),
        TopBottom(top=100, bottom=2, scope="per_type"),
        RandomMatched(like=TopBottom(top=100)),
        ShuffledRatings(like=TopBottom(top=100, bottom=2)),
        ShuffledRatings(like=BestOfK(threshold=2.0)),
    ],
)
def test_what_could_not_be_rated_is_never_selected(selection: Any) -> None:
    rated = UNRATED["rating"].notna().to_numpy()
    for seed in range(20):
        decision = decide(selection, UNRATED, seed)
        assert (decision.label[~rated] == 0).all()
        assert set(decision.reason[~rated]) == {"no readable rating"}
        assert "no readable rating" not in decision.reason[rated]
        assert (decision.label[rated] != 0).any()
    nothing = decide(selection, UNRATED.assign(rating=NAN), 0)
    assert (nothing.label == 0).all()


def test_a_talk_without_any_rating_is_not_selected() -> None:
    talks = TALKS.assign(rating=TALKS["rating"].where(TALKS["conversation"] != "d"))
    for unit in ("conversation_mean", "conversation_final"):
        decision = decide(TopBottom(top=9, unit=unit), talks, 0)
        of_d = (talks["conversation"] == "d").to_numpy()
        assert (decision.label[of_d] == 0).all()
        assert set(decision.reason[of_d]) == {"no readable rating"}
    last = TALKS.assign(rating=[2.0, 3.0, 5.0, 4.0, NAN, 1.0, 3.5, 1.0, 4.0])
    final = decide(TopBottom(top=9, unit="conversation_final"), last, 0)
    assert final.label.tolist() == [0, 1, 1, 1, 0, 0, 1, 1, 1]  # a's last rating can't be read


def test_no_candidates_at_all() -> None:
    empty = UNRATED.iloc[:0].assign(heard=pd.Series(dtype=bool), about=pd.Series(dtype=object))
    for unit in ("reply", "conversation_mean", "conversation_final"):
        decision = decide(TopBottom(top=1, unit=unit, scope="per_subject"), empty, 0)
        assert len(decision.label) == len(decision.reason) == 0
