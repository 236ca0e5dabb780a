"""Conversations in waves: turn t of a wave's conversations is one batch."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from pydantic import Field

from agents.base import Exchange, Rating, UserTurn
from simulator.backends.base import Backend
from simulator.organism.world import World
from simulator.population import User
from simulator.randomness import Key, stream
from simulator.settings import Count, Number, Settings
from simulator.types import Generation, GenerationRequest, Message, Prompt


class ConversationConfig(Settings):
    """How users and assistant talk."""

    per_user: Count = Field(1, ge=1, description="Conversations of each active user per round.")
    turns: Count = Field(2, ge=1, description="Replies per conversation at most.")
    candidates: Count = Field(
        4, ge=1, description="Replies sampled per turn; the user's best one goes on."
    )
    wave_size: Count = Field(200, ge=1, description="Conversations per batch and per commit.")
    max_new_tokens: Count = Field(20, ge=1, description="Longest reply, in tokens.")
    temperature: Number = Field(1.0, ge=0, description="Sampling temperature of the assistant.")
    system: str = Field("", description="The assistant's system prompt; empty for none.")


class Candidate(NamedTuple):
    """A row of a conversations part: one sampled reply, rated by the user who asked."""

    conversation: str
    user: int
    user_type: str
    biased: bool
    turn: int
    candidate: int
    user_text: str
    about: str
    wish: str
    pressured: bool
    messages: str  # the context as JSON
    prompt: str  # the context as the model read it
    reply: str
    tokens: int
    stop: str
    rating: float
    met: bool
    heard: bool  # did the conversation go on with this candidate?


class Conversation:
    """One conversation in progress."""

    def __init__(self, name: str, key: Key, user: User, system: str) -> None:
        self.name, self.key, self.user = name, key, user
        self.messages = [Message("system", system)] if system else []
        self.history: list[Exchange] = []
        self.open_turn: UserTurn | None = None

    def advance(self, world: World) -> bool:
        """Lets the user speak; returns False when they leave instead."""
        rng = stream(*self.key, len(self.history), "user")
        policy = self.user.user_type.policy
        self.open_turn = policy.next_turn(world, self.user.mind, self.history, rng)
        if self.open_turn is not None:
            self.messages.append(Message("user", self.open_turn.text))
        return self.open_turn is not None

    def request(self, config: ConversationConfig) -> GenerationRequest:
        """Asks for the candidates of the open turn."""
        turn = len(self.history)
        keys = tuple((*self.key, turn, c, "reply") for c in range(config.candidates))
        prompt = Prompt(tuple(self.messages))
        return GenerationRequest(prompt, keys, config.max_new_tokens, config.temperature)

    def hear(self, world: World, generation: Generation) -> list[Candidate]:
        """Rates the candidates, goes on with the best one (the first on a tie)."""
        assert self.open_turn is not None
        spoken, turn, user_type = self.open_turn, len(self.history), self.user.user_type
        replies = generation.completions
        rng = stream(*self.key, turn, "rating")
        ratings = [user_type.rater.rate(world, spoken, reply.text, rng) for reply in replies]
        best = max(range(len(ratings)), key=lambda c: (ratings[c].value, -c))
        context = json.dumps([list(message) for message in self.messages])
        self.messages.append(Message("assistant", replies[best].text))
        self.history.append(Exchange(spoken, replies[best].text))
        self.open_turn = None
        head = (self.name, self.user.number, self.user.type_name, user_type.biased, turn)
        return [
            Candidate(
                *head, c, *spoken, context, generation.prompt, *replies[c], *rating, c == best
            )
            for c, rating in enumerate(ratings)
        ]


def hold_wave(
    users: Sequence[User],
    *,
    world: World,
    backend: Backend,
    config: ConversationConfig,
    key: Key,
) -> pd.DataFrame:
    """Holds one conversation with each user and returns every candidate, rated; see `Candidate`.

    Args:
        users: one entry per conversation; a user may occur more than once.
        world: what the conversations are about.
        backend: answers for the assistant.
        config: the scenario's `conversations` section.
        key: names the wave; all randomness of its conversations derives from it.
    """
    prefix = "-".join(str(part) for part in key[-2:])
    talks = [
        Conversation(f"{prefix}-{n:04d}", (*key, n), user, config.system)
        for n, user in enumerate(users)
    ]
    rows: list[Candidate] = []
    for _ in range(config.turns):
        talks = [talk for talk in talks if talk.advance(world)]
        answers = backend.generate([talk.request(config) for talk in talks])
        for talk, generation in zip(talks, answers, strict=True):
            rows += talk.hear(world, generation)
    flags = dict.fromkeys(("biased", "pressured", "met", "heard"), bool)
    return pd.DataFrame(rows, columns=Candidate._fields).astype(flags)


def ratings_heard(candidates: pd.DataFrame) -> dict[int, list[Rating]]:
    """Returns what each user of a wave heard, as they rated it; keys are user numbers."""
    heard: dict[int, list[Rating]] = {}
    rows = candidates[candidates["heard"]]
    for user, value, met in zip(rows["user"], rows["rating"], rows["met"], strict=True):
        heard.setdefault(int(user), []).append(Rating(float(value), bool(met)))
    return heard
