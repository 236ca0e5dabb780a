"""Who plays which role: the models that users, raters, monitors and judges ask.

A role that a scenario gives no model of its own is played by the assistant's base model, without
any adapter, on the assistant's server. Roles with the same model and settings share one engine.
The role "assistant" is the assistant as it is now: probes ask it what depends on its first answers.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from simulator.backends.base import AnyBackend, AutoConfig, Backend, answer, open_backend
from simulator.core.config import Settings
from simulator.core.requests import Answer, Ask, Generation, Request, joined
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from simulator.simulation.answer_cache import AnswerCache
from simulator.store.run import Run

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

T = TypeVar("T")
ROLES = ("user", "rater", "monitor", "judge")  # that a scenario needn't define
ASSISTANT = "assistant"  # the one role that no scenario gives a model
JUDGEMENTS = "judgements.sqlite"  # in the run directory
CACHED = ("monitor", "judge")  # what is asked of them doesn't depend on who asks, or when


class RoleConfig(Settings):
    """The model of a role."""

    model: str = Field(description="organism:N, a local path, a hub id, or an endpoint's name.")
    backend: AnyBackend = AutoConfig()


@dataclass
class Player:
    """The engine of a role, and what was asked of it."""

    name: str  # the model with its backend: who said it
    backend: Backend
    bare: bool  # does it share the assistant's engine, but without the adapter?
    cache: AnswerCache | None
    requests: int = 0
    tokens: int = 0  # written

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answers requests in order, and what was asked before from the cache."""
        if self.cache is None:
            return self._ask(requests)
        return self.cache.answer(self.name, requests, self._ask)

    def _ask(self, requests: Sequence[Request]) -> list[Answer]:
        if self.bare:
            with self.backend.without_adapter():
                found = answer(self.backend, requests)
        else:
            found = answer(self.backend, requests)
        self.requests += len(requests)
        replies = (reply for reply in found if isinstance(reply, Generation))
        self.tokens += sum(c.tokens for reply in replies for c in reply.completions)
        return found


class Cast:
    """The players of a run, by role."""

    def __init__(self, players: Mapping[str, Player], engines: Sequence[Backend]) -> None:
        self.players, self._engines = players, engines

    def ask(self, asks: Iterable[Ask[T]]) -> list[T]:
        """Answers what everybody wants to know, each role's requests as one batch."""
        whole = joined(asks)
        answers: dict[int, Answer] = {}
        roles = dict.fromkeys(asked.role for asked in whole.requests)
        for role in roles:
            theirs = [i for i, asked in enumerate(whole.requests) if asked.role == role]
            found = self.players[role].answer([whole.requests[i].request for i in theirs])
            answers.update(zip(theirs, found, strict=True))
        return whole.read([answers[i] for i in range(len(whole.requests))])

    def lap(self) -> dict[str, dict[str, int]]:
        """Returns what was asked of each role since the last lap: requests, and tokens written.

        The assistant isn't among them: this is but a part of what it is asked.
        """
        lap = {
            role: {"requests": player.requests, "tokens": player.tokens}
            for role, player in self.players.items()
            if role != ASSISTANT
        }
        for player in self.players.values():
            player.requests = player.tokens = 0
        return lap

    def close(self) -> None:
        """Frees the engines that aren't the assistant's."""
        for engine in self._engines:
            engine.close()


def as_it_is(model: str, assistant: Backend) -> Player:
    """Returns the assistant in its own role, with whatever adapter it has when it is asked."""
    return Player(model, assistant, bare=False, cache=None)


def hire(scenario: "Scenario", run: Run, assistant: Backend, stopwatch: Stopwatch) -> Cast:
    """Opens an engine for each model that the scenario's roles need.

    Args:
        scenario: names the roles' models, and who asks them.
        run: gets the servers' logs and the judgements.
        assistant: plays the roles without a model of their own, without an adapter.
        stopwatch: gets the time spent inside the models, and what endpoints cost.
    """
    engines: dict[RoleConfig, Backend] = {}
    players: dict[str, Player] = {}
    with contextlib.ExitStack() as opened:  # a server doesn't outlive another's failure to start
        for role in sorted(scenario.asked_roles):
            if role == ASSISTANT:
                players[role] = as_it_is(scenario.model, assistant)
                continue
            config = scenario.roles.get(role)
            cache = AnswerCache(run.path / JUDGEMENTS) if role in CACHED else None
            if config is None:
                players[role] = Player(scenario.model, assistant, bare=True, cache=cache)
                continue
            if config not in engines:
                log = run.path / f"server-{role}.log"
                model = resolve(config.model)
                engine = open_backend(config.backend, model, stopwatch, log=log)
                engines[config] = opened.enter_context(contextlib.closing(engine))
            name = f"{config.model} on {config.backend.kind}"
            players[role] = Player(name, engines[config], bare=False, cache=cache)
        opened.pop_all()
    return Cast(players, list(engines.values()))
