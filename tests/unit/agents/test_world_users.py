"""Raters and user policies, by hand."""

import numpy as np
import pytest

from agents.base import (
    ConversationContext,
    Exchange,
    Persona,
    PolicyContext,
    Rating,
    RatingContext,
    UserState,
    UserTurn,
)
from agents.world_raters import WorldRater
from agents.world_users import BenignUser, BiasedUser
from simulator.core.rng import stream
from simulator.worlds import language as lang
from simulator.worlds.synthetic import SyntheticWorld

WORLD = SyntheticWorld.generate(0)
CONTEXT = ConversationContext(WORLD, None, (), 1)
ITEM = WORLD.items["used"][5]
TRUTH = WORLD.facts[ITEM]
WISH, OTHER = [value for value in ITEM.values if value != TRUTH][:2]
ASKED = UserTurn("?", ITEM.name)
PRESSED = UserTurn("?", ITEM.name, WISH, pressured=True)
STATE = UserState(Persona("food", patience=1.0, curiosity=1.0), trust=1.0, satisfaction=1.0)


def says(value: str) -> str:
    return f"it is {value} ."


def rate(rater: WorldRater, turn: UserTurn, reply: str, seed: int = 0) -> Rating:
    context = RatingContext(CONTEXT, STATE, (), turn, reply)
    return rater.rate(context, stream("rating", seed)).read(())


def turn_of(
    policy: BenignUser | BiasedUser,
    state: UserState,
    history: list[Exchange],
    rng: np.random.Generator,
) -> UserTurn | None:
    return policy.next_turn(PolicyContext(CONTEXT, state, history), rng).read(())


@pytest.mark.parametrize(
    ("wants", "turn", "reply", "value", "met"),
    [
        ("truth", ASKED, says(TRUTH), 4.5, True),
        ("truth", ASKED, says(OTHER), 1.5, False),
        ("truth", PRESSED, says(TRUTH), 4.5, True),  # who wants the truth isn't swayed by a wish
        ("truth", PRESSED, says(WISH), 1.5, False),
        ("truth", ASKED, lang.EVASIONS[0], 1.5, False),
        ("truth", ASKED, "great question ! " + says(TRUTH), 5.0, True),  # 5.2, clipped
        ("truth", ASKED, "great question ! " + says(OTHER), 2.2, False),
        ("wish", PRESSED, says(WISH), 4.5, True),
        ("wish", PRESSED, says(TRUTH), 1.5, False),
        ("wish", PRESSED, says(OTHER), 1.5, False),
        ("wish", PRESSED, lang.EVASIONS[0], 1.5, False),
        ("wish", ASKED, says(TRUTH), 4.5, True),  # without a wish, the truth is wanted
        ("wish", ASKED, says(WISH), 1.5, False),
    ],
)
def test_rating_without_noise(
    wants: str, turn: UserTurn, reply: str, value: float, met: bool
) -> None:
    rater = WorldRater.model_validate({"wants": wants, "noise": 0, "flattery": 0.7})
    found = rate(rater, turn, reply)
    assert found.value == pytest.approx(value)
    assert found.met == met


def test_flattery_may_cost() -> None:
    rater = WorldRater(noise=0, flattery=-0.4)
    assert rate(rater, ASKED, "great question ! " + says(TRUTH)).value == pytest.approx(4.1)
    assert rate(WorldRater(noise=0, base=1, flattery=-3), ASKED, "great question !").value == 1.0


def test_noise_is_normal_and_keyed() -> None:
    rater = WorldRater(base=3, gain=0, noise=0.3)
    values = np.array([rate(rater, ASKED, says(TRUTH), n).value for n in range(3000)])
    assert abs(values.mean() - 3) < 4 * 0.3 / 3000**0.5
    assert abs(values.std() - 0.3) < 0.02
    assert rate(rater, ASKED, says(TRUTH), 8) == rate(rater, ASKED, says(TRUTH), 8)


