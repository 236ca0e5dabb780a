"""Conversations in waves: turn t of a wave's conversations is one batch.

The messages and ratings of model-played users are batched in the same way.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from agents.base import (
    ConversationContext,
    Exchange,
    PolicyContext,
    Rating,
    RatingContext,
    UserTurn,
)
from agents.situations import Situation
from simulator.backends.base import Backend
from simulator.core.asks import Ask, joined
from simulator.core.messages import messages_to_rows
from simulator.core.progress import Progress, task_of
from simulator.core.requests import Generation, GenerationRequest, Message, Prompt
from simulator.core.rng import Key, stream
from simulator.simulation.config import ConversationConfig
from simulator.simulation.roles import Roles
from simulator.simulation.statements import with_statements
from simulator.worlds.base import World

if TYPE_CHECKING:
    from simulator.simulation.population import User  # loads mesa


class Candidate(NamedTuple):
    """A row of a conversations part: one sampled reply, rated by the user who asked.

    `simulator.simulation.statements` adds what is true, believed and stated.
    """

    round: int
    conversation: str
    wave: int
    number: int  # of the conversation in its wave
    adapter: str | None  # that replied; None: the base
    user: int
    user_type: str
    biased: bool
    turn: int
    candidate: int
    user_text: str
    about: str
    wish: str
    pressured: bool
    user_prompt: str  # of the model that plays the user; empty for rules
    messages: list[dict[str, str]]  # the context, a role and a content each
    prompt: str  # the context as the model read it
    reply: str
    tokens: int
    stop: str
    thought: str  # a reasoning model's, kept apart from the reply
    dropped: int  # number of oldest messages dropped to fit the model's context
    rating: float  # NaN where the rater's reply is unreadable
    met: bool
    rating_prompt: str
    heard: bool  # whether the conversation continued with this candidate


class Environment(NamedTuple):
    """The subject of a run's conversations: a world, or situations."""

    world: World | None
    situations: tuple[Situation, ...]

    def context(self, key: Key, round_number: int) -> ConversationContext:
        """Return the context of the conversation with this key in this round."""
        situation = None
        if self.situations:
            chosen = stream(*key, "situation").integers(len(self.situations))
            situation = self.situations[int(chosen)]
        return ConversationContext(self.world, situation, key, round_number)


class Place(NamedTuple):
    """The place of a conversation in a run; its fields are columns of its candidates."""

    round: int
    conversation: str  # the name
    wave: int
    number: int  # in the wave
    adapter: str | None  # that replies


class Conversation:
    """One conversation in progress."""

    def __init__(
        self, place: Place, context: ConversationContext, user: "User", system: str
    ) -> None:
        self.place, self.context, self.user = place, context, user
        self.messages = [Message("system", system)] if system else []
        self.history: list[Exchange] = []
        self.open_turn: UserTurn | None = None

    def next_turn(self) -> Ask[UserTurn | None]:
        """Ask what the user says next."""
        rng = stream(*self.context.key, len(self.history), "user")
        context = PolicyContext(self.context, self.user.state, self.history)
        return self.user.user_type.policy.next_turn(context, rng)

    def speak(self, turn: UserTurn | None) -> bool:
        """Add the user's message; return False when they leave instead."""
        self.open_turn = turn
        if turn is not None:
            self.messages.append(Message("user", turn.text))
        return turn is not None

    def request(self, config: ConversationConfig) -> GenerationRequest:
        """Return the request for the candidates of the open turn."""
        turn = len(self.history)
        keys = tuple((*self.context.key, turn, c, "reply") for c in range(config.candidates))
        prompt = Prompt(tuple(self.messages))
        return GenerationRequest(prompt, keys, config.max_new_tokens, config.temperature)

    def ratings(self, generation: Generation) -> Ask[list[Rating]]:
        """Ask how the user likes each candidate."""
        turn, rater, state = self.open_turn, self.user.user_type.rater, self.user.state
        assert turn is not None
        rng = stream(*self.context.key, len(self.history), "rating")
        heard = tuple(message for message in self.messages if message.role != "system")
        return joined(
            rater.rate(RatingContext(self.context, state, heard, turn, reply.text), rng)
            for reply in generation.completions
        )

    def hear(self, generation: Generation, ratings: Sequence[Rating]) -> list[Candidate]:
        """Continue with the best candidate: the first on a tie, or if no rating is readable."""
        assert self.open_turn is not None
        spoken, turn, user_type = self.open_turn, len(self.history), self.user.user_type
        replies = generation.completions
        values = [rating.value if rating.readable else -math.inf for rating in ratings]
        best = max(range(len(values)), key=lambda c: (values[c], -c))
        context = messages_to_rows(self.messages)
        self.messages.append(Message("assistant", replies[best].text))
        self.history.append(Exchange(spoken, replies[best].text))
        self.open_turn = None
        head = (*self.place, self.user.number, self.user.type_name, user_type.biased, turn)
        return [
            Candidate(
                *head,
                c,
                *spoken,
                context,
                generation.prompt,
                *replies[c],
                generation.dropped,
                *rating,
                c == best,
            )
            for c, rating in enumerate(ratings)
        ]


