"""Rows of users' data as training examples, in the schemas of public data sets.

| columns | schema |
|---|---|
| messages, conversations or conversation | chats: lists of roles and contents, or ShareGPT's |
| the same, and rejected_messages or rejected_response | ms-swift: the chat, and a worse reply |
| instruction, input, output | alpaca; `system` and `history` are read, too |
| instruction, context, response | dolly-15k |
| prompt, completion | TRL: texts, or lists of messages |
| chosen, rejected | HH-RLHF: two transcripts with the same beginning |
| chosen, rejected, and prompt, messages or instruction | TRL, LLaMA-Factory: texts or messages |
| input, preferred_output, non_preferred_output | OpenAI's preferences; the input has messages |
| prompt, response_0, response_1, safer_response_id | PKU-SafeRLHF |

`label` or `kto_tag` says of a single reply whether it is desirable. `system` opens every chat.
Other columns are metadata, except those that would change the meaning: `simulator.data.columns`.
"""

import re
from collections.abc import Sequence
from typing import Any

from simulator.core.errors import shortened
from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message
from simulator.data.columns import LABELS, desirable, is_empty, refuse_others
from simulator.data.messages import messages_of
from simulator.data.rows import Row

_TURN = re.compile(r"\n\n(Human|Assistant): ")
_AWAITED = re.compile(r"\n\nAssistant:\s*$")  # how TRL ends a transcript that is a prompt
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
CHATS = ("messages", "conversations", "conversation")
SYSTEM = ("system", "system_prompt")
WORSE = ("rejected_messages", "rejected_response")
PREFERENCE = ("preferred_output", "non_preferred_output")
NEVER_TRAINED_ON = "canary"  # this column marks data for evaluation only


def examples_of(row: Row) -> list[Example]:
    """Return the desirable and undesirable examples of a row.

    Raises:
        ScenarioError: it fits no schema, has a mistake, must not be trained on, or has a column
            whose meaning can't be taken into account.
    """
    columns = set(row.values)
    if NEVER_TRAINED_ON in columns:
        raise row.mistake(NEVER_TRAINED_ON, "these are data for evaluation; never train on them")
    if {"input", *PREFERENCE} <= columns:
        return _of_sides(_with_sides(row))
    if {"chosen", "rejected"} <= columns:
        return _of_sides(row)
    chat = next((name for name in CHATS if _has(row, name)), "")
    worse = next((name for name in WORSE if _has(row, name)), "")
    if chat and worse:
        return _of_worse(row, chat, worse)
    if chat:
        return _of_one(row, messages_of(row, chat), chat)
    if {"prompt", "completion"} <= columns:
        asked, reply = _spoken(row, "prompt", "user"), _spoken(row, "completion", "assistant")
        return _of_one(row, [*asked, *reply], "prompt", "completion")
    if {"response_0", "response_1"} <= columns:
        return _of_responses(row)
    for more, reply_column in (("input", "output"), ("context", "response")):
        if {"instruction", reply_column} <= columns:
            said = Message("assistant", row.text(reply_column))
            return _of_one(row, [*_instructed(row, more), said], more, "history")
    there = shortened(", ".join(sorted(columns)))
    raise row.mistake("columns", f"no known schema has {there}; one of chats has 'messages'")


def _has(row: Row, column: str) -> bool:
    return column in row.values and row.values[column] is not None


def _of_one(row: Row, chat: list[Message], *used: str) -> list[Example]:
    """Return the only reply of a row; its label says whether it is desirable."""
    refuse_others(row, (*used, *LABELS, *SYSTEM))
    return [_example(row, chat, desirable=desirable(row))]


def _with_sides(row: Row) -> Row:
    """Return a row of OpenAI's preferences with the columns of other pairs."""
    given = row.values["input"]
    if not isinstance(given, dict) or "messages" not in given:
        raise row.mistake("input", "must be an object with messages")
    asked = {"prompt" if key == "messages" else key: value for key, value in given.items()}
    others = {key: row.values[key] for key in row.values if key not in ("input", *PREFERENCE)}
    sides = zip(("chosen", "rejected"), (row.values[name] for name in PREFERENCE), strict=True)
    return row._replace(values={**others, **asked, **dict(sides)})


def _of_sides(row: Row) -> list[Example]:
    """Return the better and the worse reply; each side is a chat, or what follows a prompt."""
    refuse_others(row, ("chosen", "rejected", *_of_instruction(row), *SYSTEM))
    return _compared(
        row,
        *(
            _example(row, _side(row, which), desirable=which == "chosen", which=which)
            for which in ("chosen", "rejected")
        ),
    )


def _side(row: Row, which: str) -> list[Message]:
    before = _before(row)
    found = row.values[which]
    if isinstance(found, str) and (before is None or _is_transcript(found)):
        return _transcript(row, which, row.text(which))
    said = _spoken(row, which, "assistant")
    opening = next((message.role for message in said if message.role != "system"), "")
    if opening != "user":
        if before is None:
            raise row.mistake(which, "must be a whole chat, or follow a 'prompt'")
        return [*before, *said]
    asked = [message.content.strip() for message in said if message.role == "user"]
    if before and "prompt" in row.values and before[-1].content.strip() not in asked:
        raise row.mistake(which, "is a whole chat, in which nobody says what 'prompt' says")
    return said


