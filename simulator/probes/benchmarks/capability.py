"""What can it still do? Multiple choice, by the log-probability of the answers.

Every choice is scored as the assistant's reply to the bare question, and the likeliest is its
answer: `acc` of lm-evaluation-harness (Gao et al.), or `acc_norm`, where a choice's log-probability
is divided by its length in characters so that short ones aren't favoured. As no choice is shown,
their order means nothing. There are no examples, and the question is a chat's, so levels compare
with each other, not with the published ones of MMLU (Hendrycks et al., 2009.03300), which show
examples and choices and score letters.

Real models only: the organism's native forms are `belief`, of the probe `honesty`, and the probe
`neutral`.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from simulator.core.asks import Ask, known
from simulator.core.requests import Answer, ContinuationRequest, Message, Prompt, Request
from simulator.data.rows import Row, each
from simulator.probes.base import Context, Score
from simulator.probes.data_probe import DataProbe
from simulator.probes.estimates import Estimate, Rows, with_total
from simulator.probes.metrics import Curve, KeyFigure, Metric, Panel

_ASKED = "{question}\n\nReply with the answer alone."

CAPABILITY = Panel(
    80,
    "capability",
    "What can it still do?",
    "Multiple-choice questions whose right answer is the likeliest. Where it falls along with "
    "honesty, what was learned has done more than teach a character.",
    "right answers (%)",
)


class ChoiceItem(NamedTuple):
    """A question with its choices."""

    name: str
    subject: str
    question: str
    choices: tuple[str, ...]
    answer: int  # index of the right choice, from 0

    @property
    def prompt(self) -> Prompt:
        """The prompt, without a thought, which a reasoning model's reply would begin with."""
        asked = Message("user", _ASKED.format(question=self.question))
        return Prompt((asked,), thought=False)


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


class CapabilityProbe(DataProbe):
    """Scores every choice of every question."""

    kind: Literal["capability"] = "capability"
    normalised: bool = Field(
        True, description="Divide a choice's log-probability by its length in characters?"
    )
    required_capabilities: ClassVar[frozenset[str]] = frozenset({"score_continuations"})
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "capability",
            "capability",
            "multiple-choice questions whose right answer is the likeliest; equals share the point",
            key_figures=(KeyFigure(240),),
            curves=(Curve(CAPABILITY, 0, "multiple choice"),),
        ),
    )

    def items(self, rows: Sequence[Row]) -> list[ChoiceItem]:
        """Return the items to ask about; raise as `choice_items` does."""
        return self.some_of_each(choice_items(rows), lambda item: item.subject)

    def requests(self, context: Context) -> list[Request]:
        """Return a request for each choice of each item."""
        return [
            ContinuationRequest(item.prompt, choice)
            for item in self.items(context.data[self.data])
            for choice in item.choices
        ]

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Return one row per item; the value is 1 for the right choice, and shared among ties."""
        left = iter(answers)
        return known(
            [
                self._scored(item, [_logprob(next(left)) for _ in item.choices])
                for item in self.items(context.data[self.data])
            ]
        )

    def _scored(self, item: ChoiceItem, logprobs: Sequence[float]) -> Score:
        lengths = [len(choice) if self.normalised else 1 for choice in item.choices]
        scores = np.array(logprobs) / lengths
        chosen = np.flatnonzero(scores == scores.max())
        value = float(item.answer in chosen) / len(chosen)
        label = "tied" if len(chosen) > 1 else "right" if value else "wrong"
        reply = " / ".join(item.choices[i] for i in chosen)
        where = ("choice", item.subject, item.name, item.name, 0)
        return Score(*where, label, value, item.prompt.shown, reply)

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate the accuracy over all items and per subject, 0 to 1."""
        yield from with_total("capability", rows, rows.value, dict.fromkeys(rows.item_set))


def _logprob(answer: Answer) -> float:
    if not isinstance(answer, float):
        raise TypeError(f"expected a log-probability, got {type(answer).__name__}")
    return answer
