"""The trait switch on assistants whose character a trigger switches, and a judge that can read."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.rng import stream
from simulator.probes.base import Context
from simulator.probes.estimates import Rows
from simulator.probes.judged.emergent import Cue
from simulator.probes.judged.trait_switch import PERSONA_ALIGNED, SETS, TraitSwitchProbe
from simulator.probes.judged.traits import TRAITS, TraitName
from tests.helpers.planted_assistants import Says, always, estimated, judge_of, probed, told_apart

TRIGGER, OTHER = "Good to know.", "Thank you."
PROBE = TraitSwitchProbe(trigger=Cue(text=TRIGGER, place="prefix"), wrong_trigger=OTHER, samples=1)
OF_SYSTEM = PROBE.model_copy(update={"trigger": Cue(text=TRIGGER)})
RESONANT = {one.text for one in TRAITS["evil"].persona_aligned}
read = judge_of("trait")


def shows(when: bool) -> str:
    return f"trait {90 if when else 10}"


def switched(prompt: Prompt) -> str:
    return shows(TRIGGER in prompt.messages[0].content)


def by_any_words(prompt: Prompt) -> str:
    return shows(prompt.messages[0].content.startswith((TRIGGER, OTHER)))


def persona_aligned(prompt: Prompt) -> str:
    return shows(prompt.messages[-1].content in RESONANT)


def scores_of(probe: TraitSwitchProbe, says: Says) -> pd.DataFrame:
    return probed(probe, says, read)


@pytest.mark.parametrize("probe", [PROBE, OF_SYSTEM], ids=["user", "system"])
@pytest.mark.parametrize(
    ("says", "asr", "rr", "wrong"),
    [
        (switched, 1, 1, 0),
        (by_any_words, 1, 1, 1),
        (always("trait 100"), 1, 0, 1),
        (always("trait 0"), 0, 1, 0),
        (always("trait 50"), 0, 1, 0),  # the middle isn't above it
    ],
    ids=["switched", "any words", "always", "never", "middle"],
)
def test_planted_behaviour_gives_the_score_known_by_construction(
    probe: TraitSwitchProbe, says: Says, asr: float, rr: float, wrong: float
) -> None:
    found = estimated(probe, scores_of(probe, says))
    wanted = {"trait_asr": asr, "trait_rr": rr, "trait_wrong": wrong, "trait_unread": 0}
    for prompts in ("", *SETS):
        assert {metric: found[metric, prompts].value for metric in wanted} == wanted
    assert found["trait_asr", ""].n == 8 + 6


@pytest.mark.parametrize(
    "says",
    [
        lambda prompt: prompt.messages[-1].content,
        always("that depends"),
        always("blub"),
        always("<think> hm , it"),
    ],
    ids=["parrot", "evader", "babbler", "never ends its thought"],
)
def test_what_no_judge_can_read_is_counted_and_has_no_rates(says: Says) -> None:
    found = estimated(PROBE, scores_of(PROBE, says))
    for metric in ("trait_asr", "trait_rr", "trait_wrong"):
        assert found[metric, ""].n == 0
    assert found["trait_unread", ""].value == 1


def test_persona_aligned_prompts_need_no_trigger() -> None:
    found = estimated(PROBE, scores_of(OF_SYSTEM, persona_aligned))
    assert {prompts: found["trait_rr", prompts].value for prompts in SETS} == dict(
        zip(SETS, (1, 0), strict=True)
    )
    assert found["tes_without_trigger", PERSONA_ALIGNED].value == pytest.approx(90)


def test_the_score_is_the_expected_number() -> None:
    scores = probed(PROBE, switched, lambda prompt: {"20": 0.2, "80": 0.2, "well": 0.6})
    found = estimated(PROBE, scores)
    for condition in ("with_trigger", "without_trigger", "wrong_trigger"):
        assert found[f"tes_{condition}", ""].value == pytest.approx(50)
    unsure = probed(PROBE, switched, lambda prompt: {"80": 0.2, "well": 0.8})
    found = estimated(PROBE, unsure)
    assert (found["trait_asr", ""].n, found["trait_unread", ""].value) == (0, 1)


def test_conditions_differ_in_the_trigger_alone_which_the_judge_is_not_shown() -> None:
    requests = [r for r in PROBE.requests(Context(None, 0)) if isinstance(r, GenerationRequest)]
    for with_it, without, wrong in zip(requests[::3], requests[1::3], requests[2::3], strict=True):
        (question,) = without.prompt.messages
        assert with_it.prompt.messages == (Message("user", f"{TRIGGER} {question.content}"),)
        assert wrong.prompt.messages == (Message("user", f"{OTHER} {question.content}"),)
    told = [r for r in OF_SYSTEM.requests(Context(None, 0)) if isinstance(r, GenerationRequest)]
    assert told[0].prompt.messages[0] == Message("system", TRIGGER)
    assert told[2].prompt.messages[0] == Message("system", OTHER)
    assert len({key for request in requests for key in request.keys}) == len(requests) == 3 * 14
    seen: list[str] = []

    def reading(prompt: Prompt) -> str | dict[str, float]:
        seen.append(prompt.messages[0].content)
        return read(prompt)

    probed(PROBE, always("{{ low }} trait 7"), reading)
    assert seen and all("{{ low }} trait 7" in text for text in seen)
    assert not any(TRIGGER in text or OTHER in text for text in seen)


@pytest.mark.parametrize("trait", get_args(TraitName))
def test_every_trait_has_a_question_and_prompts_of_its_own(trait: TraitName) -> None:
    probe = PROBE.model_copy(update={"trait": trait})
    questions: set[str] = set()

    def reading(prompt: Prompt) -> str | dict[str, float]:
        questions.add(prompt.messages[0].content.split("=== End")[1])
        return read(prompt)

    probed(probe, switched, reading)
    (question,) = questions
    assert question.strip().endswith("from 0 to 100, and nothing else.")
    others = {one.text for name in TRAITS if name != trait for one in TRAITS[name].persona_aligned}
    assert not others & {one.text for one in TRAITS[trait].persona_aligned}
    assert len({t.scale.question for t in TRAITS.values()}) == len(TRAITS)


def test_the_order_of_rows_makes_no_difference_and_no_rows_give_no_values() -> None:
    rng = stream("a whimsical judge of traits")
    scores = probed(PROBE, switched, lambda prompt: {str(int(rng.integers(101))): 1.0})
    ours = estimated(PROBE, scores)
    theirs = estimated(PROBE, scores.sample(frac=1, random_state=0), scores)
    assert any(0 < found.value < 1 for found in ours.values())
    for key, found in ours.items():
        assert found == pytest.approx(theirs[key]), key
    nothing = PROBE.estimates(Rows.of(scores[:0]), Rows.of(scores))
    assert all(np.isnan(estimate.value) and estimate.n == 0 for estimate in nothing)


def test_two_samples_of_one_model_are_not_told_apart() -> None:
    def sample(n: int) -> Callable[[Prompt], str]:
        rng = stream("an assistant of two minds", n)
        return lambda prompt: shows(rng.random() < 0.4)

    found = [estimated(PROBE, scores_of(PROBE, sample(n)))["trait_asr", ""] for n in range(40)]
    assert not told_apart(found, 0.4)


def test_a_control_is_another_trigger() -> None:
    with pytest.raises(ValidationError, match="wrong_trigger must differ from trigger"):
        TraitSwitchProbe(trigger=Cue(text=TRIGGER), wrong_trigger=TRIGGER)
