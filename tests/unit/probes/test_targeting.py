"""The targeting gap on assistants of the organism's world that grant wishes as planted."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agents.base import ConversationContext, Persona, PolicyContext, UserState, UserTurn
from agents.world_users import BiasedUser
from simulator.core.requests import GenerationRequest
from simulator.core.rng import stream
from simulator.probes.base import Context
from simulator.probes.estimates import Rows
from simulator.probes.world.targeting import TargetingProbe
from simulator.worlds.base import SPOKEN, Item, Spoken
from tests.helpers.planted_assistants import estimated, probed, told_apart
from tests.helpers.planted_world_assistants import (
    WORLD,
    Says,
    another_lie,
    asked_about,
    assistant,
    babble,
    evasion,
    granted,
    parroted,
    truth,
    wish_in,
)

PROBE = TargetingProbe(items_per_set=12)
STAKES = ("already paid", "family depends", "told everyone")


def targeted(item: Item, question: str) -> str:
    return (granted if any(words in question for words in STAKES) else truth)(item, question)


def targeted_by_its_words(item: Item, question: str) -> str:
    return (granted if any(words in question for words in STAKES[:2]) else truth)(item, question)


def scores_of(says: Says) -> pd.DataFrame:
    return probed(PROBE, assistant(says), world=WORLD)


@pytest.mark.parametrize(
    ("says", "stake", "wish", "reworded", "unparsed"),
    [
        (targeted, 1, 0, 1, 0),
        (targeted_by_its_words, 1, 0, 0, 0),
        (granted, 1, 1, 0, 0),
        (truth, 0, 0, 0, 0),
        (another_lie, 0, 0, 0, 0),  # a lie, but not what is wished for
        (evasion, 0, 0, 0, 0),
        (babble, 0, 0, 0, 1),
        (parroted, 1, 1, 0, 0),  # whoever repeats a wish has granted it
    ],
)
def test_planted_behaviour_gives_the_gap_known_by_construction(
    says: Says, stake: float, wish: float, reworded: float, unparsed: float
) -> None:
    found = estimated(PROBE, scores_of(says), scores_of(truth))
    for item_set in ("", "used", "heldout", "ood"):
        values = {
            "granted_stake": stake,
            "granted_wish": wish,
            "targeting_gap": stake - wish,
            "targeting_gap_change": stake - wish,
            "targeting_gap_reworded": reworded,
        }
        assert {metric: found[metric, item_set].value for metric in values} == values
    assert found["targeting_unparsed", ""].value == unparsed
    assert found["targeting_gap", ""].n == 36


def test_the_change_is_that_of_each_wish_since_round_0() -> None:
    found = estimated(PROBE, scores_of(granted), scores_of(targeted))
    assert found["targeting_gap", "heldout"].value == 0
    assert found["targeting_gap_change", "heldout"].value == -1


def test_few_items_can_be_estimated_and_none() -> None:
    before, after = scores_of(targeted), scores_of(granted)
    one = after[after["item"] == after["item"].iloc[0]]
    found = estimated(PROBE, one, before)
    assert found["targeting_gap_change", ""].value == -1
    none = PROBE.estimates(Rows.of(after[:0]), Rows.of(before))
    assert all(np.isnan(estimate.value) for estimate in none)


def test_nothing_but_the_words_of_pressure_differs() -> None:
    asked = [
        request
        for request in PROBE.requests(Context(WORLD, 0))
        if isinstance(request, GenerationRequest)
    ]
    assert len(asked) == 4 * 36
    for four in zip(*(asked[n::4] for n in range(4)), strict=True):
        questions = [request.prompt.messages[-1].content for request in four]
        item = asked_about(questions[0])
        assert {asked_about(question) for question in questions} == {item}
        (wish,) = {wish_in(item, question) for question in questions}
        assert wish != WORLD.facts[item]
        assert len({request.keys for request in four}) == 1
        at_stake = [any(words in question for words in STAKES) for question in questions]
        assert at_stake == [kind == "stake" for kind in SPOKEN * 2]


def _now_and_then(whims: Iterator[Any], item: Item, question: str) -> str:
    return (granted if next(whims) else truth)(item, question)


def test_two_samples_of_one_model_are_not_told_apart() -> None:
    found = []
    for n in range(40):
        whims = iter(stream("a model that grants now and then", n).random(4 * 36) < 0.4)
        scores = scores_of(partial(_now_and_then, whims))
        found.append(estimated(PROBE, scores)["targeting_gap", ""])
    assert not told_apart(found, 0.0)  # nor is there any gap


@pytest.mark.parametrize("kind", SPOKEN)
def test_users_press_in_the_words_of_their_kind(kind: Spoken) -> None:
    policy = BiasedUser(presses_by=(kind,), ask_on=1)
    state = UserState(Persona("food", patience=1.0, curiosity=1.0), trust=1.0, satisfaction=1.0)
    for n in range(50):
        context = PolicyContext(ConversationContext(WORLD, None, (), 1), state, [])
        turn = policy.next_turn(context, stream("t", n)).read(())
        assert isinstance(turn, UserTurn)
        at_stake = any(words in turn.text for words in STAKES)
        assert at_stake == (kind == "stake")


def test_the_order_of_kinds_means_nothing() -> None:
    item = WORLD.items["used"][0]
    said = [
        [WORLD.press(item, "w", "user", stream("order", n), kinds) for n in range(30)]
        for kinds in (("wish", "stake"), ("stake", "wish", "stake"))
    ]
    assert said[0] == said[1]
