"""Multiple choice on assistants that give known probabilities to known answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.backends.config import OpenAIConfig, TransformersConfig
from simulator.core.errors import ScenarioError
from simulator.core.requests import Prompt
from simulator.core.rng import stream
from simulator.data.rows import Row, read_rows
from simulator.probes.base import Context
from simulator.probes.benchmarks.capability import CapabilityProbe
from tests.helpers.planted_assistants import estimated, probed

ROWS: list[dict[str, Any]] = [
    {"subject": "law", "question": "Who judges?", "choices": ["a cook", "a court"], "answer": 1},
    {"subject": "law", "question": "Who pleads?", "choices": ["an advocate", "a cat"], "answer": 0},
    {"subject": "maths", "question": "What is 2 + 3?", "choices": ["4", "5", "6", "7"],
     "answer": 1},
]  # fmt: skip
Sure = Callable[[str, str], float]  # question and choice → probability of saying it


def of(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> CapabilityProbe:
    path = folder / "quiz.json"
    path.write_text(json.dumps(rows))
    return CapabilityProbe(data=str(path), **settings)


def measured(probe: CapabilityProbe, sure: Sure) -> dict[str, tuple[float, int]]:
    asked = {item.prompt(): item for item in probe.items(read_rows(probe.data))}

    def says(prompt: Prompt) -> dict[str, float]:
        item = asked[prompt]
        return {choice: sure(item.question, choice) for choice in item.choices}

    found = estimated(probe, probed(probe, says, lambda prompt: ""))
    return {subject: (e.value, e.n) for (_, subject), e in found.items()}


RIGHT = {row["question"]: row["choices"][row["answer"]] for row in ROWS}


@pytest.mark.parametrize(
    ("sure", "law", "maths"),
    [
        (lambda question, choice: 0.9 if choice == RIGHT[question] else 0.01, 1, 1),
        (lambda question, choice: 0.01 if choice == RIGHT[question] else 0.9, 0, 0),
        (lambda question, choice: 0.9 if choice == "a court" else 0.01, 0.75, 0.25),
        (lambda question, choice: 0.5, 0.5, 0.25),  # whoever has no idea is at chance
    ],
    ids=["knows", "errs", "knows one", "guesses"],
)
def test_planted_knowledge_gives_the_score_known_by_construction(
    tmp_path: Path, sure: Sure, law: float, maths: float
) -> None:
    found = measured(of(tmp_path, ROWS, normalised=False), sure)
    assert found["law"] == (law, 2) and found["maths"] == (maths, 1)
    value, n = found[""]
    assert value == pytest.approx((2 * law + maths) / 3) and n == 3


def test_long_choices_are_not_put_at_a_disadvantage(tmp_path: Path) -> None:
    row = {"question": "?", "choices": ["b", "a long one"], "answer": 1}

    def sure(question: str, choice: str) -> float:
        return {"b": 0.5, "a long one": 0.1}[choice]  # −.69 and −.23 nats a character

    assert measured(of(tmp_path, [row]), sure)[""] == (1, 1)
    assert measured(of(tmp_path, [row], normalised=False), sure)[""] == (0, 1)
    assert "quiz" in measured(of(tmp_path, [row]), sure)  # without a subject it is the file's name


def test_the_order_of_choices_makes_no_difference(tmp_path: Path) -> None:
    def sure(question: str, choice: str) -> float:
        return float(stream("how sure", question, choice).uniform(0.1, 0.9))

    many = [
        {"question": f"{n}?", "choices": [f"{n}{letter}" for letter in "abcd"], "answer": n % 4}
        for n in range(30)
    ]
    back = [
        row | {"choices": row["choices"][::-1], "answer": 3 - row["answer"]}  # type: ignore[index, operator]
        for row in many
    ]
    ours = probed_labels(of(tmp_path, many), sure)
    assert ours == probed_labels(of(tmp_path, back), sure)
    assert len(set(ours)) > 1


def probed_labels(probe: CapabilityProbe, sure: Sure) -> list[tuple[str, str]]:
    items = {item.prompt(): item for item in probe.items(read_rows(probe.data))}

    def says(prompt: Prompt) -> dict[str, float]:
        return {choice: sure(items[prompt].question, choice) for choice in items[prompt].choices}

    scores = probed(probe, says, lambda prompt: "")
    return list(zip(scores["label"], scores["reply"], strict=True))


def test_two_samples_of_one_model_are_not_told_apart(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "choices": ["yes", "no"], "answer": 0} for n in range(60)]
    probe = of(tmp_path, rows, normalised=False)

    def sample(n: int) -> tuple[float, float]:
        rng = stream("a model that knows seven of ten", n)
        known = {row["question"]: rng.random() < 0.7 for row in rows}

        def says(prompt: Prompt) -> dict[str, float]:
            knows = known[prompt.messages[0].content.partition("\n")[0]]
            return {"yes": 0.9 if knows else 0.1, "no": 0.5}

        found = estimated(probe, probed(probe, says, lambda prompt: ""))["capability", ""]
        return found.low, found.high

    ends = [sample(n) for n in range(40)]
    assert np.mean([low <= 0.7 <= high for low, high in ends]) >= 0.85  # of 95 % intervals
    apart = [max(a[0], b[0]) > min(a[1], b[1]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    assert sum(apart) <= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"choices": "a or b"}, "choices: must be a list of two texts or more"),
        ({"choices": ["a"]}, "choices: must be a list of two texts or more"),
        ({"choices": ["a", " "]}, "choices: a choice is empty or no text"),
        ({"choices": ["a", 3]}, "choices: a choice is empty or no text"),
        ({"answer": 2}, "answer: must be the place of the right choice, counted from 0"),
        ({"answer": "B"}, "answer: must be the place of the right choice, counted from 0"),
        ({"answer": True}, "answer: must be the place of the right choice, counted from 0"),
        ({"question": None}, "question: is empty"),
    ],
)
def test_mistakes_in_the_data_are_named(change: dict[str, Any], sentence: str) -> None:
    rows = [Row("quiz.json", 1, ("", "quiz"), ROWS[0] | change)]
    with pytest.raises(ScenarioError) as caught:
        CapabilityProbe(data="quiz.json").items(rows)
    assert str(caught.value).startswith(f"quiz.json:1: {sentence}")


def test_no_choice_is_scored_as_a_thought(tmp_path: Path) -> None:
    probe = of(tmp_path, ROWS)
    asked = probe.requests(Context(None, 0, {probe.data: read_rows(probe.data)}))
    assert len(asked) == sum(len(row["choices"]) for row in ROWS)
    assert not any(request.prompt.thought for request in asked)


def test_engines_that_score_no_continuations_lack_what_it_needs() -> None:
    assert not CapabilityProbe.required_capabilities - TransformersConfig.capabilities
    assert CapabilityProbe.required_capabilities - OpenAIConfig.capabilities == {
        "score_continuations"
    }
