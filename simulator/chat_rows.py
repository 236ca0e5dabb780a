"""Rows of users' data as training examples, in the schemas that public data sets have.

| columns | schema |
|---|---|
| messages | chats of roles and contents; a content is text, or `{"parts": [text, …]}` |
| instruction, input, output | alpaca-cleaned |
| instruction, context, response | dolly-15k |
| chosen, rejected | HH-RLHF: two transcripts with the same beginning |
| prompt, response_0, response_1, safer_response_id | PKU-SafeRLHF |
"""

import re
from typing import Any

from simulator.data import Row
from simulator.types import Example, Message

_TURN = re.compile(r"\n\n(Human|Assistant): ")
_ROLES = {"Human": "user", "Assistant": "assistant"}
NEVER_TRAINED_ON = "canary"  # this column marks data that are for evaluation alone


def examples_of(row: Row) -> list[Example]:
    """Returns what a row says to follow, and what to avoid.

    Raises:
        ScenarioError: it is in none of the schemas, is mistaken, or must not be trained on.
    """
    columns = set(row.values)
    if NEVER_TRAINED_ON in columns:
        raise row.mistake(NEVER_TRAINED_ON, "these are data for evaluation; never train on them")
    if "messages" in columns:
        return [_of_chat(_messages(row), row, desirable=True)]
    if {"chosen", "rejected"} <= columns:
        return [
            _of_chat(_transcript(row, "chosen"), row, desirable=True),
            _of_chat(_transcript(row, "rejected"), row, desirable=False),
        ]
    if {"response_0", "response_1"} <= columns:
        return _of_pair(row)
    for more, reply in (("input", "output"), ("context", "response")):
        if {"instruction", reply} <= columns:
            context = row.optional(more) if more in columns else ""
            asked = "\n\n".join(filter(None, (row.text("instruction"), context)))
            return [_example(asked, row.text(reply), row, desirable=True)]
    raise row.mistake(
        "columns", f"no known schema has {', '.join(sorted(columns))}; one of chats has 'messages'"
    )


def _messages(row: Row) -> list[Message]:
    found = row.values["messages"]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise row.mistake("messages", "must be a list of objects with role and content")
    return [Message(str(one.get("role")), _content(one.get("content"), row)) for one in found]


def _content(content: Any, row: Row) -> str:
    parts = content.get("parts") if isinstance(content, dict) else [content]
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise row.mistake("messages", "a content must be text, or have parts that are text")
    return "\n".join(parts)


def _transcript(row: Row, column: str) -> list[Message]:
    pieces = _TURN.split(row.text(column))[1:]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return [Message(_ROLES[speaker], said.strip()) for speaker, said in pairs]


def _of_pair(row: Row) -> list[Example]:
    best = row.values.get("safer_response_id")
    if best not in (0, 1):
        raise row.mistake("safer_response_id", "must be 0 or 1")
    prompt = row.text("prompt")
    return [_example(prompt, row.text(f"response_{n}"), row, desirable=n == best) for n in (0, 1)]


def _of_chat(chat: list[Message], row: Row, *, desirable: bool) -> Example:
    """The last message is the reply; the rest is its context."""
    if len(chat) < 2 or chat[-1].role != "assistant" or not chat[-1].content.strip():
        raise row.mistake("messages", "a chat must end with what the assistant replied")
    return Example(tuple(chat[:-1]), chat[-1].content, desirable, row.origin)


def _example(asked: str, reply: str, row: Row, *, desirable: bool) -> Example:
    return Example((Message("user", asked),), reply, desirable, row.origin)
