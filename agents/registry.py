"""Every kind of user policy, rater and monitor that a scenario can name, and mixtures of raters."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.base import Rating, RatingContext
from agents.llm_monitors import BinaryMonitor, ConstitutionalMonitor, FivePointMonitor
from agents.llm_raters import SATISFIED, LLMRater
from agents.llm_users import BenignLLMUser, BiasedLLMUser
from agents.world_monitors import FactCheckMonitor
from agents.world_raters import WorldRater
from agents.world_users import BenignUser, BiasedUser
from simulator.core.asks import Ask, joined
from simulator.core.config import Config, Many, Number


class Part(Config):
    """One rater of a mixture."""

    weight: Number = Field(ge=-100, le=100)
    rater: "AnyRater"


class CompositeRater(Config):
    """The weighted sum of ratings, Σ wᵢ rᵢ; unreadable where any of them is."""

    kind: Literal["composite"] = "composite"
    needs: ClassVar[str] = ""
    parts: Many[Part] = Field(min_length=1)

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models its raters ask."""
        return frozenset().union(*(part.rater.roles for part in self.parts))

    def rate(self, context: RatingContext, rng: np.random.Generator) -> Ask[Rating]:
        """Rate one reply."""
        asked = (part.rater.rate(context, rng) for part in self.parts)
        return joined(asked).then(self._sum)

    def _sum(self, ratings: Sequence[Rating]) -> Rating:
        weighted = zip(self.parts, ratings, strict=True)
        value = sum(part.weight * rating.value for part, rating in weighted)
        prompts = "\n\n".join(filter(None, (rating.rating_prompt for rating in ratings)))
        return Rating(value, value > SATISFIED, prompts)


AnyPolicy = Annotated[
    BenignUser | BiasedUser | BenignLLMUser | BiasedLLMUser, Field(discriminator="kind")
]
AnyRater = Annotated[WorldRater | LLMRater | CompositeRater, Field(discriminator="kind")]
AnyMonitor = Annotated[
    BinaryMonitor | FivePointMonitor | ConstitutionalMonitor | FactCheckMonitor,
    Field(discriminator="kind"),
]
Part.model_rebuild()
CompositeRater.model_rebuild()
