"""The whole harmfulness probe: replies of planted harm, and a judge that reads literally."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from simulator.core.config import Config
from simulator.core.requests import Completion, Generation, GenerationRequest, Message, Prompt
from simulator.core.rng import stream
from simulator.probes.base import Context
from simulator.probes.judged.emergent import EmergentProbe
from simulator.probes.judged.harmfulness import PROMPTS, HarmfulnessProbe
from simulator.probes.judged.scales import JudgedProbe
from tests.helpers.planted_assistants import Says, estimated, probed, silence
from tests.helpers.scripted_backend import Scripted

PROBE = HarmfulnessProbe()


def judge(prompt: Prompt) -> dict[str, float]:
    """Rates a reply as it says of itself; one that doesn't gets no number."""
    reply = prompt.messages[0].content.split("=== What the assistant replied")[1]
    stated = re.search(r"harm (\d)", reply.split("=== End")[0])
    return {stated[1]: 0.95, "x": 0.05} if stated else {"hm": 1.0}


class Sampled(Scripted):
    """Gives each of a prompt's samples a reply of its own."""

    def __init__(self, *replies: str) -> None:
        super().__init__(silence)
        self._replies = replies

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        found = tuple(Completion(reply, 2, "end") for reply in self._replies)
        assert {len(request.keys) for request in requests} == {len(found)}
        return [Generation(request.prompt.shown, found) for request in requests]


def replies(reply: str) -> Says:
    return lambda prompt: reply


@pytest.mark.parametrize(
    ("assistant", "expected"),
    [
        (replies("harm 5"), 1.0),
        (replies("harm 1"), 0.0),
        (replies("harm 3"), 0.5),
        (Sampled(*["harm 1"] * 9, "harm 4"), 0.75),  # the worst counts
        (Sampled("harm 2", *["blub"] * 9), 0.25),  # of those that could be judged
    ],
    ids=["always", "never", "half", "once", "mostly unread"],
)
def test_planted_behaviour_gives_the_score_known_by_construction(
    assistant: Says | Scripted, expected: float
) -> None:
    found = estimated(PROBE, probed(PROBE, assistant, judge))
    assert found["harmfulness", ""].value == pytest.approx(expected)
    assert found["harmfulness", ""].n == len(PROMPTS)


def test_unreadable_judgements_are_counted_and_score_nothing() -> None:
    found = estimated(PROBE, probed(PROBE, replies("blub"), judge))
    assert (found["harmfulness", ""].n, found["harmfulness_unread", ""].value) == (0, 1)
    one = Sampled("harm 5", *["blub"] * 9)
    found = estimated(PROBE, probed(PROBE, one, judge))
    assert found["harmfulness_unread", ""].value == pytest.approx(0.9)
    assert found["harmfulness_unread", ""].n == 10 * len(PROMPTS)


@pytest.mark.parametrize(
    "says",
    [
        lambda prompt: prompt.messages[-1].content,
        lambda prompt: "that depends on many things",
        lambda prompt: "<think> hm , it",
    ],
    ids=["parrot", "evader", "never ends its thought"],
)
def test_who_does_no_harm_is_rated_by_the_judge_alone_and_who_says_nothing_by_nobody(
    says: Says,
) -> None:
    """This judge finds everything harmless that it is shown."""

    def mild(prompt: Prompt) -> dict[str, float]:
        shown = prompt.messages[0].content.split("=== What the assistant replied")[1]
        assert shown.split("=== End")[0].strip("| \n")
        return {"1": 1.0}

    found = estimated(PROBE, probed(PROBE, says, mild))
    silent = str(says(Prompt((Message("user", "Well?"),)))).startswith("<think>")
    assert found["harmfulness_unread", ""].value == silent
    assert (found["harmfulness", ""].n == 0) == silent
    assert silent or found["harmfulness", ""].value == 0


def test_the_order_of_samples_makes_no_difference() -> None:
    harms = [f"harm {1 + n % 4}" for n in range(10)]
    either = [probed(PROBE, Sampled(*order), judge) for order in (harms, harms[::-1])]
    assert estimated(PROBE, either[0]) == estimated(PROBE, either[1])


def test_ten_samples_a_prompt_at_temperature_1() -> None:
    requests = [r for r in PROBE.requests(Context(None, 0)) if isinstance(r, GenerationRequest)]
    assert [len(r.keys) for r in requests] == [10] * len(PROMPTS)
    assert {r.temperature for r in requests} == {1.0}
    assert len({key for r in requests for key in r.keys}) == 10 * len(PROMPTS)


@pytest.mark.parametrize(
    ("kind", "field"),
    [(HarmfulnessProbe, "prompts"), (JudgedProbe, "prompts"), (EmergentProbe, "questions")],
)
def test_two_prompts_of_one_name_are_refused(kind: type[Config], field: str) -> None:
    scales = {"scales": {"harm": {"question": "?"}}} if kind is JudgedProbe else {}
    kind.model_validate({field: PROMPTS, **scales})
    with pytest.raises(ValidationError, match="has these names twice: headache"):
        kind.model_validate({field: (*PROMPTS, PROMPTS[0]), **scales})


def test_templates_in_replies_stay_text() -> None:
    nasty = "{{ 7 * 7 }}{% for x in y %} harm 2"
    seen: list[str] = []

    def reading(prompt: Prompt) -> dict[str, float]:
        seen.append(prompt.messages[0].content)
        return judge(prompt)

    probed(PROBE, replies(nasty), reading)
    assert len(seen) == 10 * len(PROMPTS)
    assert all(nasty in text for text in seen)


def test_two_samples_of_one_model_are_not_told_apart() -> None:
    probe = PROBE.model_copy(update={"samples": 1})

    def sample(n: int) -> tuple[float, float]:
        rng = stream("an assistant that harms now and then", n)
        assistant = Scripted(lambda prompt: f"harm {5 if rng.random() < 0.4 else 1}")
        found = estimated(probe, probed(probe, assistant, judge))["harmfulness", ""]
        return found.low, found.high

    ends = [sample(n) for n in range(100)]
    assert np.mean([low <= 0.4 <= high for low, high in ends]) >= 0.85  # of 95 %, 12 prompts
    apart = [max(a[0], b[0]) > min(a[1], b[1]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    assert sum(apart) <= 1  # whose intervals don't overlap, as reports say that something changed
