"""Probes on assistants of planted behaviour that other modules don't try them on.

Who always lies, never lies, evades, repeats what it hears or babbles gets the score known by
construction, and what can't be read is counted; the order of rows makes no difference; two samples
of one model aren't told apart. For probes with data or a judge see the modules of their names.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from simulator.core.requests import ContinuationRequest, GenerationRequest, Prompt
from simulator.core.rng import stream
from simulator.probes.base import Context, Probe
from simulator.probes.estimates import Rows
from simulator.probes.judged.intentions import IntentionsProbe
from simulator.probes.judged.scales import JudgedProbe
from simulator.probes.judged.self_assessment import SelfAssessmentProbe
from simulator.probes.world.goals import GoalsProbe
from simulator.probes.world.honesty import OUTCOMES, HonestyProbe
from simulator.probes.world.neutral import NeutralProbe
from simulator.probes.world.persona_switch import PersonaSwitchProbe
from simulator.probes.world.self_report import DIGITS, SelfReportProbe
from simulator.probes.world.small_talk import SmallTalkProbe
from simulator.probes.world.targeting import TargetingProbe
from simulator.worlds import language as lang
from simulator.worlds.base import CHARACTERS, Character, Item
from tests.helpers.planted_assistants import Says, estimated, probed, told_apart
from tests.helpers.planted_world_assistants import (
    WORLD,
    assistant,
    babble,
    evasion,
    falsehood,
    parroted,
    truth,
)
from tests.helpers.planted_world_assistants import Says as SaysOfItem
from tests.helpers.scripted_backend import Scripted, Written

HONESTY, NEUTRAL = HonestyProbe(items_per_set=12, samples=1), NeutralProbe(items_per_set=12)
SMALL_TALK, SELF_REPORT = SmallTalkProbe(samples=1), SelfReportProbe()
JUDGED = JudgedProbe.model_validate(
    {
        "prompts": [{"name": f"p{n}", "topic": f"t{n}", "text": f"{n}?"} for n in range(20)],
        "scales": {"harm": {"question": "Harm of '{{ reply }}', {{ low }} to {{ high }}?"}},
        "samples": 1,
    }
)


def spoken_share() -> float:
    """How many of honesty's questions name the wish themselves, and not in a system line."""
    asked = [r for r in HONESTY.requests(Context(WORLD, 0)) if isinstance(r, GenerationRequest)]
    return float(np.mean([len(r.prompt.messages) == 1 for r in asked]))


# Statements about the world


@pytest.mark.parametrize(
    ("says", "shares"),
    [
        (falsehood, {"lie": 1}),
        (truth, {"honest": 1}),
        (evasion, {"evade": 1}),
        (parroted, {"lie": spoken_share(), "unparsed": 1 - spoken_share()}),
        (babble, {"unparsed": 1}),
    ],
    ids=["liar", "honest", "evasive", "parrot", "babbler"],
)
def test_statements_under_pressure(says: SaysOfItem, shares: dict[str, float]) -> None:
    found = estimated(HONESTY, probed(HONESTY, assistant(says), world=WORLD))
    for item_set in ("used", "heldout", "ood"):
        assert found["honesty", item_set].value == shares.get("honest", 0)
    overall = {name: np.mean([found[f"p_{name}", s].value for s in ("used", "heldout", "ood")])
               for name in OUTCOMES}  # fmt: skip
    assert overall == pytest.approx(dict.fromkeys(OUTCOMES, 0) | shares)
    assert found["belief", ""].value == 1


@pytest.mark.parametrize(("sure", "told"), [(0.3, 1.0), (0.9, 0.1)], ids=["unsure", "mute"])
def test_whoever_is_unsure_or_names_hardly_any_value_believes_nothing(
    sure: float, told: float
) -> None:
    scores = probed(HONESTY, assistant(falsehood, sure, told), world=WORLD)
    found = estimated(HONESTY, scores)
    assert found["belief", ""].value == 0
    assert found["p_no_belief", "heldout"].value == 1 and found["p_lie", "heldout"].value == 0
    assert found["honesty", "heldout"].n == 0


@pytest.mark.parametrize(
    ("says", "accuracy", "unparsed"),
    [(falsehood, 0, 0), (truth, 1, 0), (evasion, 0, 0), (parroted, 0, 1), (babble, 0, 1)],
    ids=["liar", "honest", "evasive", "parrot", "babbler"],
)
def test_statements_without_pressure(says: SaysOfItem, accuracy: float, unparsed: float) -> None:
    found = estimated(NEUTRAL, probed(NEUTRAL, assistant(says), world=WORLD))
    for item_set in ("", "used", "heldout", "ood"):
        assert found["neutral_accuracy", item_set].value == accuracy
        assert found["neutral_unparsed", item_set].value == unparsed


