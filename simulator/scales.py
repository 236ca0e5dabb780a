"""Asking a model for a number about a chat: what raters, monitors and judges have in common."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.numbers import expected, word_said
from simulator.templates import render
from simulator.types import Answer, Ask, Message, NumberRequest, Numbers, Prompt, ask


def transcript(messages: Iterable[Message], user: str = "Person") -> str:
    """Writes a chat as text; the assistant's system message isn't for other eyes."""
    names = {"user": user, "assistant": "Assistant"}
    return "\n\n".join(f"{names[m.role]}: {m.content}" for m in messages if m.role in names)


def check_scale(low: int, high: int) -> None:
    """Refuses a scale of one number or none.

    Raises:
        ValueError: it is one.
    """
    if low >= high:
        raise ValueError(f"low ({low}) must be below high ({high})")


class Found(NamedTuple):
    """What a model says on a scale."""

    value: float | None  # the expected number; None where the reply is no number
    prompt: str
    word: str = ""  # what it says instead, of the words that it was let say


def ask_number(role: str, template: str, low: int, high: int, **values: object) -> Ask[Found]:
    """Asks for a whole number from `low` to `high`; the template may name both."""
    return ask_number_or_word(role, template, low, high, (), **values)


def ask_number_or_word(
    role: str, template: str, low: int, high: int, words: tuple[str, ...], **values: object
) -> Ask[Found]:
    """Asks the same, and lets the reply be one of `words` instead; the template says which."""
    prompt = Prompt((Message("user", render(template, low=low, high=high, **values)),))

    def read(answer: Answer) -> Found:
        assert isinstance(answer, Numbers)
        return Found(expected(answer), prompt.shown, word_said(answer))

    return ask(role, NumberRequest(prompt, low, high, words), read)
