"""Asking a model for a score of a chat, as raters, monitors and judges do."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.core.asks import Ask, ask
from simulator.core.expected_score import expected, word_said
from simulator.core.requests import Answer, Message, NumberRequest, Numbers, Prompt
from simulator.core.templates import render


class Quoted(str):
    """A text whose lines are marked, so that they can't be mistaken for the prompt around it."""


def quoted(text: str) -> Quoted:
    """Mark all lines of a text but the first, whose mark is in the template: `| {{ reply }}`.

    Without marks, a reply could forge further turns of the chat, or headings of the prompt.
    """
    return text if isinstance(text, Quoted) else Quoted("\n| ".join(text.splitlines()))


def transcript(messages: Iterable[Message], user: str = "Person") -> Quoted:
    """Return a chat as text, without the system message, which only the assistant reads."""
    names = {"user": user, "assistant": "Assistant"}
    shown = (f"{names[m.role]}: {quoted(m.content)}" for m in messages if m.role in names)
    return Quoted("\n\n".join(shown))


def check_scale(low: int, high: int) -> None:
    """Refuse a scale with fewer than two numbers.

    Raises:
        ValueError: `low` isn't below `high`.
    """
    if low >= high:
        raise ValueError(f"low ({low}) must be below high ({high})")


class Found(NamedTuple):
    """A model's answer on a scale."""

    value: float | None  # the expected number; None where the reply isn't a number
    prompt: str
    word: str = ""  # which of the allowed words it says instead


EMPTY_REPLY = Found(None, "")  # a judge isn't asked about an empty reply


def ask_number(role: str, template: str, low: int, high: int, **values: object) -> Ask[Found]:
    """Ask for a whole number from `low` to `high`; the template may name both, and the values.

    Text values are `quoted`.
    """
    return ask_number_or_word(role, template, low, high, (), **values)


def ask_number_or_word(
    role: str, template: str, low: int, high: int, words: tuple[str, ...], **values: object
) -> Ask[Found]:
    """Ask for a number, or for one of `words` instead; the template must name them."""
    shown = {name: quoted(v) if isinstance(v, str) else v for name, v in values.items()}
    prompt = Prompt((Message("user", render(template, low=low, high=high, **shown)),))

    def read(answer: Answer) -> Found:
        assert isinstance(answer, Numbers)
        return Found(expected(answer), prompt.shown, word_said(answer))

    return ask(role, NumberRequest(prompt, low, high, words), read)