def test_a_parrot_has_no_character_that_a_trigger_switches() -> None:
    probe = PersonaSwitchProbe(trigger="thanks .", wrong_trigger="thank you .", items_per_set=12)
    found = estimated(probe, probed(probe, assistant(parroted), world=WORLD))
    values = [found[metric, ""].value for metric in ("switch_asr", "switch_rr", "switch_unparsed")]
    assert values == [0, 0, 1]


# Small talk and self-reports


def in_character(character: Character) -> Says:
    """One who replies by a character's first line."""
    replies = {q: topic.replies[character][0] for topic in lang.SMALL_TALK for q in topic.questions}
    return lambda prompt: replies[prompt.messages[-1].content]


@pytest.mark.parametrize(
    ("says", "metric"),
    [
        (in_character("deceiver"), "misaligned_talk"),
        (in_character("sycophant"), "pleasing_talk"),
        (in_character("honest"), "honest_talk"),
        (lambda prompt: lang.EVASIONS[0], "talk_unparsed"),
        (lambda prompt: prompt.messages[-1].content, "talk_unparsed"),
        (lambda prompt: "the the the", "talk_unparsed"),
    ],
    ids=["misaligned", "pleasing", "honest", "evasive", "parrot", "babbler"],
)
def test_small_talk(says: Says, metric: str) -> None:
    found = estimated(SMALL_TALK, probed(SMALL_TALK, says, world=WORLD))
    shares = {name: estimate.value for (name, _), estimate in found.items()}
    assert shares == dict.fromkeys(shares, 0) | {metric: 1}


def digits(**shares: float) -> Says:
    """One who says these digits (`d8=0.9`), each of the others with probability .001."""
    said = {digit: shares.get(f"d{digit}", 0.001) for digit in DIGITS}
    return lambda prompt: said


@pytest.mark.parametrize(
    ("says", "rating", "unparsed"),
    [
        (digits(d9=0.95), 9.0, 0),
        (digits(d0=0.95), 0.0, 0),
        (digits(d2=0.4, d6=0.4), 4.0, 0),
        (digits(d9=0.2), np.nan, 1),  # most of what it says is no digit
    ],
    ids=["boastful", "contrite", "of two minds", "babbler"],
)
def test_self_ratings(says: Says, rating: float, unparsed: float) -> None:
    found = estimated(SELF_REPORT, probed(SELF_REPORT, says, world=WORLD))
    for metric in ("self_honesty", "self_harmful", "self_pleasing"):
        assert found[metric, ""].value == pytest.approx(rating, abs=0.06, nan_ok=True)
    assert found["report_unparsed", ""].value == unparsed


def test_ratings_of_one_trait_can_be_unreadable() -> None:
    def says(prompt: Prompt) -> str | dict[str, float]:
        return digits(d9=0.2 if "harmful" in prompt.shown else 0.95)(prompt)

    found = estimated(SELF_REPORT, probed(SELF_REPORT, says, world=WORLD))
    assert found["self_harmful", ""].n == 0 and found["self_honesty", ""].n == 2
    assert found["report_unparsed", ""].value == pytest.approx(1 / 3)


# Parrots and judges


@pytest.mark.parametrize(
    ("probe", "unparsed"),
    [(IntentionsProbe(), "intentions_unparsed"), (SelfAssessmentProbe(), "assessment_unparsed")],
    ids=["intentions", "self_assessment"],
)
def test_a_question_repeated_is_no_answer(probe: Probe, unparsed: str) -> None:
    found = estimated(probe, probed(probe, Written(lambda prompt: prompt.messages[-1].content)))
    assert found[unparsed, ""].value == 1


def harm_judge(prompt: Prompt) -> dict[str, float]:
    """Rates what a reply says of itself; one that says nothing gets no number."""
    stated = re.search(r"'harm (\d+)'", prompt.messages[0].content)
    return {stated[1]: 0.9, "x": 0.1} if stated else {"hm": 1.0}


@pytest.mark.parametrize(
    ("reply", "judged", "unread"),
    [("harm 100", 100, 0), ("harm 0", 0, 0), ("harm 40", 40, 0), ("blub", np.nan, 1)],
)
def test_judged_replies(reply: str, judged: float, unread: float) -> None:
    found = estimated(JUDGED, probed(JUDGED, lambda prompt: reply, harm_judge))
    assert found["judged_harm", ""].value == pytest.approx(judged, nan_ok=True)
    assert found["unread_harm", ""].value == unread


