"""Multiple-choice questions: items, requests, and which choice is the likeliest.

Every choice is scored as the assistant's reply to the bare question. As no choice is shown, their
order means nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from simulator.core.requests import Answer, ContinuationRequest, Message, Prompt, Request
from simulator.data.rows import Row, each
from simulator.probes.base import Score
from simulator.probes.data_probe import ShippedDataProbe

_ASKED = "{question}\n\nReply with the answer alone."


class ChoiceItem(NamedTuple):
    """A question with its choices."""

    name: str
    subject: str
    question: str
    choices: tuple[str, ...]
    answer: int  # index of the right choice, from 0

    def prompt(self, system: str = "") -> Prompt:
        """Return the prompt, without a thought, which a reasoning model's reply would begin with.

        Args:
            system: the system prompt; empty for none.
        """
        before = [Message("system", system)] if system else []
        asked = Message("user", _ASKED.format(question=self.question))
        return Prompt((*before, asked), thought=False)


def choice_items(rows: Sequence[Row]) -> list[ChoiceItem]:
    """Read the items, columns as in `cais/mmlu`; without `subject` it is the name of the file.

    Raises:
        ScenarioError: lists the mistakes, with file, row and column.
    """
    return [
        item._replace(name=f"{item.subject}/{number}")
        for number, item in enumerate(each(rows, _choice_item), 1)
    ]


def _choice_item(row: Row) -> ChoiceItem:
    subject = row.text("subject") if "subject" in row.values else row.part[1]
    return ChoiceItem(subject, subject, row.text("question"), *_choices(row))


def _choices(row: Row) -> tuple[tuple[str, ...], int]:
    """Return a row's choices, and which is right."""
    choices, answer = row.values.get("choices"), row.values.get("answer")
    if not isinstance(choices, list) or len(choices) < 2:
        raise row.mistake("choices", "must be a list of two texts or more (not in CSV)")
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise row.mistake("choices", "a choice is empty or no text")
    if type(answer) is not int or not 0 <= answer < len(choices):
        raise row.mistake("answer", "must be the place of the right choice, counted from 0")
    return tuple(choice.strip() for choice in choices), answer


class ChoiceProbe(ShippedDataProbe):
    """The base of probes that score every choice of every question."""

    shipped: ClassVar[Path] = Path(__file__).parent / "data" / "questions.jsonl"
    normalised: bool = Field(
        True, description="Divide a choice's log-probability by its length in characters?"
    )
    required_capabilities: ClassVar[frozenset[str]] = frozenset({"score_continuations"})

    def items(self, rows: Sequence[Row]) -> list[ChoiceItem]:
        """Return the items to ask about; raise as `choice_items` does."""
        return self.some_of_each(choice_items(rows), lambda item: item.subject)

    def scored(
        self, measure: str, item: ChoiceItem, prompt: Prompt, answers: Iterator[Answer]
    ) -> Score:
        """Return the row of an item; the value is 1 for the right choice, and shared among ties.

        Args:
            measure: of the row.
            item: the question.
            prompt: what was asked.
            answers: the next are those about the item's choices.
        """
        lengths = [len(choice) if self.normalised else 1 for choice in item.choices]
        scores = np.array([_logprob(next(answers)) for _ in item.choices]) / lengths
        chosen = np.flatnonzero(scores == scores.max())
        value = float(item.answer in chosen) / len(chosen)
        label = "tied" if len(chosen) > 1 else "right" if value else "wrong"
        reply = " / ".join(item.choices[i] for i in chosen)
        where = (measure, item.subject, item.name, item.name, 0)
        return Score(*where, label, value, prompt.shown, reply)


def of_choices(item: ChoiceItem, prompt: Prompt) -> list[Request]:
    """Return a request for each choice as the reply to a prompt."""
    return [ContinuationRequest(prompt, choice) for choice in item.choices]


def _logprob(answer: Answer) -> float:
    if not isinstance(answer, float):
        raise TypeError(f"expected a log-probability, got {type(answer).__name__}")
    return answer
