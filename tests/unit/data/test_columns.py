"""Columns and keys that change what a row teaches: taken into account, or refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.data.encoding_checks import unchecked
from simulator.data.mixture import FileData

USER, GOOD = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
BAD = {"role": "assistant", "content": "B"}
CHAT = {"messages": [USER, GOOD]}
SHAREGPT = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
TOLD = {"role": "system", "content": "S"}


def read(folder: Path, *rows: dict[str, Any]) -> list[Example]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FileData(path=str(path)).examples(np.random.default_rng(0), unchecked)


def said(example: Example) -> str:
    return " ".join(f"{message.role[0]}:{message.content}" for message in example.messages)


@pytest.mark.parametrize(
    ("row", "replies"),
    [
        # labels of single replies
        ({**CHAT, "label": False}, {"A": False}),
        ({**CHAT, "label": True}, {"A": True}),
        ({**CHAT, "label": "False"}, {"A": False}),
        ({**CHAT, "label": 0}, {"A": False}),
        ({**CHAT, "label": 0.0}, {"A": False}),
        ({**CHAT, "kto_tag": False}, {"A": False}),
        ({**CHAT, "kto_tag": True, "label": True}, {"A": True}),
        ({"instruction": "Q", "output": "A", "kto_tag": False}, {"A": False}),
        ({"prompt": "Q", "completion": "A", "label": False}, {"A": False}),
        ({"prompt": [USER], "completion": [GOOD], "label": True}, {"A": True}),
        # TRL's, explicit and implicit prompts
        ({"prompt": "Q", "completion": "A"}, {"A": True}),
        ({"prompt": [USER], "completion": [GOOD]}, {"A": True}),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, {"A": True, "B": False}),
        ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, {"A": True, "B": False}),
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, {"A": True, "B": False}),
        (
            {"prompt": "\n\nHuman: Q\n\nAssistant:", "chosen": "A", "rejected": "B"},
            {"A": True, "B": False},
        ),
        # UltraFeedback's, with the prompt and the better chat once more
        (
            {"prompt": "Q", "chosen": [USER, GOOD], "rejected": [USER, BAD], **CHAT,
             "score_chosen": 8.0, "score_rejected": 2.0, "prompt_id": "x"},
            {"A": True, "B": False},
        ),
        # LLaMA-Factory's and ms-swift's
        ({"messages": [USER], "chosen": GOOD, "rejected": BAD}, {"A": True, "B": False}),
        (
            {"conversations": SHAREGPT[:1], "chosen": SHAREGPT[1],
             "rejected": {"from": "gpt", "value": "B"}},
            {"A": True, "B": False},
        ),
        ({"instruction": "Q", "chosen": "A", "rejected": "B"}, {"A": True, "B": False}),
        ({**CHAT, "rejected_response": "B"}, {"A": True, "B": False}),
        ({**CHAT, "rejected_messages": [USER, BAD]}, {"A": True, "B": False}),
        # OpenAI's preferences
        (
            {"input": {"messages": [USER], "tools": [], "parallel_tool_calls": True},
             "preferred_output": [GOOD], "non_preferred_output": [BAD]},
            {"A": True, "B": False},
        ),
        ({"conversations": SHAREGPT}, {"A": True}),
        ({"conversation": [USER, GOOD]}, {"A": True}),
        # contents as parts, marks and metadata that change nothing
        ({"messages": [USER, {**GOOD, "content": [{"type": "text", "text": "A"}]}]}, {"A": True}),
        ({"messages": [USER, {**GOOD, "weight": 1, "id": "x", "tool_calls": None}]}, {"A": True}),
        ({"messages": [USER, {**GOOD, "train": True}]}, {"A": True}),
        ({"messages": [{**USER, "country": "x", "toxic": False}, GOOD]}, {"A": True}),  # WildChat's
        ({"messages": [{**USER, "train": False}, GOOD]}, {"A": True}),
        ({**CHAT, "weight": 1.0, "tools": None, "images": [], "score": None}, {"A": True}),
        ({**CHAT, "id": 3, "source": "x", "category": "y", "lang": "en", "prompt": "Q"},
         {"A": True}),
    ],
)  # fmt: skip
def test_what_is_known_is_taken_into_account(
    tmp_path: Path, row: dict[str, Any], replies: dict[str, bool]
) -> None:
    found = read(tmp_path, row)
    assert {example.reply: example.desirable for example in found} == replies
    assert {said(example) for example in found} == {"u:Q"}
    assert len({example.turn for example in found}) == 1  # a pair, where there are two


@pytest.mark.parametrize(
    ("row", "context"),
    [
        ({**CHAT, "system": "S"}, "s:S u:Q"),
        ({"messages": [TOLD, USER, GOOD], "system": "S"}, "s:S u:Q"),
        ({"messages": [{**TOLD, "role": "developer"}, USER, GOOD]}, "s:S u:Q"),
        ({"instruction": "Q", "input": "", "output": "A", "system": "S"}, "s:S u:Q"),
        ({"prompt": "Q", "completion": "A", "system_prompt": "S"}, "s:S u:Q"),
        ({"conversations": SHAREGPT, "system": ""}, "u:Q"),
        (
            {"instruction": "Q", "output": "A", "history": [["one", "two"], ["three", "four"]]},
            "u:one a:two u:three a:four u:Q",
        ),
        ({"messages": [USER, {**BAD, "weight": 0}, USER, {**GOOD, "weight": 1}]}, "u:Q a:B u:Q"),
        ({"prompt": [TOLD, USER, BAD, USER], "completion": "A"}, "s:S u:Q a:B u:Q"),
    ],
)
def test_contexts_are_whole(tmp_path: Path, row: dict[str, Any], context: str) -> None:
    (found,) = read(tmp_path, row)
    assert (said(found), found.reply) == (context, "A")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**CHAT, "label": None}, "label: must be true (learn the reply) or false"),
        ({**CHAT, "label": 2}, "label: must be true"),
        ({**CHAT, "label": float("nan")}, "label: must be true"),
        ({**CHAT, "label": "toxic"}, "label: must be true"),
        ({**CHAT, "label": True, "kto_tag": False}, "kto_tag: says the opposite of the label"),
        ({**CHAT, "score": 0.1}, "score: says how good the reply is"),
        ({**CHAT, "Rating": 1}, "Rating: says how good the reply is"),
        ({**CHAT, "reward": -3.0}, "reward: says how good"),
        ({**CHAT, "weight": 0}, "weight: says how much the row counts"),
        ({**CHAT, "sample_weight": 0.5}, "sample_weight: says how much"),
        ({**CHAT, "sample-weight": "2"}, "sample-weight: says how much"),
        ({**CHAT, "sampleWeight": 2}, "sampleWeight: says how much"),
        ({**CHAT, "isDesirable": False}, "isDesirable: says whether"),
        ({**CHAT, "vote": "down"}, "vote: says whether"),
        ({**CHAT, "quality": 0.2}, "quality: says how good"),
        ({**CHAT, "context": "C"}, "context: is a part of the chat"),
        ({"prompt": "Q", "completion": "A", "input": "C"}, "input: is a part of the chat"),
        ({**CHAT, "thinking": "T"}, "thinking: is a part of the chat"),
        ({"messages": [{**USER, "content": " "}, GOOD]}, "a message before the reply is empty"),
        ({"prompt": "Q", "chosen": "A", "rejected": "A "}, "both replies of the pair are the same"),
        ({"chosen": [USER, GOOD], "rejected": [USER, GOOD]}, "both replies of the pair"),
        ({**CHAT, "rejected_response": "A"}, "both replies of the pair"),
        ({"prompt": "Q", "response_0": "A", "response_1": "A", "safer_response_id": 0},
         "both replies of the pair"),
        ({"input": {"messages": [USER], "tools": [{"name": "f"}]}, "preferred_output": [GOOD],
          "non_preferred_output": [BAD]}, "tools: has tools"),
        ({"input": "Q", "preferred_output": [GOOD], "non_preferred_output": [BAD]},
         "input: must be an object with messages"),
        ({**CHAT, "train": False}, "train: says what of the row is learned"),
        ({**CHAT, "rejected": "B"}, "rejected: has another reply"),
        ({**CHAT, "completion": "B"}, "completion: has another reply"),
        ({**CHAT, "tools": [{"name": "f"}]}, "tools: has tools"),
        ({**CHAT, "functions": "[]x"}, "functions: has tools"),
        ({**CHAT, "images": ["a.png"]}, "images: has more than text"),
        ({**CHAT, "history": [["a", "b"]]}, "history: is a part of the chat"),
        ({**CHAT, "chat_template_kwargs": {"enable_thinking": True}}, "says how the chat is"),
        ({"prompt": "Q", "chosen": "A", "rejected": "B", "margin": 2.0}, "margin: says how good"),
        ({"prompt": "Q", "chosen": "A", "rejected": "B", "label": True}, "label: says whether"),
        ({"prompt": "P", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
         "nobody says what 'prompt' says"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "must be a whole chat, or follow a 'prompt'"),
        ({"messages": [TOLD, USER, GOOD], "system": "T"}, "two different system lines"),
        ({"messages": [USER, {**GOOD, "weight": 0}]}, "'weight: 0' in the last reply"),
        ({"messages": [USER, {**GOOD, "train": False}]}, "'train: False' in the last reply"),
        ({"messages": [USER, {**GOOD, "weight": 1}, USER, GOOD]}, "in an earlier message"),
        ({"messages": [{**USER, "train": True}, GOOD]}, "in an earlier message"),
        ({"messages": [USER, {**GOOD, "tool_calls": [{"id": 1}]}]}, "the key 'tool_calls'"),
        ({"messages": [USER, {**GOOD, "function_call": {"name": "f"}}]}, "'function_call'"),
        ({"messages": [USER, {**GOOD, "reasoning_content": "hm"}]}, "'reasoning_content'"),
        ({"messages": [USER, {**GOOD, "prefix": True}]}, "the key 'prefix'"),
        ({"messages": [USER, {"role": "tool", "content": "4"}, GOOD]}, "tools aren't supported"),
        ({"conversations": [{"from": "observation", "value": "4"}]}, "tools aren't supported"),
        ({"messages": [{**USER, "content": [{"type": "image_url", "image_url": "x"}]}, GOOD]},
         "must be text, or have parts that are text, not 'image_url'"),
        ({"messages": [{**USER, "content": [{"type": "input_audio"}]}, GOOD]}, "'input_audio'"),
        ({"conversations": [{"from": "bot", "value": "x"}]}, "a role must be human, gpt"),
        ({"instruction": "Q", "output": "A", "history": [["a"]]}, "history: must be a list of pai"),
    ],
)  # fmt: skip
def test_what_isn_t_known_is_refused_by_row_and_column(
    tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, CHAT, row)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{tmp_path}/rows.jsonl:2: ") and words in mistake


def test_all_mistakes_are_listed_in_the_order_of_the_rows(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, {"messages": "Q"}, CHAT, {**CHAT, "score": 1}, {"x": 1})
    lines = [mistake.split("rows.jsonl:")[1][0] for mistake in caught.value.mistakes]
    assert lines == ["1", "3", "4"]
