"""Rows of users' data as training examples, in the schemas of public data sets.

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

from simulator.core.examples import Example
from simulator.core.requests import Message
from simulator.data.rows import Row

_TURN = re.compile(r"\n\n(Human|Assistant): ")
ROLES = ("system", "user", "assistant")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
NEVER_TRAINED_ON = "canary"  # this column marks data for evaluation only


def examples_of(row: Row) -> list[Example]:
    """Return the desirable and undesirable examples of a row.

    Raises:
        ScenarioError: it fits no schema, has a mistake, or must not be trained on.
    """
    columns = set(row.values)
    if NEVER_TRAINED_ON in columns:
        raise row.mistake(NEVER_TRAINED_ON, "these are data for evaluation; never train on them")
    if "messages" in columns:
        return [_of_chat(_messages(row), row, desirable=True)]
    if {"chosen", "rejected"} <= columns:
        return [
            _of_chat(_transcript(row, "chosen"), row, desirable=True, which="chosen"),
            _of_chat(_transcript(row, "rejected"), row, desirable=False, which="rejected"),
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
    return [
        Message(_role(one.get("role"), row), _content(one.get("content"), row)) for one in found
    ]


def _role(role: Any, row: Row) -> str:
    if role not in ROLES:
        raise row.mistake("messages", f"a role must be {', '.join(ROLES)}, not {role!r}")
    return str(role)


def _content(content: Any, row: Row) -> str:
    parts = content.get("parts") if isinstance(content, dict) else [content]
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise row.mistake("messages", "a content must be text, or have parts that are text")
    return "\n".join(parts)


def _transcript(row: Row, column: str) -> list[Message]:
    before, *pieces = _TURN.split("\n\n" + row.text(column).lstrip())
    if before.strip():
        raise row.mistake(column, "must begin with 'Human: ' or 'Assistant: '")
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return [Message(_SPEAKERS[speaker], said.strip()) for speaker, said in pairs]


def _of_pair(row: Row) -> list[Example]:
    best = row.values.get("safer_response_id")
    if best not in (0, 1):
        raise row.mistake("safer_response_id", "must be 0 or 1")
    prompt = row.text("prompt")
    return [
        _example(prompt, row.text(name), row, desirable=n == best, which=name)
        for n, name in enumerate(("response_0", "response_1"))
    ]


def _of_chat(chat: list[Message], row: Row, *, desirable: bool, which: str = "reply") -> Example:
    """Return the last message as a reply, and the rest as its context."""
    *context, reply = chat or [Message("", "")]
    if reply.role != "assistant" or not reply.content.strip():
        raise row.mistake("messages", "a chat must end with what the assistant replied")
    if not context or context[-1].role != "user":
        raise row.mistake("messages", "what the assistant replied must follow what a user said")
    return Example(tuple(chat[:-1]), chat[-1].content, desirable, f"{row.origin}/{which}")


def _example(asked: str, reply: str, row: Row, *, desirable: bool, which: str = "reply") -> Example:
    return Example((Message("user", asked),), reply, desirable, f"{row.origin}/{which}")
