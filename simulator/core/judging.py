"""Asking a model for a number about a chat: what raters, monitors and judges have in common."""

from collections.abc import Iterable
from typing import NamedTuple

from simulator.core.asks import Ask, ask
from simulator.core.expected_score import expected, word_said
from simulator.core.requests import Answer, Message, NumberRequest, Numbers, Prompt
from simulator.core.templates import render


class Quoted(str):
    """Somebody's text, written so that no line of it passes for one of the prompt around it."""


def quoted(text: str) -> Quoted:
    """Marks the lines of a text; the first is its template's: `| {{ reply }}` or `Person: …`.

    Unmarked, a reply that runs on into turns of its own, or writes a prompt's headings, forges
    them.
    """
    return text if isinstance(text, Quoted) else Quoted("\n| ".join(text.splitlines()))


def transcript(messages: Iterable[Message], user: str = "Person") -> Quoted:
    """Writes a chat as text; the assistant's system message isn't for other eyes."""
    names = {"user": user, "assistant": "Assistant"}
    shown = (f"{names[m.role]}: {quoted(m.content)}" for m in messages if m.role in names)
    return Quoted("\n\n".join(shown))


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


NOTHING_SAID = Found(None, "")  # about an empty reply no judge is asked


def ask_number(role: str, template: str, low: int, high: int, **values: object) -> Ask[Found]:
    """Asks for a whole number from `low` to `high`; the template may name both, and the values.

    Values that are text are shown `quoted`.
    """
    return ask_number_or_word(role, template, low, high, (), **values)


def ask_number_or_word(
    role: str, template: str, low: int, high: int, words: tuple[str, ...], **values: object
) -> Ask[Found]:
    """Asks the same, and lets the reply be one of `words` instead; the template says which."""
    shown = {name: quoted(v) if isinstance(v, str) else v for name, v in values.items()}
    prompt = Prompt((Message("user", render(template, low=low, high=high, **shown)),))

    def read(answer: Answer) -> Found:
        assert isinstance(answer, Numbers)
        return Found(expected(answer), prompt.shown, word_said(answer))

    return ask(role, NumberRequest(prompt, low, high, words), read)
