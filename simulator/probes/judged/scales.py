"""Replies to set prompts, judged by a model on scales: for assistants that no world of ours knows.

The expected number over the judge's scale, read off its probabilities, and left out where too
little of them is a number, is the judge of Betley et al. (2502.17424).

Real models only: the organism's native forms are the probes `neutral` and `small_talk`.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from simulator.core.answers import replies_of
from simulator.core.asks import Ask, joined, known
from simulator.core.config import MOST_ITEMS, ByName, Config, Count, Many, Number
from simulator.core.judging import EMPTY_REPLY, Found, ask_number, check_scale
from simulator.core.requests import Answer, GenerationRequest, Message, Prompt, Request
from simulator.core.templates import naming
from simulator.probes.base import Context, Score
from simulator.probes.config import ProbeConfig
from simulator.probes.estimates import Estimate, Rows, estimate
from simulator.probes.items import sample_keys
from simulator.probes.metrics import OPINION, KeyFigure, Metric

UNREAD = "unread"
JUDGED = Metric(
    "judged_{scale}",
    "{scale_in_words} as judged",
    "mean of the numbers that a model, the judge, gives to replies to set prompts: its opinion; "
    "replies without a readable number are left out",
    OPINION,  # the scenario says on which scale
    key_figures=(KeyFigure(1000),),
    group="judged",
)
UNREADABLE = Metric(
    "unread_{scale}",
    "unreadable judgements of {scale_in_words}",
    "replies that the judge gave no number on the scale for, or was too unsure of one",
    key_figures=(KeyFigure(1010, if_any=True),),
    group="unread",
)


class JudgedPrompt(Config):
    """A prompt to the assistant."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    topic: str = Field(description="Prompts of one topic aren't independent of each other.")
    text: str


def _named_once(prompts: tuple[JudgedPrompt, ...]) -> tuple[JudgedPrompt, ...]:
    """Refuse two prompts with one name, whose replies couldn't be distinguished."""
    names = [prompt.name for prompt in prompts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"has these names twice: {', '.join(twice)}")
    return prompts


UnlikePrompts: TypeAlias = Annotated[Many[JudgedPrompt], AfterValidator(_named_once)]


class Scale(Config):
    """A question to the judge about a reply."""

    question: Annotated[str, naming("prompt", "reply", "low", "high")] = Field(
        description="Template; it may name prompt, reply, low and high."
    )
    low: Count = Field(0, ge=0, le=100)
    high: Count = Field(100, ge=1, le=100)

    @model_validator(mode="after")
    def _has_a_scale(self) -> Self:
        check_scale(self.low, self.high)
        return self


class Asked(NamedTuple):
    """A prompt, and the scales that its replies are judged on."""

    draws: str  # what is asked of one item under one such name is answered by the same draws
    item_set: str
    item: str
    topic: str
    text: str  # what the judge is shown of the prompt
    prompt: Prompt
    scales: Mapping[str, Scale]  # by what they measure


def check_judged(prompts: int, samples: int, scales: int) -> None:
    """Refuse more judgements of one measurement than can be held together.

    Raises:
        ValueError: says how many there would be.
    """
    count = prompts * samples * scales
    if count > MOST_ITEMS:
        raise ValueError(
            f"would be {count:,} judgements a measurement ({prompts} prompts × {samples} samples × "
            f"{scales} scales); at most {MOST_ITEMS:,}"
        )


class JudgedReplies(ProbeConfig):
    """The base of probes whose replies a model judges on scales."""

    kind: str
    role: str = Field("judge", description="The role whose model judges.")
    samples: Count = Field(4, ge=1, le=1_000, description="Replies per prompt.")
    max_new_tokens: Count = Field(256, ge=1, le=100_000)
    temperature: Number = Field(1.0, ge=0, le=100)

    @abstractmethod
    def asked(self, context: Context) -> Iterator[Asked]:
        """Yield the prompts."""

    @property
    def roles(self) -> frozenset[str]:
        """The role whose model judges."""
        return frozenset({self.role})

    def requests(self, context: Context) -> list[Request]:
        """Return one request per prompt, for all its samples."""
        return [
            GenerationRequest(
                asked.prompt,
                sample_keys(context, asked.draws, asked.item, self.samples),
                self.max_new_tokens,
                self.temperature,
            )
            for asked in self.asked(context)
        ]

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Return one row per reply and scale; the value is the judge's expected number."""
        return joined(
            self._judged(asked, sample, reply, name, scale)
            for asked, answer in zip(self.asked(context), answers, strict=True)
            for sample, reply in enumerate(replies_of(answer))
            for name, scale in asked.scales.items()
        )

    def _judged(self, asked: Asked, sample: int, reply: str, name: str, scale: Scale) -> Ask[Score]:
        head = (name, asked.item_set, asked.item, asked.topic, sample)

        def read(found: Found) -> Score:
            value = math.nan if found.value is None else found.value
            label = UNREAD if found.value is None else f"{found.value:.0f}"
            return Score(*head, label, value, asked.prompt.shown, reply)

        if not reply:  # its thought ran out of tokens; a judge would call nothing harmless
            return known(EMPTY_REPLY).then(read)
        question = (self.role, scale.question, scale.low, scale.high)
        return ask_number(*question, prompt=asked.text, reply=reply).then(read)


class JudgedPrompts(JudgedReplies):
    """Asks set prompts, and has every reply judged on every scale."""

    prompts: UnlikePrompts = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        check_judged(len(self.prompts), self.samples, len(self.judged_on()))
        return self

    @abstractmethod
    def judged_on(self) -> Mapping[str, Scale]:
        """Return the scales by name."""

    def asked(self, context: Context) -> Iterator[Asked]:
        """Yield every prompt."""
        for name, topic, text in ((p.name, p.topic, p.text) for p in self.prompts):
            prompt = Prompt((Message("user", text),))
            yield Asked(self.kind, "", name, topic, text, prompt, self.judged_on())


class JudgedProbe(JudgedPrompts):
    """Asks every prompt `samples` times and has every reply judged on the scenario's scales.

    A scale from 0 to 100 whose question names a trait is the trait expression score (TES) of Su et
    al. (2601.23081): the judge's integers weighted by their probabilities, left out where less than
    .25 of its probability is one.
    """

    kind: Literal["judged"] = "judged"
    scales: ByName[Scale] = Field(min_length=1, description="Scales by name.")
    metrics: ClassVar[tuple[Metric, ...]] = (JUDGED, UNREADABLE)

    @property
    def measures(self) -> tuple[str, ...]:
        """The scales that replies are judged on."""
        return tuple(f"{self.kind} {scale}" for scale in self.scales)

    def judged_on(self) -> Mapping[str, Scale]:
        """Return the scenario's scales."""
        return self.scales

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate each scale's mean of readable judgements, and the share of unreadable ones."""
        for name, scale in self.scales.items():
            asked = rows.measured(name)
            unread = asked.label == UNREAD
            read = asked.where(~unread)
            bounds = (float(scale.low), float(scale.high))
            yield estimate(JUDGED.stored(scale=name), "", read.value, read.cluster, bounds)
            yield estimate(UNREADABLE.stored(scale=name), "", unread, asked.cluster)
