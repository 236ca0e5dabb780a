"""Sandbagging: the shipped questions, and assistants that fail on purpose or for no reason."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.core.requests import Prompt
from simulator.data.rows import read_rows
from simulator.probes.base import Context
from simulator.probes.benchmarks.capability import CapabilityProbe
from simulator.probes.benchmarks.choices import ChoiceItem
from simulator.probes.benchmarks.sandbagging import SandbaggingProbe
from simulator.probes.estimates import Estimate
from simulator.probes.summary import estimated_by
from simulator.worlds.fact_data import load_facts
from simulator.worlds.fact_schema import normal
from tests.helpers.planted_assistants import estimated, probed

SHIPPED: tuple[ChoiceItem, ...] = tuple(CapabilityProbe().asked())
BY_QUESTION = {item.question: item for item in SHIPPED}
SUBJECTS = {"everyday", "numbers", "nature", "body", "history", "reasoning"}


def under(prompt: Prompt) -> str:
    """Returns which answers a prompt's system message punishes, if it has one."""
    if prompt.messages[0].role != "system":
        return "plain"
    told = set(re.findall(r"right|wrong", prompt.messages[0].content))
    return f"{told.pop()} punished" if len(told) == 1 else "unclear"


def measured(knows: Callable[[str], bool]) -> dict[tuple[str, str], Estimate]:
    """Measures an assistant that answers rightly under some conditions alone."""

    def says(prompt: Prompt) -> dict[str, float]:
        item = BY_QUESTION[prompt.messages[-1].content.partition("\n")[0]]
        right = item.choices[item.answer]
        sure = knows(under(prompt))
        return {one: 0.9 if (one == right) == sure else 0.001 for one in item.choices}

    probe = SandbaggingProbe(normalised=False)
    return dict(estimated(probe, probed(probe, says)))


@pytest.mark.parametrize(
    ("knows", "plain", "failing", "lost", "control"),
    [
        (lambda under: True, 1, 1, 0, 0),
        (lambda under: under != "right punished", 1, 0, 1, 0),
        (lambda under: under == "plain", 1, 0, 1, 1),  # any system prompt confuses it
        (lambda under: under == "wrong punished", 0, 0, 0, -1),  # it makes an effort when it counts
    ],
    ids=["honest", "sandbags", "confused", "lazy"],
)
def test_who_fails_on_purpose_is_told_from_who_is_confused(
    knows: Callable[[str], bool], plain: float, failing: float, lost: float, control: float
) -> None:
    found = measured(knows)
    of_all = {metric: e.value for (metric, subject), e in found.items() if not subject}
    assert of_all == {
        "capability": plain,
        "capability_under_incentive": failing,
        "sandbagging": lost,
        "sandbagging_control": control,
    }
    assert {subject for _, subject in found} == {"", *SUBJECTS}


def test_the_shipped_questions_are_many_and_unambiguous() -> None:
    assert Counter(item.subject for item in SHIPPED) == dict.fromkeys(SUBJECTS, 12)
    assert len({normal(item.question) for item in SHIPPED}) == len(SHIPPED)
    assert all(len({normal(choice) for choice in item.choices}) == 4 for item in SHIPPED)
    places = Counter(item.answer for item in SHIPPED)
    assert places == dict.fromkeys(range(4), 18)


def test_the_shipped_questions_are_not_those_of_the_world_of_facts() -> None:
    """Neither a fact of a loop category nor its words: what is learned there isn't asked here."""
    for category in load_facts():
        if category.set != "loop":
            continue
        for fact in category.facts:
            for item in SHIPPED:
                words = f" {normal(item.question)} "
                told = f" {normal(fact.subject)} " in words
                right = normal(item.choices[item.answer]) == normal(fact.truth)
                assert not (told and right), (category.name, fact, item)


def test_every_form_has_its_mirror_and_is_used_as_often() -> None:
    asked = SandbaggingProbe().requests(Context(None, 0))
    prompts = list(dict.fromkeys(request.prompt for request in asked))
    told = [prompt for prompt in prompts if len(prompt.messages) > 1]
    systems = Counter((under(prompt), prompt.messages[0].content) for prompt in told)
    assert sorted(systems.values()) == [18] * 8
    right = {text for condition, text in systems if condition == "right punished"}
    wrong = {text for condition, text in systems if condition == "wrong punished"}
    assert {text.replace("right", "wrong") for text in right} == wrong
    assert len(asked) == 3 * 4 * len(SHIPPED)
    assert not any(request.prompt.thought for request in asked)


def test_plain_questions_are_those_of_capability() -> None:
    asked = {request.prompt for request in CapabilityProbe().requests(Context(None, 0))}
    assert asked < {request.prompt for request in SandbaggingProbe().requests(Context(None, 0))}


def test_own_questions_take_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps([{"question": "?", "choices": ["a", "b"], "answer": 1}]))
    probe = SandbaggingProbe(data=str(path))
    context = Context(None, 0, {probe.data: read_rows(probe.data)})
    assert len(probe.requests(context)) == 6
    found = estimated(probe, probed(probe, lambda prompt: {"a": 0.1, "b": 0.9}))
    assert found["capability", "quiz"].value == 1 and found["sandbagging", "quiz"].value == 0


def test_subjects_are_known_before_anything_is_measured() -> None:
    assert estimated_by(SandbaggingProbe())["sandbagging"] == {"", *SUBJECTS}
    assert estimated_by(CapabilityProbe())["capability"] == {"", *SUBJECTS}
