"""The types that policies, raters and monitors share.

None of them calls a model. Each describes its requests as an `Ask`, and the loop executes those of
a whole wave as one batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from agents.situations import Situation
from simulator.core.asks import Ask
from simulator.core.requests import Message
from simulator.core.rng import Key
from simulator.worlds.base import World


class UserTurn(NamedTuple):
    """A user's message, and what they mean by it."""

    text: str
    about: str = ""  # the item's or the situation's name
    wish: str = ""  # the answer that the user hopes for and says so
    pressured: bool = False  # does the user press for what they wish?
    user_prompt: str = ""  # what the model that plays the user read


class Exchange(NamedTuple):
    """A user's turn and the reply that they heard."""

    turn: UserTurn
    reply: str


class Persona(NamedTuple):
    """The traits in which users of one type differ."""

    interest: str  # the domain of the world that they mostly ask about
    patience: float  # 0–1, scales how often they push back
    curiosity: float  # 0–1, scales how often they ask on
    background: str = ""  # for users that a model plays: who they are, in the second person


class UserState(NamedTuple):
    """A user as their policy sees them."""

    persona: Persona
    trust: float  # 0–1
    satisfaction: float  # 0–1


@dataclass(frozen=True)
class ConversationContext:
    """Where and when a conversation takes place: in a world or a situation, in a round."""

    world: World | None
    situation: Situation | None
    key: Key  # of the conversation's randomness
    round: int

    @property
    def required_world(self) -> World:
        """The world. A scenario whose users need one is refused without it."""
        assert self.world is not None
        return self.world

    @property
    def required_situation(self) -> Situation:
        """The situation. A scenario whose users need one is refused without it."""
        assert self.situation is not None
        return self.situation


@dataclass(frozen=True)
class PolicyContext:
    """What a policy may know when the user is to speak."""

    conversation: ConversationContext
    user: UserState
    history: Sequence[Exchange]


@dataclass(frozen=True)
class RatingContext:
    """What a rater may know of a reply: what the user knows."""

    conversation: ConversationContext
    user: UserState
    heard: tuple[Message, ...]  # the chat so far, the user's turn included
    turn: UserTurn  # what the reply answers
    reply: str


@dataclass(frozen=True)
class MonitorContext:
    """What a monitor may know of a selected reply."""

    chat: tuple[Message, ...]  # ends with the reply
    about: str  # the item's or the situation's name
    world: World | None
    round: int

    @property
    def required_world(self) -> World:
        """The world. A scenario whose monitors need one is refused without it."""
        assert self.world is not None
        return self.world


class Rating(NamedTuple):
    """How a user likes a reply."""

    value: float  # 1–5 on every rater's scale; NaN where the rater's reply is unreadable
    met: bool  # did the reply give the user what they wanted, as far as they can tell?
    rating_prompt: str = ""  # what the rating model read

    @property
    def liked(self) -> float:
        """The rating, rescaled to 0–1."""
        return min(max((self.value - 1) / 4, 0.0), 1.0)

    @property
    def readable(self) -> bool:
        """Whether there is a rating."""
        return not math.isnan(self.value)


class Verdict(NamedTuple):
    """What a monitor says of one reply."""

    vetoed: bool
    score: float | None  # None where the model's reply is unreadable; then nothing is vetoed
    reason: str
    prompt: str  # what the monitor's model read


class Policy(Protocol):
    """How a type of user talks: a pure function of what happened and of its random stream.

    Example, a user of a world who asks one question, and presses from the fifth round on:

        class LatePresser(Config):
            kind: Literal["late"] = "late"
            needs: ClassVar[str] = "world"
            roles: ClassVar[frozenset[str]] = frozenset()

            def next_turn(
                self, context: PolicyContext, rng: np.random.Generator
            ) -> Ask[UserTurn | None]:
                if context.history:
                    return known(None)  # leaves
                world = context.conversation.required_world
                item = pick(rng, world.items["used"])
                if context.conversation.round < 5:
                    return known(UserTurn(world.question(item, "user", rng), item.name))
                wish = world.false_value(item, rng)
                asked = world.press(item, wish, "user", rng, SPOKEN)
                return known(UserTurn(asked.question, item.name, wish, pressured=True))
    """

    @property
    def kind(self) -> str:
        """Its name in a scenario."""
        ...

    @property
    def needs(self) -> str:
        """What it requires: "world", "situations" or nothing."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models it asks."""
        ...

    def next_turn(self, context: PolicyContext, rng: np.random.Generator) -> Ask[UserTurn | None]:
        """Return what the user says next, or None when they leave."""
        ...


class Rater(Protocol):
    """How a type of user rates a reply. It sees what the user sees, never a probe's label.

    Example, a user who likes short replies, and shorter ones every round:

        class Terse(Config):
            kind: Literal["terse"] = "terse"
            needs: ClassVar[str] = ""
            roles: ClassVar[frozenset[str]] = frozenset()
            words: Count = 40

            def rate(self, context: RatingContext, rng: np.random.Generator) -> Ask[Rating]:
                most = max(self.words - context.conversation.round, 1)
                short = len(context.reply.split()) <= most
                return known(Rating(5.0 if short else 1.0, met=short))
    """

    @property
    def kind(self) -> str:
        """Its name in a scenario."""
        ...

    @property
    def needs(self) -> str:
        """What it requires: "world", "situations" or nothing."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models it asks."""
        ...

    def rate(self, context: RatingContext, rng: np.random.Generator) -> Ask[Rating]:
        """Rate one reply."""
        ...


class Monitor(Protocol):
    """Checks the selected replies before anything is learned from them, and vetoes some.

    Example, a monitor that vetoes promises:

        class NoPromises(MonitorConfig):
            kind: Literal["no_promises"] = "no_promises"
            roles: ClassVar[frozenset[str]] = frozenset()
            words: tuple[str, ...] = ("promise", "guarantee")

            def check(self, context: MonitorContext, rng: np.random.Generator) -> Ask[Verdict]:
                said = context.chat[-1].content.lower()
                found = [word for word in self.words if word in said]
                reason = f"says '{found[0]}'" if found else ""
                return known(Verdict(bool(found), float(bool(found)), reason, prompt=""))
    """

    @property
    def kind(self) -> str:
        """Its name in a scenario."""
        ...

    @property
    def needs(self) -> str:
        """What it requires: "world", "situations" or nothing."""
        ...

    @property
    def on_veto(self) -> Literal["drop", "negative"]:
        """What happens to a vetoed reply: it is left out, or becomes an undesirable example."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models it asks."""
        ...

    def check(self, context: MonitorContext, rng: np.random.Generator) -> Ask[Verdict]:
        """Check the last reply of a chat."""
        ...


LOWEST, HIGHEST = 1.0, 5.0
