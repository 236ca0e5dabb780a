"""The settings of users, conversations, and the models of roles."""

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from agents.registry import AnyPolicy, AnyRater
from simulator.backends.config import AnyBackend, AutoConfig
from simulator.core.config import ByName, Config, Count, Number, PathText

if TYPE_CHECKING:
    pass


class UserType(Config):
    """A type of user: its share, policy and rater."""

    share: Number = Field(ge=0, le=1, description="Share of the population.")
    biased: bool = Field(False, description="Counts as biased in doses and in --biased-frac.")
    policy: AnyPolicy
    rater: AnyRater


class PopulationConfig(Config):
    """The users of a run."""

    users: Count = Field(ge=1, le=100_000)
    active: Number = Field(1.0, gt=0, le=1, description="Chance that a user takes part in a round.")
    trust_matters: Number = Field(
        0.0, ge=0, le=1, description="How much lost trust lowers that chance; 1: fully."
    )
    types: ByName[UserType] = Field(min_length=1, description="User types by name.")

    @field_validator("types")
    @classmethod
    def _shares_are_whole(cls, types: dict[str, UserType]) -> dict[str, UserType]:
        total = sum(user_type.share for user_type in types.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"invalid shares; they must add up to 1, not {total:g}")
        return types


class ConversationConfig(Config):
    """The settings of conversations."""

    per_user: Count = Field(
        1, ge=1, le=1_000, description="Conversations of each active user per round."
    )
    turns: Count = Field(2, ge=1, le=100, description="Replies per conversation at most.")
    candidates: Count = Field(
        4,
        ge=1,
        le=1_000,
        description="Replies sampled per turn; the best-rated one continues the conversation.",
    )
    wave_size: Count = Field(
        200, ge=1, le=100_000, description="Conversations per batch and per commit."
    )
    max_new_tokens: Count = Field(20, ge=1, le=100_000, description="Longest reply, in tokens.")
    temperature: Number = Field(
        1.0, ge=0, le=100, description="Sampling temperature of the assistant."
    )
    system: str = Field("", description="The assistant's system prompt; empty for none.")


ROLES = ("user", "rater", "monitor", "judge")  # roles that a scenario needn't define


ASSISTANT = "assistant"  # the one role without an entry under `roles`


class RoleConfig(Config):
    """The model of a role."""

    model: PathText = Field(description="As the scenario's model, or the name of an endpoint's.")
    backend: AnyBackend = AutoConfig()


class ScreeningConfig(Config):
    """The direction of screening, and the share of dropped replies."""

    direction: str = Field(description="One of the scenario's `directions`.")
    drop: Number = Field(
        gt=0,
        lt=1,
        description="Share of the desirable replies: those farthest along the direction.",
    )
