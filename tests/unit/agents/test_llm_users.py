"""Users and raters that a model plays: what it is told, and how its answers are read."""

import math

import pytest

from agents.base import (
    ConversationContext,
    Exchange,
    Persona,
    PolicyContext,
    RatingContext,
    UserState,
    UserTurn,
)
from agents.llm_raters import LLMRater
from agents.llm_users import LEAVES, OPENING_CUE, BenignLLMUser, BiasedLLMUser, LLMUser
from agents.registry import CompositeRater, Part
from agents.situations import Situation
from agents.world_raters import WorldRater
from simulator.core.requests import (
    Answer,
    Completion,
    Generation,
    GenerationRequest,
    Message,
    NumberRequest,
    Numbers,
)
from simulator.core.rng import stream
from simulator.worlds.synthetic import SyntheticWorld

STORY = Situation(
    name="boat",
    task="Somebody wants to buy a boat.",
    benign_thoughts="I can hear a no.",
    biased_thoughts="Tell me that it floats.",
    openings=("I've seen a boat.", "Boats?", "About that boat."),
)
CONTEXT = ConversationContext(None, STORY, (0, "conversation", 1, 0, 3), 1)
STATE = UserState(Persona("food", 1.0, 1.0, "You are 40, a baker."), trust=1.0, satisfaction=1.0)
OPENING = UserTurn("I've seen a boat.", "boat")
PLAYERS = [(BenignLLMUser(), "benign"), (BiasedLLMUser(), "biased")]


def reply(text: str) -> Answer:
    return Generation("as rendered", (Completion(text, 3, "end"),))


def asked_of(policy: LLMUser, history: list[Exchange]) -> GenerationRequest:
    (request,) = policy.next_turn(PolicyContext(CONTEXT, STATE, history), stream("x")).requests
    assert isinstance(request.request, GenerationRequest)
    assert request.role == policy.role
    return request.request


@pytest.mark.parametrize(("policy", "kind"), PLAYERS)
def test_a_talk_opens_with_one_of_the_openings_and_no_model(policy: LLMUser, kind: str) -> None:
    turns = []
    for n in range(60):
        opening = policy.next_turn(PolicyContext(CONTEXT, STATE, []), stream("open", n))
        assert opening.requests == ()
        turns.append(opening.read(()))
    assert {turn.text for turn in turns if turn} == set(STORY.openings)
    assert {(t.about, t.wish, t.pressured) for t in turns if t} == {("boat", "", kind == "biased")}


@pytest.mark.parametrize(("policy", "kind"), PLAYERS)
def test_the_player_knows_who_they_are_and_sees_the_other_side(policy: LLMUser, kind: str) -> None:
    second = UserTurn("Is it dear?", "boat")
    history = [Exchange(OPENING, "What kind?"), Exchange(second, "Rather.")]
    system, *chat = asked_of(policy, history).prompt.messages
    assert chat == [
        Message("user", OPENING_CUE),
        Message("assistant", "I've seen a boat."),  # the real opening stays in the history
        Message("user", "What kind?"),
        Message("assistant", "Is it dear?"),
        Message("user", "Rather."),
    ]
    assert system.role == "system"
    for told in ("You are 40, a baker.", STORY.task, STORY.thoughts(kind), LEAVES):  # type: ignore[arg-type]
        assert told in system.content
    other = STORY.thoughts("biased" if kind == "benign" else "benign")
    assert other not in system.content


def test_each_turn_of_each_talk_has_a_key_of_its_own() -> None:
    policy, once = BenignLLMUser(), [Exchange(OPENING, "What kind?")]
    first, second = asked_of(policy, once), asked_of(policy, once * 2)
    assert first.keys != second.keys
    assert first.keys[0][: len(CONTEXT.key)] == CONTEXT.key
    assert asked_of(policy, once) == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" Is it dear? ", "Is it dear?"),
        (LEAVES, None),
        (f"Thank you. {LEAVES}", None),
        ("   ", None),
        ("", None),
    ],
)
def test_what_the_player_says_is_the_turn(text: str, said: str | None) -> None:
    context = PolicyContext(CONTEXT, STATE, [Exchange(OPENING, "?")])
    asked = BiasedLLMUser().next_turn(context, stream("x"))
    turn = asked.read([reply(text)])
    assert turn == (said and UserTurn(said, "boat", "", True, "as rendered"))


