"""Messages come back as they were from JSON, whose bytes never change, and from tables."""

import pytest

from simulator.core.messages import (
    messages_from_json,
    messages_from_rows,
    messages_to_json,
    messages_to_rows,
)
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


def test_messages_are_rows_of_a_cell() -> None:
    rows = messages_to_rows(CHAT[2:])
    assert rows == [{"role": "assistant", "content": "No."}]
    assert messages_from_rows(messages_to_rows(CHAT)) == CHAT
    assert messages_from_rows([]) == ()
