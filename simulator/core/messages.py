"""How messages are stored: JSON, a list of [role, content] pairs."""

import json
from collections.abc import Iterable

from simulator.core.requests import Message


def messages_to_json(messages: Iterable[Message]) -> str:
    """Return messages as they are stored in tables."""
    return json.dumps([list(message) for message in messages])


def messages_from_json(text: str) -> tuple[Message, ...]:
    """Return the messages that `messages_to_json` has written."""
    return tuple(Message(role, content) for role, content in json.loads(text))
