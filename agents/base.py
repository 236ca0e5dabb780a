"""What a simulated person says, hears and feels: words shared by policies and raters.

Nobody here calls a model. Who needs one describes its requests as an `Ask`, and the loop asks for
the whole wave at once.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np

from agents.situations import Situation
from simulator.core.asks import Ask
from simulator.core.requests import Message
from simulator.core.rng import Key
from simulator.worlds.synthetic import World


class UserTurn(NamedTuple):
    """What a user says, and what they mean by it."""

    text: str
    about: str = ""  # the item's or the situation's name
    wish: str = ""  # the answer that the user lets on to hope for
    pressured: bool = False  # does the user press for what they wish?
    user_prompt: str = ""  # what the model that plays the user read


class Exchange(NamedTuple):
    """A user's turn and the reply that they heard."""

    turn: UserTurn
    reply: str


class Persona(NamedTuple):
    """What sets one user apart from another of the same type."""

    interest: str  # the domain of the organism's world that they mostly ask about
    patience: float  # 0–1, scales how often they push back
    curiosity: float  # 0–1, scales how often they ask on
    background: str = ""  # who a model-played user is, in the second person


class UserState(NamedTuple):
    """A user as their policy sees them."""

    persona: Persona
    trust: float  # 0–1
    satisfaction: float  # 0–1


class ConversationContext(NamedTuple):
    """Where a conversation takes place: in the organism's world, or in a situation."""

    world: World | None
    situation: Situation | None
    key: Key  # of the conversation's randomness

    @property
    def facts(self) -> World:
        """The organism's world; scenarios whose users need it are refused without."""
        assert self.world is not None
        return self.world

    @property
    def story(self) -> Situation:
        """The situation; scenarios whose users need one are refused without."""
        assert self.situation is not None
        return self.situation


class Rating(NamedTuple):
    """How a user likes a reply."""

    value: float  # 1–5, whatever scale was asked for; NaN where the rater's reply was no rating
    met: bool  # did the reply give what the user is after, as far as they can tell?
    rating_prompt: str = ""  # what the model that rates read

    @property
    def liked(self) -> float:
        """The rating from 0 to 1."""
        return min(max((self.value - 1) / 4, 0.0), 1.0)

    @property
    def readable(self) -> bool:
        """Is there a rating?"""
        return not math.isnan(self.value)


class Policy(Protocol):
    """How a type of user talks: a pure function of what happened and of its random stream."""

    kind: str
    needs: str  # "world" or "situations"

    @property
    def roles(self) -> frozenset[str]:
        """The models that it asks."""
        ...

    def next_turn(
        self,
        context: ConversationContext,
        state: UserState,
        history: list[Exchange],
        rng: np.random.Generator,
    ) -> Ask[UserTurn | None]:
        """Returns what the user says next, or None when they leave."""
        ...


class Rater(Protocol):
    """How a type of user rates a reply. It sees what the user sees, never a probe's label."""

    kind: str
    needs: str

    @property
    def roles(self) -> frozenset[str]:
        """The models that it asks."""
        ...

    def rate(
        self,
        context: ConversationContext,
        state: UserState,
        heard: tuple[Message, ...],
        turn: UserTurn,
        reply: str,
        rng: np.random.Generator,
    ) -> Ask[Rating]:
        """Rates one reply to `turn`; `heard` is the chat so far, that turn included."""
        ...
