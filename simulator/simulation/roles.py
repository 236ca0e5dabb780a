"""Who plays which role: the models that users, raters, monitors and judges ask.

A role that a scenario gives no model of its own is played by the assistant's base model, without
any adapter, on the assistant's server. Roles with the same model and settings share one engine.
The role "assistant" is the assistant as it is now: probes ask it what depends on its first answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.asks import Ask, joined
from simulator.core.requests import Answer, Generation, Request
from simulator.simulation.answer_cache import AnswerCache
from simulator.simulation.config import ASSISTANT

if TYPE_CHECKING:
    pass

T = TypeVar("T")


@dataclass
class RoleClient:
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


class Roles:
    """The clients of a run, by role."""

    def __init__(self, clients: Mapping[str, RoleClient], engines: Sequence[Backend]) -> None:
        self.clients, self._engines = clients, engines

    def ask(self, asks: Iterable[Ask[T]]) -> list[T]:
        """Answers what everybody wants to know, each role's requests as one batch."""
        whole = joined(asks)
        answers: dict[int, Answer] = {}
        roles = dict.fromkeys(asked.role for asked in whole.requests)
        for role in roles:
            theirs = [i for i, asked in enumerate(whole.requests) if asked.role == role]
            found = self.clients[role].answer([whole.requests[i].request for i in theirs])
            answers.update(zip(theirs, found, strict=True))
        return whole.read([answers[i] for i in range(len(whole.requests))])

    def lap(self) -> dict[str, dict[str, int]]:
        """Returns what was asked of each role since the last lap: requests, and tokens written.

        The assistant isn't among them: this is but a part of what it is asked.
        """
        lap = {
            role: {"requests": client.requests, "tokens": client.tokens}
            for role, client in self.clients.items()
            if role != ASSISTANT
        }
        for client in self.clients.values():
            client.requests = client.tokens = 0
        return lap

    def close(self) -> None:
        """Frees the engines that aren't the assistant's."""
        for engine in self._engines:
            engine.close()


def assistant_client(model: str, assistant: Backend) -> RoleClient:
    """Returns the assistant in its own role, with whatever adapter it has when it is asked."""
    return RoleClient(model, assistant, bare=False, cache=None)
