"""A wave that models play: what is asked together, and how talks go on and end."""

import math
from typing import Any

import pytest

from agents.llm_users import LEAVES, OPENING_CUE
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.requests import Prompt
from simulator.simulation.conversation import Environment, hold_wave, ratings_heard
from simulator.simulation.population import Population
from simulator.simulation.roles import RoleClient, Roles
from tests.helpers.scripted_backend import Scripted


def scenario_of(**conversations: Any) -> Scenario:
    overrides = [f"conversations.{key}={value}" for key, value in conversations.items()]
    return load("therapy", overrides=["population.users=6", *overrides], biased_frac=0.5)


def wave(scenario: Scenario, user: Scripted, rater: Scripted, assistant: Scripted) -> Any:
    population = Population(scenario.population, scenario.seed, None)
    roles = Roles(
        {
            "user": RoleClient("u", user, bare=False, cache=None),
            "rater": RoleClient("r", rater, bare=False, cache=None),
        },
        (),
    )
    table = hold_wave(
        population.members,
        environment=Environment(None, scenario.situations),
        backend=assistant,
        roles=roles,
        config=scenario.conversations,
        key=(0, "conversation", 1, 0),
        round_number=1,
    )
    return table, population


def likes(prompt: Prompt) -> dict[str, float]:
    return {"9": 0.9, "10": 0.1}  # whole numbers are tokens here, so the first one tells


def test_everybody_is_asked_at_once_and_openings_are_nobodys_work() -> None:
    user, rater = Scripted(lambda prompt: "And then?"), Scripted(likes)
    assistant = Scripted(lambda prompt: "so")
    rows, _ = wave(scenario_of(turns=3, candidates=2), user, rater, assistant)
    assert user.batches == [6, 6]  # of three turns the first is an opening
    assert rater.batches == [12, 12, 12]
    assert assistant.batches == [6, 6, 6]
    assert len(rows) == 6 * 3 * 2
    assert rows["pressured"].equals(rows["biased"])
    assert (rows["user_text"] == "And then?").equals(rows["turn"] > 0)
    said = {message["content"] for chat in rows["messages"] for message in chat}
    assert said and not any(OPENING_CUE in text for text in said)
    assert rows[["truth", "belief", "stated"]].isna().all(axis=None)  # nothing here is an item
    assert rows.groupby("conversation")["about"].nunique().eq(1).all()


def test_who_leaves_is_not_answered() -> None:
    def leaves_if_biased(prompt: Prompt) -> str:
        told = prompt.messages[0].content
        biased = any(s.biased_thoughts.strip() in told for s in scenario.situations)
        return LEAVES if biased else "And then?"

    scenario = scenario_of(turns=3)
    user, rater = Scripted(leaves_if_biased), Scripted(likes)
    assistant = Scripted(lambda prompt: "so")
    rows, _ = wave(scenario, user, rater, assistant)
    assert rows[rows["biased"]]["turn"].max() == 0
    assert rows[~rows["biased"]]["turn"].max() == 2
    assert assistant.batches == [6, 3, 3]
    assert user.batches == [6, 3]


def test_the_talk_goes_on_with_the_first_where_nothing_could_be_rated() -> None:
    rater = Scripted(lambda prompt: {"hm": 1.0})
    scenario = scenario_of(turns=2, candidates=3)
    user, assistant = Scripted(lambda prompt: "Why?"), Scripted(lambda prompt: "so")
    rows, population = wave(scenario, user, rater, assistant)
    assert rows["rating"].isna().all()
    assert rows["heard"].equals(rows["candidate"] == 0)
    heard = ratings_heard(rows)
    assert all(math.isnan(rating.value) for ratings in heard.values() for rating in ratings)
    before = [(user.trust, user.satisfaction) for user in population.members]
    population.experience(heard)  # nobody is moved by a rating that isn't one
    assert [(user.trust, user.satisfaction) for user in population.members] == before


def test_a_readable_rating_beats_an_unreadable_one() -> None:
    counts = iter(range(1000))
    replies = Scripted(lambda prompt: "so")
    rater = Scripted(lambda prompt: {"hm": 1.0} if next(counts) % 3 < 2 else {"1": 1.0})
    scenario = scenario_of(turns=1, candidates=3)
    rows, population = wave(scenario, Scripted(lambda prompt: ""), rater, replies)
    assert rows["heard"].equals(rows["candidate"] == 2)
    assert rows.loc[rows["heard"], "rating"].tolist() == pytest.approx([1.0] * 6)
    population.experience(ratings_heard(rows))
    assert all(user.satisfaction < 0.8 for user in population.members)