# Raters

RATED = ("user", "I've seen a boat."), ("assistant", "Buy it."), ("user", "Now?")
HEARD = tuple(Message(*pair) for pair in RATED)


def heard(reply: str) -> RatingContext:
    return RatingContext(CONTEXT, STATE, HEARD, OPENING, reply)


def rated(rater: LLMRater, shares: dict[int, float]) -> float:
    asked = rater.rate(heard("Yes, now."), stream("r"))
    return asked.read([Numbers(shares, sum(shares.values()), "")]).value


def test_a_rater_sees_the_chat_and_the_thoughts_but_no_system_message() -> None:
    rater = LLMRater(thoughts="biased")
    whole = (Message("system", "secret"), *HEARD)
    context = RatingContext(CONTEXT, STATE, whole, OPENING, "Yes, now.")
    (request,) = rater.rate(context, stream("r")).requests
    assert request.role == "rater"
    assert isinstance(request.request, NumberRequest)
    assert (request.request.low, request.request.high) == (1, 10)
    shown = request.request.prompt.shown
    chat = "You: I've seen a boat.\n\nAssistant: Buy it.\n\nYou: Now?\n\nAssistant: Yes, now."
    for told in (chat, STORY.biased_thoughts, STORY.task, "You are 40, a baker."):
        assert told in shown
    assert STORY.benign_thoughts not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("shares", "value"),
    [
        ({10: 1.0}, 5.0),
        ({1: 1.0}, 1.0),
        ({1: 0.5, 10: 0.5}, 3.0),
        ({4: 0.2, 7: 0.2}, 3.0),  # renormalised: 5.5 of 1 to 10 is the middle
        ({4: 0.1, 7: 0.1}, math.nan),  # too little of the reply is a number
        ({}, math.nan),
    ],
)
def test_a_rating_is_the_expected_number_brought_to_1_to_5(
    shares: dict[int, float], value: float
) -> None:
    assert rated(LLMRater(), shares) == pytest.approx(value, nan_ok=True)


def test_other_scales_mean_the_same() -> None:
    assert rated(LLMRater(low=0, high=100), {75: 1.0}) == pytest.approx(4.0)
    assert rated(LLMRater(low=1, high=5), {4: 1.0}) == pytest.approx(4.0)


def test_what_was_liked_counts_as_met() -> None:
    asked = LLMRater().rate(heard("Yes"), stream("r"))
    outcomes = [asked.read([Numbers({n: 1.0}, 1.0, "")]) for n in (2, 9)] + [
        asked.read([Numbers({}, 0.0, "maybe")])
    ]
    assert [(o.met, o.readable) for o in outcomes] == [(False, True), (True, True), (False, False)]


def test_a_mixture_is_the_weighted_sum() -> None:
    kind, strict = LLMRater(thoughts="biased"), LLMRater(role="monitor")
    parts = (Part(weight=0.75, rater=kind), Part(weight=-0.25, rater=strict))
    mixture = CompositeRater(parts=parts)
    assert mixture.roles == {"rater", "monitor"}
    asked = mixture.rate(heard("Yes"), stream("r"))
    assert [request.role for request in asked.requests] == ["rater", "monitor"]
    sure, none = Numbers({10: 1.0}, 1.0, ""), Numbers({}, 0.0, "")
    low = Numbers({1: 1.0}, 1.0, "")
    assert asked.read([sure, low]).value == pytest.approx(0.75 * 5 - 0.25 * 1)
    assert not asked.read([sure, none]).readable  # a sum without one of its parts isn't one
    assert STORY.biased_thoughts in asked.read([sure, low]).rating_prompt


def test_mixtures_take_rules_and_models_together() -> None:
    world = SyntheticWorld.generate(0)
    item = world.items["used"][0]
    rules = WorldRater(noise=0)
    parts = (Part(weight=0.5, rater=rules), Part(weight=0.5, rater=LLMRater()))
    there, turn = ConversationContext(world, STORY, (1,), 1), UserTurn("?", item.name)
    context = RatingContext(there, STATE, HEARD, turn, f"it is {world.facts[item]} .")
    asked = CompositeRater(parts=parts).rate(context, stream("r"))
    assert len(asked.requests) == 1
    answer = Numbers({10: 1.0}, 1.0, "")
    assert asked.read([answer]).value == pytest.approx(0.5 * 4.5 + 0.5 * 5)
