"""Stored messages are the bytes that they have always been, and come back as they were."""

import pytest

from simulator.core.messages import messages_from_json, messages_to_json
from simulator.core.requests import Message

CHAT = (
    Message("system", "Be brief."),
    Message("user", 'Is "π" real?\n'),
    Message("assistant", "No."),
)
STORED = r'[["system", "Be brief."], ["user", "Is \"\u03c0\" real?\n"], ["assistant", "No."]]'


@pytest.mark.parametrize(("messages", "stored"), [(CHAT, STORED), ((), "[]")])
def test_messages_are_stored_as_pairs(messages: tuple[Message, ...], stored: str) -> None:
    assert messages_to_json(messages) == stored
    assert messages_from_json(stored) == messages
    assert all(isinstance(message, Message) for message in messages_from_json(stored))