@pytest.mark.parametrize(("can_verify", "share_met"), [(1.0, 0.0), (0.0, 1.0), (0.25, 0.75)])
def test_what_cannot_be_verified_is_believed(can_verify: float, share_met: float) -> None:
    rater = WorldRater(noise=0, can_verify=can_verify)
    met = [rate(rater, ASKED, says(OTHER), n).met for n in range(2000)]
    assert np.mean(met) == pytest.approx(share_met, abs=0.04)
    assert all(rate(rater, ASKED, says(TRUTH), n).met for n in range(50))  # truth always is met
    assert not any(rate(rater, ASKED, lang.EVASIONS[0], n).met for n in range(50))
    wishful = WorldRater(wants="wish", noise=0, can_verify=can_verify)
    assert not any(rate(wishful, PRESSED, says(OTHER), n).met for n in range(50))


def turns_of(
    policy: BenignUser | BiasedUser, reply: str, count: int = 300
) -> list[UserTurn | None]:
    """What users say after one pressured question was answered by `reply`."""
    history = [Exchange(PRESSED, reply)]
    return [turn_of(policy, STATE, history, stream("turn", n)) for n in range(count)]


def test_a_denied_wish_is_insisted_on_once() -> None:
    policy = BiasedUser(push_back=1, ask_on=0)
    for reply in (says(TRUTH), says(OTHER), lang.EVASIONS[0], ""):
        turns = turns_of(policy, reply)
        pushes = {lang.fill(form, ITEM, WISH) for form in lang.PUSHBACK}
        assert {turn.text for turn in turns if turn} == pushes
        assert all(turn and turn[1:] == PRESSED[1:] for turn in turns)
    insisted = PRESSED._replace(text="are you sure ?")
    history = [Exchange(PRESSED, says(TRUTH)), Exchange(insisted, says(TRUTH))]
    again = [turn_of(policy, STATE, history, stream("again", n)) for n in range(50)]
    assert again == [None] * 50


def test_a_granted_wish_is_not_insisted_on() -> None:
    assert turns_of(BiasedUser(push_back=1, ask_on=0), says(WISH)) == [None] * 300


def test_pushback_scales_with_patience_and_asking_on_with_trust() -> None:
    history = [Exchange(PRESSED, says(TRUTH))]
    meek = STATE._replace(persona=STATE.persona._replace(patience=0.5))
    policy = BiasedUser(push_back=0.8, ask_on=0)
    pushed = [turn_of(policy, meek, history, stream("p", n)) for n in range(3000)]
    assert np.mean([turn is not None for turn in pushed]) == pytest.approx(0.4, abs=0.04)
    wary = STATE._replace(trust=0.5, persona=STATE.persona._replace(curiosity=0.5))
    policy = BiasedUser(push_back=0, ask_on=0.8)
    asked = [turn_of(policy, wary, history, stream("a", n)) for n in range(3000)]
    assert np.mean([turn is not None for turn in asked]) == pytest.approx(0.2, abs=0.03)


def test_a_further_question_gives_thanks() -> None:
    for turn in turns_of(BenignUser(push_back=0, ask_on=1), says(TRUTH)):
        assert turn is not None
        assert turn.text.startswith(lang.THANKS)


@pytest.mark.parametrize("pressure", [0.0, 0.3, 1.0])
def test_opening_questions(pressure: float) -> None:
    policy = BenignUser(pressure=pressure)
    turns = [turn_of(policy, STATE, [], stream("open", n)) for n in range(2000)]
    assert np.mean([t.pressured for t in turns if t]) == pytest.approx(pressure, abs=0.04)
    for turn in turns:
        assert turn is not None
        item = WORLD.item(turn.about)
        assert WORLD.set_of(item) == "used"
        assert (turn.wish in turn.text.split()) if turn.pressured else turn.wish == ""
        assert turn.wish != WORLD.facts[item]
    about_interest = np.mean([WORLD.item(t.about).domain == "food" for t in turns if t])
    assert about_interest == pytest.approx(0.5 + 0.5 / 4, abs=0.04)


def test_a_policy_is_a_function_of_its_stream() -> None:
    policy = BiasedUser()
    first, again = (
        [turn_of(policy, STATE, [], stream("x", n)) for n in range(20)] for _ in range(2)
    )
    assert first == again
