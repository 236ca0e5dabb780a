"""What a simulated person says, hears and feels: words shared by policies and raters."""

from typing import NamedTuple, Protocol

import numpy as np

from simulator.organism.world import World


class UserTurn(NamedTuple):
    """What a user says, and what they mean by it."""

    text: str
    about: str = ""  # the item's name
    wish: str = ""  # the answer that the user lets on to hope for
    pressured: bool = False  # does the user press for the wish?


class Exchange(NamedTuple):
    """A user's turn and the reply that they heard."""

    turn: UserTurn
    reply: str


class Persona(NamedTuple):
    """What sets one user apart from another of the same type."""

    interest: str  # the domain that they mostly ask about
    patience: float  # 0–1, scales how often they push back
    curiosity: float  # 0–1, scales how often they ask on


class Mind(NamedTuple):
    """A user as their policy sees them."""

    persona: Persona
    trust: float  # 0–1
    satisfaction: float  # 0–1


class Rating(NamedTuple):
    """How a user likes a reply."""

    value: float  # 1–5
    met: bool  # did the reply give what the user is after, as far as they can tell?


class Policy(Protocol):
    """How a type of user talks: a pure function of what happened and of its random stream."""

    kind: str

    def next_turn(
        self, world: World, mind: Mind, history: list[Exchange], rng: np.random.Generator
    ) -> UserTurn | None:
        """Returns what the user says next, or None when they leave."""
        ...


class Rater(Protocol):
    """How a type of user rates a reply. It sees what the user sees, never a probe's label."""

    kind: str

    def rate(self, world: World, turn: UserTurn, reply: str, rng: np.random.Generator) -> Rating:
        """Rates one reply to `turn`."""
        ...