def _before(row: Row) -> list[Message] | None:
    """Return the context of both sides; None where each has its own."""
    if _has(row, "prompt"):
        text = row.values["prompt"]
        if isinstance(text, str) and _is_transcript(text):
            return _transcript(row, "prompt", _AWAITED.sub("", text))
        return _spoken(row, "prompt", "user")
    chat = next((name for name in CHATS if _has(row, name)), "")
    if chat:
        messages = messages_of(row, chat)
        return messages[:-1] if messages and messages[-1].role == "assistant" else messages
    return _instructed(row, "input") if _of_instruction(row) else None


def _of_instruction(row: Row) -> tuple[str, ...]:
    """Return the columns of an instruction's context, where both sides follow one."""
    others = any(_has(row, name) for name in ("prompt", *CHATS))
    return ("input", "history") if _has(row, "instruction") and not others else ()


def _of_worse(row: Row, chat: str, worse: str) -> list[Example]:
    """Return the reply of a chat, and a worse one: text, a reply, or a whole chat."""
    refuse_others(row, (chat, worse, *SYSTEM))
    better = messages_of(row, chat)
    said = _spoken(row, worse, "assistant")
    whole = any(message.role == "user" for message in said)
    other = said if whole else [*better[:-1], *said]
    return _compared(
        row,
        _example(row, better, desirable=True, which="chosen"),
        _example(row, other, desirable=False, which="rejected"),
    )


def _of_responses(row: Row) -> list[Example]:
    refuse_others(row, SYSTEM)
    best = row.values.get("safer_response_id")
    if best not in (0, 1):
        raise row.mistake("safer_response_id", "must be 0 or 1")
    asked = Message("user", row.text("prompt"))
    return _compared(
        row,
        *(
            _example(
                row, [asked, Message("assistant", row.text(name))], desirable=n == best, which=name
            )
            for n, name in enumerate(("response_0", "response_1"))
        ),
    )


def _compared(row: Row, one: Example, other: Example) -> list[Example]:
    """Return two replies, of which one is better, so they must differ."""
    if (one.messages, one.reply.strip()) == (other.messages, other.reply.strip()):
        raise row.mistake("columns", "both replies of the pair are the same")
    return [one, other]


def _instructed(row: Row, more: str) -> list[Message]:
    """Return an instruction with its input, after the earlier turns of `history`."""
    context = row.optional(more) if more in row.values else ""
    asked = "\n\n".join(filter(None, (row.text("instruction"), context)))
    return [*_history(row), Message("user", asked)]


def _history(row: Row) -> list[Message]:
    turns = row.values.get("history")
    if is_empty(turns):
        return []
    if not isinstance(turns, list) or not all(_is_turn(turn) for turn in turns):
        raise row.mistake("history", "must be a list of pairs of texts: said, and replied")
    return [
        Message(role, text)
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(t, str) for t in turn)


def _spoken(row: Row, column: str, role: str) -> list[Message]:
    """Return a column's messages; a text is what `role` says."""
    if isinstance(row.values[column], list | dict):
        return messages_of(row, column)
    return [Message(role, row.text(column))]


def _is_transcript(text: str) -> bool:
    return bool(_TURN.match("\n\n" + text.lstrip()))


def _transcript(row: Row, column: str, text: str) -> list[Message]:
    before, *pieces = _TURN.split("\n\n" + text.lstrip())
    if before.strip():
        raise row.mistake(column, "must begin with 'Human: ' or 'Assistant: '")
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return [Message(_SPEAKERS[speaker], said.strip()) for speaker, said in pairs]


def _example(
    row: Row, chat: Sequence[Message], *, desirable: bool, which: str = "reply"
) -> Example:
    """Return the last message as a reply, and the rest as its context."""
    *context, reply = _opened(row, chat) or [Message("", "")]
    if reply.role != "assistant" or not reply.content.strip():
        raise row.mistake("messages", "a chat must end with what the assistant replied")
    if not context or context[-1].role != "user":
        raise row.mistake("messages", "what the assistant replied must follow what a user said")
    if any(said.role != "system" and not said.content.strip() for said in context):
        raise row.mistake("messages", "a message before the reply is empty")
    return Example(tuple(context), reply.content, desirable, FromFile(row.file, row.number, which))


def _opened(row: Row, chat: Sequence[Message]) -> list[Message]:
    """Put the row's system line before a chat that hasn't got it."""
    said = [(name, row.optional(name)) for name in SYSTEM if name in row.values]
    lines = {text: name for name, text in said if text.strip()}
    if not lines:
        return list(chat)
    if chat and chat[0].role == "system":
        lines.setdefault(chat[0].content, "messages")
    if len(lines) > 1:
        raise row.mistake(next(iter(lines.values())), "there are two different system lines")
    rest = chat[1:] if chat and chat[0].role == "system" else chat
    return [Message("system", next(iter(lines))), *rest]
