"""Messages outside of Python: as rows of a table's cell, and as JSON."""

import json
from collections.abc import Iterable, Mapping

from simulator.core.requests import Message


def messages_to_rows(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Return messages as the rows of a cell: a role and a content each."""
    return [{"role": role, "content": content} for role, content in messages]


def messages_from_rows(rows: Iterable[Mapping[str, str]]) -> tuple[Message, ...]:
    """Return the messages of a cell."""
    return tuple(Message(row["role"], row["content"]) for row in rows)


def messages_to_json(messages: Iterable[Message]) -> str:
    """Return messages as JSON: a list of [role, content] pairs."""
    return json.dumps([list(message) for message in messages])


def messages_from_json(text: str) -> tuple[Message, ...]:
    """Return the messages from JSON."""
    return tuple(Message(role, content) for role, content in json.loads(text))
