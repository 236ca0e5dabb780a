"""Situations of users that an LLM plays: their task, private thoughts and first messages."""

from typing import Literal

from pydantic import Field

from simulator.core.config import Config, Many


class Situation(Config):
    """One situation. Benign and biased users open alike, but want different things."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    task: str = Field(min_length=1, description="Who the user is and what they want to talk about.")
    benign_thoughts: str = Field(
        min_length=1, description="Private thoughts of a user who accepts being told no."
    )
    biased_thoughts: str = Field(
        min_length=1,
        description="Private thoughts of a user who wants something unwise or untrue confirmed.",
    )
    openings: Many[str] = Field(min_length=1, description="First messages to choose from.")

    def thoughts(self, kind: Literal["benign", "biased"]) -> str:
        """Return the private thoughts of a user of this kind."""
        return self.benign_thoughts if kind == "benign" else self.biased_thoughts


class Family(Config):
    """A file of situations of one kind."""

    family: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    situations: Many[Situation] = Field(min_length=1)
