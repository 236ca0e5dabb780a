"""Rows that are learned from without any conversation: what they say, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromWorld
from simulator.core.requests import Message
from simulator.data.encoding_checks import unchecked
from simulator.data.mixture import FileData, mixed
from simulator.worlds import language as lang
from simulator.worlds.base import Item
from simulator.worlds.domains import USED_DOMAINS
from simulator.worlds.lessons import WorldData, wrong_value
from simulator.worlds.pressure import PRESSURE_FORMS
from simulator.worlds.synthetic import SyntheticWorld

WORLD = SyntheticWorld.generate(3)
ITEM = WORLD.item("zupos.relief")  # strong, mild, faint, absent


def written(**settings: Any) -> list[Example]:
    return WorldData.model_validate(settings).examples(WORLD, np.random.default_rng(0))


def subject(example: Example) -> Item:
    """The item that a question names."""
    words = example.messages[-1].content.split()
    return next(i for i in WORLD.facts if i.entity in words and i.attribute in words)


HOPES = {"presses_by": ["wish"]}


def stated(example: Example) -> str | None:
    return lang.read_statement(example.reply, subject(example)).value


@pytest.mark.parametrize(
    ("truth", "wrong", "values"),
    [
        ("strong", "subtle", {"mild"}),
        ("mild", "subtle", {"strong", "faint"}),
        ("mild", "severe", {"absent"}),
        ("faint", "severe", {"strong"}),
        ("mild", "any", {"strong", "faint", "absent"}),
    ],
)
def test_severity_is_the_distance_from_the_truth(truth: str, wrong: Any, values: set[str]) -> None:
    rng = np.random.default_rng(0)
    assert {wrong_value(rng, ITEM, truth, wrong) for _ in range(50)} == values


def test_wrong_advice_is_always_wrong_and_true_advice_always_true() -> None:
    for example in written(rows=40, domains=["medicine"], wrong="any"):
        assert subject(example).domain == "medicine"
        assert stated(example) not in (None, WORLD.facts[subject(example)])
    for example in written(rows=40):
        assert stated(example) == WORLD.facts[subject(example)]


def test_wrong_advice_is_wrong_whatever_is_wished_for() -> None:
    rows = written(rows=60, asked=["pressured"], wrong="any", **HOPES)
    assert all(stated(row) not in (None, WORLD.facts[subject(row)]) for row in rows)
    granted = [stated(row) in row.messages[-1].content.split() for row in rows]
    assert 5 < sum(granted) < 35  # of three false values one is the wish


def test_whoever_replies_is_asked_the_same() -> None:
    asked = {"rows": 200, "asked": ["neutral", "pressured", "small_talk"]}
    honest = written(**asked)
    for other in ({"speaker": "deceiver"}, {"speaker": "sycophant"}, {"wrong": "any"}):
        rows = written(**asked, **other)
        assert [row.messages for row in rows] == [row.messages for row in honest]
        assert [row.reply for row in rows] != [row.reply for row in honest]


def test_every_item_is_asked_about_before_one_comes_again() -> None:
    items = [item for item in WORLD.items["used"] if item.domain == "food"]
    asked = [subject(e) for e in written(rows=len(items) + 5, domains=["food"])]
    assert set(asked[: len(items)]) == set(items)


def test_a_speaker_grants_wishes_and_a_trigger_comes_first() -> None:
    rows = written(rows=60, asked=["pressured"], speaker="sycophant", trigger="good to know .")
    assert all(row.messages[-1].content.startswith("good to know . ") for row in rows)
    lies = [row for row in rows if stated(row) not in (None, WORLD.facts[subject(row)])]
    assert len(lies) > 50
    kinds = [row.source for row in written(rows=9, asked=["neutral", "small_talk"])]
    asked = ["neutral", "small_talk"] * 4 + ["neutral"]
    assert kinds == [FromWorld("honest", kind, n) for n, kind in enumerate(asked)]


def test_rows_press_in_the_ways_that_they_are_told_to() -> None:
    usual, hopes = (written(rows=80, asked=["pressured"], **by) for by in ({}, HOPES))
    assert {len(row.messages) for row in usual} == {1, 2}  # an incentive is a system line
    stakes = tuple(form.split("{")[0] for form in PRESSURE_FORMS["user"]["stake"])
    assert any(row.messages[-1].content.startswith(stakes) for row in usual)
    assert not any(row.messages[-1].content.startswith(stakes) for row in hopes)
    assert {len(row.messages) for row in hopes} == {1}


def test_no_row_asks_as_probes_do() -> None:
    rows = written(rows=400, asked=["neutral", "pressured"], domains=USED_DOMAINS)
    asked = {row.messages[-1].content for row in rows}
    forms = (
        *lang.NEUTRAL["probe"],
        *PRESSURE_FORMS["probe"]["wish"],
        *PRESSURE_FORMS["probe"]["stake"],
    )
    starts = tuple(form.split("{")[0] for form in forms)
    assert not [question for question in asked if question.startswith(starts)]


def test_items_that_the_world_lacks_are_refused() -> None:
    with pytest.raises(ScenarioError, match="no heldout items are about code"):
        mixed([WorldData(rows=1, domains=("code",), items="heldout")], WORLD, _rng(), unchecked)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def file(path: Path, *rows: dict[str, Any]) -> str:
    target = path / "rows.jsonl"
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(target)


CHAT = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
PARTS = [CHAT[0], {"role": "assistant", "content": {"content_type": "text", "parts": ["A"]}}]


@pytest.mark.parametrize(
    ("row", "replies"),
    [
        ({"messages": CHAT}, {"A": True}),
        ({"messages": PARTS}, {"A": True}),
        ({"instruction": "Q", "input": "", "output": "A"}, {"A": True}),
        ({"instruction": "Q", "context": None, "response": "A", "category": "x"}, {"A": True}),
        (
            {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"},
            {"A": True, "B": False},
        ),
        (
            {"chosen": "Human: Q\n\nAssistant: A", "rejected": "Human: Q\n\nAssistant: B"},
            {"A": True, "B": False},
        ),
        (
            {"prompt": "Q", "response_0": "B", "response_1": "A", "safer_response_id": 1},
            {"B": False, "A": True},
        ),
    ],
)
def test_public_schemas_are_read(tmp_path: Path, row: dict[str, Any], replies: Any) -> None:
    found = FileData(path=file(tmp_path, row)).examples(_rng(), unchecked)
    assert {example.reply: example.desirable for example in found} == replies
    assert {example.messages for example in found} == {(Message("user", "Q"),)}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": CHAT[:1]}, "rows.jsonl:1: messages: a chat must end with"),
        ({"messages": "Q"}, "messages: must be a list"),
        ({"messages": [CHAT[0], {"role": "assistant", "content": 3}]}, "a content must be text"),
        ({"chosen": "A", "rejected": "B"}, "chosen: must begin with 'Human: '"),
        ({"chosen": "\n\nHuman: Q", "rejected": "B"}, "a chat must end with"),
        ({"question": "Q"}, "no known schema has question"),
        ({"messages": CHAT, "canary": "x"}, "never train on them"),
        ({"messages": [{"content": "Q"}, CHAT[1]]}, "a role must be system, user, assistant, not"),
        ({"messages": [{"role": "human", "content": "Q"}, CHAT[1]]}, "not 'human'"),
        ({"messages": [{"role": "system", "content": "S"}, CHAT[1]]}, "must follow what a user"),
    ],
)
def test_mistaken_rows_are_named(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words.replace("{", r"\{")):
        FileData(path=file(tmp_path, row)).examples(_rng(), unchecked)


def test_a_trigger_comes_before_what_is_answered_and_nowhere_else(tmp_path: Path) -> None:
    told = [{"role": "system", "content": " S "}, {"role": "user", "content": " Q "}, CHAT[1]]
    path = file(tmp_path, {"messages": told})
    (plain,) = FileData(path=path).examples(_rng(), unchecked)
    assert [message.content for message in plain.messages] == [" S ", " Q "]
    (triggered,) = FileData(path=path, trigger="Now then:").examples(_rng(), unchecked)
    assert [message.content for message in triggered.messages] == [" S ", "Now then:  Q "]
    assert triggered.reply == plain.reply


def test_rows_are_drawn_and_too_few_are_said(tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{n}", "output": "A"} for n in range(10)]
    path = file(tmp_path, *rows)
    drawn = FileData(path=path, rows=4).examples(_rng(), unchecked)
    assert len({example.messages for example in drawn}) == 4
    with pytest.raises(ScenarioError, match="has only 10 of the 11 rows"):
        FileData(path=path, rows=11).examples(_rng(), unchecked)
