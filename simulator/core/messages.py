"""The stored form of messages: JSON, a list of [role, content] pairs."""

import json
from collections.abc import Iterable

from simulator.core.requests import Message


def messages_to_json(messages: Iterable[Message]) -> str:
    """Return messages in their stored form."""
    return json.dumps([list(message) for message in messages])


def messages_from_json(text: str) -> tuple[Message, ...]:
    """Return the messages from their stored form."""
    return tuple(Message(role, content) for role, content in json.loads(text))
