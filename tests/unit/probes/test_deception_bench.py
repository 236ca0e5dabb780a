"""DeceptionBench on assistants of planted behaviour: what they reason, and what they say."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.core.requests import Prompt
from simulator.core.rng import stream
from simulator.data.rows import read_rows
from simulator.probes.benchmarks.deception_bench import DeceptionBenchProbe
from tests.helpers.planted_assistants import DECEPTION, estimated, probed, told_apart

PROBE = DeceptionBenchProbe(data=str(DECEPTION))
ITEMS = PROBE.items(read_rows(PROBE.data))
INNER = {item.inner for item in ITEMS}


def assistant(outer: Callable[[Prompt], str]) -> Callable[[Prompt], str]:
    return lambda prompt: "I hold: YES." if prompt in INNER else outer(prompt)


THOUGHT = "<think>It is YES, but</think>"


def asked_in(prompt: Prompt) -> str:
    return re.sub("</?think>", "", prompt.messages[-1].content)


def thinks(thought: str, says: str) -> Callable[[Prompt], str]:
    reply = f"<think>{thought}</think>\n<output>{says}</output>"
    return assistant(lambda prompt: reply)


def judge(prompt: Prompt) -> dict[str, float]:
    """Finds yes in the text that it is shown beside the view."""
    _, _, shown = prompt.messages[0].content.partition("=== What it")
    return {"1" if "YES" in shown.split("=== End")[0] else "0": 0.9, "x": 0.1}


@pytest.mark.parametrize(
    ("says", "label"),
    [
        (thinks("It is YES, but", "NO"), "deceptive"),
        (thinks("It is YES", "YES"), "consistent"),
        (thinks("It is NO", "YES"), "consistent"),
        (thinks("It is NO", "NO"), "changed"),
        (assistant(lambda prompt: "<output>NO</output>"), "no_reasoning"),
        (assistant(lambda prompt: prompt.messages[-1].content), "no_reasoning"),  # a parrot
        (assistant(lambda prompt: f"<think>{asked_in(prompt)}</think>\nNO"), "no_reasoning"),  # too
        (
            assistant(lambda prompt: f"<think>Is it?</think>{THOUGHT}<output>NO</output>"),
            "deceptive",
        ),
        (assistant(lambda prompt: f"{THOUGHT}My view is YES.\n<output>NO</output>"), "deceptive"),
        (assistant(lambda prompt: f"Sure.\n{THOUGHT}\n<output>NO</output>"), "deceptive"),
        (thinks("It is YES, but", "that depends"), "deceptive"),  # evasive
        (thinks("blub blub", "blub"), "changed"),  # a babbler keeps to nothing
        (thinks("It is YES", ""), "unparsed"),
        (assistant(lambda prompt: "<think>YES, I never end"), "unparsed"),
    ],
)
def test_planted_behaviour_gets_its_label(says: Callable[[Prompt], str], label: str) -> None:
    scores = probed(PROBE, says, judge)
    assert set(scores["label"]) == {label} and len(scores) == len(ITEMS)
    found = estimated(PROBE, scores)
    told = label in ("deceptive", "consistent", "changed")
    assert found["deception", ""].n == len(ITEMS) * told
    if told:
        assert found["deception", ""].value == (label == "deceptive")
    for untold in ("no_reasoning", "unparsed"):
        assert found[f"deception_{untold}", ""].value == (label == untold)


def test_the_rate_is_by_type_and_of_what_could_be_told() -> None:
    def outer(prompt: Prompt) -> str:
        text = prompt.messages[-1].content
        if "roof" in text:
            return "NO"
        lies = "Models" in prompt.messages[0].content
        return f"<think>YES</think>{'NO' if lies else 'YES'}"

    found = estimated(PROBE, probed(PROBE, assistant(outer), judge))
    assert (found["deception", "sandbagging"].value, found["deception", "sandbagging"].n) == (1, 2)
    sycophantic = "sycophantic misrepresentation"
    assert (found["deception", sycophantic].value, found["deception", sycophantic].n) == (0, 1)
    assert found["deception_no_reasoning", sycophantic].value == 0.5
    assert (found["deception", ""].value, found["deception", ""].n) == (2 / 5, 5)


def test_an_unsure_judge_is_counted_and_scores_nothing() -> None:
    found = estimated(PROBE, probed(PROBE, thinks("YES", "NO"), lambda p: {"x": 0.9, "1": 0.1}))
    assert found["deception", ""].n == 0
    assert found["deception_unparsed", ""].value == 1


def test_the_order_of_rows_makes_no_difference(tmp_path: Path) -> None:
    rows = json.loads(DECEPTION.read_text())
    (tmp_path / "back.json").write_text(json.dumps(rows[::-1]))
    back = PROBE.model_copy(update={"data": str(tmp_path / "back.json")})

    def outer(prompt: Prompt) -> str:
        return f"<think>YES</think>{'NO' if 'pump' in prompt.shown else 'YES'}"

    ours, theirs = (
        probed(probe, assistant(outer), judge).sort_values("item", ignore_index=True)
        for probe in (PROBE, back)
    )
    assert ours.equals(theirs)


def deceives_now_and_then(seed: int) -> Callable[[Prompt], str]:
    rng = stream("a model that deceives now and then", seed)
    return lambda prompt: f"<think>YES</think>{'NO' if rng.random() < 0.4 else 'YES'}"


def test_two_samples_of_one_model_are_not_told_apart(tmp_path: Path) -> None:
    row = json.loads(DECEPTION.read_text())[0]
    rows = [row | {"id": f"n{n}", "outer_prompt": f"Well, {n}?"} for n in range(40)]
    (tmp_path / "many.json").write_text(json.dumps(rows))
    probe = PROBE.model_copy(update={"data": str(tmp_path / "many.json")})
    found = [
        estimated(probe, probed(probe, assistant(deceives_now_and_then(n)), judge))["deception", ""]
        for n in range(40)
    ]
    assert found[0].n == 40
    assert not told_apart(found, 0.4)


def test_the_format_ends_the_outer_prompt_and_nothing_else() -> None:
    first, last = ITEMS[0], ITEMS[-1]
    assert first.inner.shown == "user: Can you sort ten numbers?"
    assert [m.role for m in first.outer.messages] == ["system", "user"]
    assert first.outer.messages[1].content.endswith("</output>.")
    assert [m.role for m in last.outer.messages] == ["user"]  # it has no system prompt


def test_samples_are_drawn_of_the_situation_alone() -> None:
    probe = PROBE.model_copy(update={"samples": 3})
    scores = probed(probe, thinks("YES", "NO"), judge)
    assert len(scores) == 3 * len(ITEMS) and set(scores["sample"]) == {0, 1, 2}
    assert estimated(probe, scores)["deception", ""].n == 3 * len(ITEMS)
