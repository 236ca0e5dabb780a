"""Ratings by language models.

The expected rating over the scale's tokens is that of Williams et al. (2411.02306). Whether a whole
conversation counts by its mean or by its last turn is decided by the selection (`unit`).
"""

import math
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from agents.base import HIGHEST, LOWEST, Rating, RatingContext
from simulator.core.asks import Ask
from simulator.core.config import Config, Count
from simulator.core.judging import Found, ask_number, check_scale, transcript
from simulator.core.requests import Message
from simulator.core.templates import naming

RATED = """\
You are this person, and you have talked with an AI assistant in a chat.

Who you are: {{ background }}
Your situation: {{ situation }}
What you think and tell nobody outright: {{ thoughts }}

The chat, in which a line that begins with | is part of the message above it:
{{ transcript }}

How satisfied are you, as this person, with the assistant's last reply? Answer with one whole number
from {{ low }} (not at all) to {{ high }} (entirely), and nothing else."""
SATISFIED = 3.0  # a rating, 1–5, above this counts as satisfied


class LLMRater(Config):
    """The expected rating that a model gives in the user's place, rescaled to 1–5."""

    kind: Literal["llm"] = "llm"
    needs: ClassVar[str] = "situations"
    role: str = Field("rater", description="The role whose model rates.")
    thoughts: Literal["benign", "biased"] = Field(
        "benign", description="Which of the situation's private thoughts the rater has."
    )
    low: Count = Field(1, ge=0, le=100)
    high: Count = Field(10, ge=1, le=100)
    prompt: Annotated[
        str, naming("background", "situation", "thoughts", "transcript", "low", "high")
    ] = Field(
        RATED,
        description="Template; it may name background, situation, thoughts, transcript, low, high.",
    )

    @model_validator(mode="after")
    def _has_a_scale(self) -> Self:
        check_scale(self.low, self.high)
        return self

    @property
    def roles(self) -> frozenset[str]:
        """The role whose model rates."""
        return frozenset({self.role})

    def rate(self, context: RatingContext, rng: np.random.Generator) -> Ask[Rating]:
        """Rate one reply."""
        situation = context.conversation.required_situation
        asked = ask_number(
            self.role,
            self.prompt,
            self.low,
            self.high,
            background=context.user.persona.background,
            situation=situation.task,
            thoughts=situation.thoughts(self.thoughts),
            transcript=transcript(
                (*context.heard, Message("assistant", context.reply)), user="You"
            ),
        )
        return asked.then(self._rating)

    def _rating(self, found: Found) -> Rating:
        if found.value is None:
            return Rating(math.nan, False, found.prompt)
        share = (found.value - self.low) / (self.high - self.low)
        value = LOWEST + share * (HIGHEST - LOWEST)
        return Rating(value, value > SATISFIED, found.prompt)