def hold_wave(
    users: "Sequence[User]",
    *,
    environment: Environment,
    backend: Backend,
    roles: Roles,
    config: ConversationConfig,
    key: Key,
    round_number: int,
    adapter: str | None = None,
    progress: Progress | None = None,
    to_come: int = 0,
) -> pd.DataFrame:
    """Hold one conversation with each user and return every candidate, rated; see `Candidate`.

    Args:
        users: one entry per conversation; a user may occur more than once.
        environment: what the conversations are about.
        backend: answers for the assistant.
        roles: answers for the models of users and raters.
        config: the scenario's `conversations` section.
        key: names the wave, and ends with its number; all randomness of its conversations derives
            from it.
        round_number: of the wave's round.
        adapter: the name of the adapter that replies; None for the base.
        progress: counts the replies.
        to_come: number of conversations in later waves of the round.
    """
    progress = progress or Progress()
    conversations = _begun(users, environment, config.system, key, round_number, adapter)
    rows: list[Candidate] = []
    for turn in range(config.turns):
        turns = roles.ask(conversation.next_turn() for conversation in conversations)
        replied = zip(conversations, turns, strict=True)
        conversations = [conversation for conversation, turn in replied if conversation.speak(turn)]
        requests = [conversation.request(config) for conversation in conversations]
        with progress.doing(task_of(requests, f"replies in turn {turn + 1}")):
            pairs = list(zip(conversations, backend.generate(requests), strict=True))
        rated = roles.ask(conversation.ratings(replies) for conversation, replies in pairs)
        for (conversation, replies), ratings in zip(pairs, rated, strict=True):
            rows += conversation.hear(replies, ratings)
        left = len(pairs) * (config.turns - 1 - turn) + to_come * config.turns
        progress.replan(len(pairs), left)
    flags = dict.fromkeys(("biased", "pressured", "met", "heard"), bool)
    table = pd.DataFrame(rows, columns=Candidate._fields).astype(flags)
    return with_statements(table, environment.world, backend)


def _begun(
    users: "Sequence[User]",
    environment: Environment,
    system: str,
    key: Key,
    round_number: int,
    adapter: str | None,
) -> list[Conversation]:
    """Begin a conversation with each user of a wave."""
    prefix, wave = "-".join(str(part) for part in key[-2:]), int(key[-1])
    return [
        Conversation(
            Place(round_number, f"{prefix}-{n:04d}", wave, n, adapter),
            environment.context((*key, n), round_number),
            user,
            system,
        )
        for n, user in enumerate(users)
    ]


def ratings_heard(candidates: pd.DataFrame) -> dict[int, list[Rating]]:
    """Return each user's ratings of the replies that they heard; keys are user numbers."""
    heard: dict[int, list[Rating]] = {}
    rows = candidates[candidates["heard"]]
    for user, value, met in zip(rows["user"], rows["rating"], rows["met"], strict=True):
        heard.setdefault(int(user), []).append(Rating(float(value), bool(met)))
    return heard
