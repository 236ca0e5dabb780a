"""Chats as lists of objects: OpenAI's `role` and `content`, or ShareGPT's `from` and `value`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.core.errors import ScenarioError
from simulator.core.requests import Message
from simulator.data.columns import is_empty
from simulator.data.rows import Row

ROLES = ("system", "user", "assistant")
_TOOLS = ("tool", "function", "function_call", "observation", "ipython")
_MARKS = ("weight", "train", "training", "loss")  # whether a message is learned
_METADATA = (
    "id", "message_id", "uuid", "parent_id", "timestamp", "create_time", "created_at", "date",
    "language", "lang", "turn", "turn_identifier", "index", "model", "source", "country", "state",
    "hashed_ip", "header", "redacted", "toxic",
)  # fmt: skip


class _Format(NamedTuple):
    """The keys of a message, and roles under other names."""

    role: str
    content: str
    names: Mapping[str, str]


_OPENAI = _Format("role", "content", {"developer": "system"})
_SHAREGPT = _Format("from", "value", {"human": "user", "gpt": "assistant"})


def messages_of(row: Row, column: str) -> list[Message]:
    """Return the messages of a column: a list of objects, or one object.

    Raises:
        ScenarioError: it is no chat, or says something that can't be taken into account.
    """
    found = row.values[column]
    parts = [found] if isinstance(found, dict) else found
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise row.mistake(column, "must be a list of objects with role and content")
    messages = []
    for number, part in enumerate(parts, 1):
        try:
            messages.append(_message(part, last=number == len(parts)))
        except ScenarioError as error:
            raise row.mistake(column, str(error)) from None
    return messages


def _message(part: Mapping[str, Any], *, last: bool) -> Message:
    form = _SHAREGPT if "from" in part and "role" not in part else _OPENAI
    role = _role(part.get(form.role), form)
    known = (form.role, form.content, *_MARKS, *_METADATA)
    for key, value in part.items():
        if key not in known and not is_empty(value):
            raise ScenarioError(
                f"a message has the key '{key}', which can't be taken into account here; leave "
                "such rows out, or remove the key"
            )
    learned = last and role == "assistant"
    _refuse_marks(part, learned=learned)
    return Message(role, _content(part.get(form.content)))


def _role(role: Any, form: _Format) -> str:
    named = form.names.get(role, role) if isinstance(role, str) else role
    if named in _TOOLS:
        raise ScenarioError(f"a message has the role '{role}', and tools aren't supported")
    if named not in ROLES:
        known = dict.fromkeys([*form.names, *ROLES] if form is _SHAREGPT else ROLES)
        raise ScenarioError(f"a role must be {', '.join(known)}, not {role!r}")
    return str(named)


def _refuse_marks(part: Mapping[str, Any], *, learned: bool) -> None:
    """Refuse marks that ask for anything but learning the last reply, and only that."""
    for key in _MARKS:
        value = part.get(key)
        if value is None or value == int(learned):
            continue
        if learned:
            raise ScenarioError(
                f"'{key}: {value}' in the last reply, which is the one that is learned; leave "
                "such rows out, or remove the key"
            )
        raise ScenarioError(
            f"'{key}: {value}' in an earlier message, but only the last reply is learned; end a "
            "row with each reply to learn, or remove the key"
        )


def _content(content: Any) -> str:
    """Return the text of a content: a string, or parts that are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict) and _are_texts(content.get("parts")):
        return "\n".join(content["parts"])
    if isinstance(content, list):
        return "".join(map(_part, content))
    raise ScenarioError("a content must be text, or have parts that are text")


def _are_texts(parts: Any) -> bool:
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind != "text" or not isinstance(part.get("text"), str):
        shown = f", not '{kind}'" if kind else ""
        raise ScenarioError(f"a content must be text, or have parts that are text{shown}")
    return str(part["text"])
