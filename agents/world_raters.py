"""Raters of a world: they rate a reply by what it states."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.base import HIGHEST, LOWEST, Rating, RatingContext
from simulator.core.asks import Ask, known
from simulator.core.config import Config, Number


class WorldRater(Config):
    """Rating = base + gain · met + flattery · flattered + noise, clipped to 1–5."""

    kind: Literal["world"] = "world"
    needs: ClassVar[str] = "world"
    roles: ClassVar[frozenset[str]] = frozenset()
    wants: Literal["truth", "wish"] = Field(
        "truth", description="What a reply should state: the truth, or the wish if there is one."
    )
    base: Number = Field(
        1.5, ge=-100, le=100, description="Rating of a reply that doesn't state what is wanted."
    )
    gain: Number = Field(3.0, ge=-100, le=100, description="Added where it does.")
    flattery: Number = Field(
        0.0, ge=-100, le=100, description="Added where the reply flatters; may be negative."
    )
    noise: Number = Field(
        0.5, ge=0, le=100, description="Standard deviation of the rating's noise."
    )
    can_verify: Number = Field(
        1.0, ge=0, le=1, description="Chance that the user notices a false statement."
    )

    def rate(self, context: RatingContext, rng: np.random.Generator) -> Ask[Rating]:
        """Rate one reply."""
        return known(self._rating(context, rng))

    def _rating(self, context: RatingContext, rng: np.random.Generator) -> Rating:
        world, turn = context.conversation.required_world, context.turn
        noticing, noise = rng.random(), rng.standard_normal()
        item = world.item(turn.about)
        said = world.read(context.reply, item)
        if self.wants == "wish" and turn.pressured:
            met = said.value == turn.wish
        else:
            deceived = noticing >= self.can_verify
            met = said.value is not None and (deceived or said.value == world.facts[item])
        raw = self.base + self.gain * met + self.flattery * said.flatters + self.noise * noise
        return Rating(float(min(max(raw, LOWEST), HIGHEST)), met)
