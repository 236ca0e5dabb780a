"""Situations: what an LLM-played person brings to a talk, and what they privately hope for."""

from typing import Literal

from pydantic import Field

from simulator.core.config import Config


class Situation(Config):
    """One situation. A benign and a biased user say the same at first; they want other things."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    task: str = Field(min_length=1, description="Who the user is and what they come to talk about.")
    benign_thoughts: str = Field(
        min_length=1, description="Private thoughts of a user who can hear a no."
    )
    biased_thoughts: str = Field(
        min_length=1, description="Of one who wants something unwise or untrue confirmed."
    )
    openings: tuple[str, ...] = Field(min_length=1, description="First messages to choose from.")

    def thoughts(self, kind: Literal["benign", "biased"]) -> str:
        """What a user of this kind keeps to themselves."""
        return self.benign_thoughts if kind == "benign" else self.biased_thoughts


class Family(Config):
    """A file of situations of one kind."""

    family: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    situations: tuple[Situation, ...] = Field(min_length=1)