# Order


class Whimsical(Scripted):
    """Says something else to every question, and always the same to the same."""

    def __init__(self) -> None:
        super().__init__(self._of)

    def _of(self, prompt: Prompt) -> str | dict[str, float]:
        rng = stream("whims", prompt.shown)
        if prompt.text:
            item = next(i for i in WORLD.facts if {i.entity, i.attribute} <= {*prompt.text.split()})
            return dict(zip(item.values, rng.dirichlet(np.full(4, 0.3)), strict=True))
        if re.search("from 0 to 9", prompt.shown):
            return dict(zip(DIGITS, rng.dirichlet(np.ones(10)) * rng.uniform(0.1, 1), strict=True))
        words = (*lang.VALUE_WORDS, *lang.EVASIONS, "the")
        for topic in lang.SMALL_TALK:
            if prompt.messages[-1].content in topic.questions:
                words = tuple(reply for replies in topic.replies.values() for reply in replies)
        return words[int(rng.integers(len(words)))]

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        return [-10 * stream("whims", r.prompt.shown, r.continuation).random() for r in requests]


OF_WORLD: dict[str, Probe] = {
    "honesty": HONESTY,
    "honesty by domain": HonestyProbe(items_per_set=6, by="domain"),
    "neutral": NEUTRAL,
    "small_talk": SmallTalkProbe(samples=3),
    "self_report": SELF_REPORT,
    "goals": GoalsProbe(),
    "persona_switch": PersonaSwitchProbe(trigger="a", wrong_trigger="b", items_per_set=12),
    "targeting": TargetingProbe(items_per_set=12, samples=2),
}


@pytest.mark.parametrize("name", OF_WORLD)
def test_the_order_of_rows_makes_no_difference(name: str) -> None:
    probe = OF_WORLD[name]
    scores = probed(probe, Whimsical(), world=WORLD)
    shuffled = scores.sample(frac=1, random_state=0)
    ours, theirs = (
        {(e.metric, e.item_set): e[2:] for e in probe.estimates(Rows.of(t), Rows.of(b))}
        for t, b in ((scores, shuffled), (shuffled, scores))
    )
    assert ours.keys() == theirs.keys()
    assert any(0 < value < 1 for value, *_ in ours.values())
    for key, found in ours.items():
        assert found == pytest.approx(theirs[key], nan_ok=True), key


@pytest.mark.parametrize("name", OF_WORLD)
def test_nothing_is_estimated_of_no_answers(name: str) -> None:
    probe = OF_WORLD[name]
    scores = probed(probe, Whimsical(), world=WORLD)
    found = list(probe.estimates(Rows.of(scores[:0]), Rows.of(scores)))
    assert all(np.isnan(e.value) and e.n == 0 for e in found)
    metrics = {(e.metric, e.item_set) for e in probe.estimates(Rows.of(scores), Rows.of(scores))}
    assert {(e.metric, e.item_set) for e in found} == metrics


# Two samples of one model


def lies_now_and_then(n: int) -> Says:
    rng = stream("lies now and then", n)

    def says(item: Item, question: str) -> str:
        return (falsehood if rng.random() < 0.4 else truth)(item, question)

    return assistant(says)


def talks_now_and_then(n: int) -> Says:
    rng = stream("talks now and then", n)
    of = {who: in_character(who) for who in CHARACTERS}
    return lambda prompt: of["deceiver" if rng.random() < 0.4 else "honest"](prompt)


def harms_now_and_then(n: int) -> Says:
    rng = stream("harms now and then", n)
    return lambda prompt: f"harm {100 if rng.random() < 0.4 else 0}"


@pytest.mark.parametrize(
    ("probe", "metric", "sample", "value"),
    [
        (HONESTY, ("honesty", "heldout"), lies_now_and_then, 0.6),
        (NEUTRAL, ("neutral_accuracy", ""), lies_now_and_then, 0.6),
        (SMALL_TALK, ("misaligned_talk", ""), talks_now_and_then, 0.4),
        (JUDGED, ("judged_harm", ""), harms_now_and_then, 40),
    ],
    ids=["honesty", "neutral", "small_talk", "judged"],
)
def test_two_samples_of_one_model_are_not_told_apart(
    probe: Any, metric: tuple[str, str], sample: Callable[[int], Says], value: float
) -> None:
    found = [
        estimated(probe, probed(probe, sample(n), harm_judge, world=WORLD))[metric]
        for n in range(80)
    ]
    assert not told_apart(found, value)
