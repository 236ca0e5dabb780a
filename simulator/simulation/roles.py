"""Roles: the models that users, raters, monitors and judges ask.

A role without its own model is played by the assistant's base model, without an adapter, on the
assistant's server. Roles with the same model and settings share one engine. The role "assistant" is
the present assistant: probes use it for requests that depend on its first answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.asks import Ask, joined
from simulator.core.progress import Progress, task_of
from simulator.core.requests import Answer, Generation, Request
from simulator.simulation.answer_cache import AnswerCache
from simulator.simulation.config import ASSISTANT

if TYPE_CHECKING:
    pass

T = TypeVar("T")


@dataclass
class RoleClient:
    """The engine of a role, and a count of its requests."""

    name: str  # the model with its backend
    backend: Backend
    bare: bool  # whether it uses the assistant's engine without the adapter
    cache: AnswerCache | None
    requests: int = 0
    tokens: int = 0  # written

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests in order; repeated ones are answered from the cache."""
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
    """The clients of a run's roles."""

    def __init__(
        self,
        clients: Mapping[str, RoleClient],
        engines: Sequence[Backend],
        progress: Progress | None = None,
    ) -> None:
        self.clients, self._engines = clients, engines
        self._progress = progress or Progress()

    def ask(self, asks: Iterable[Ask[T]]) -> list[T]:
        """Answer all asks, each role's requests as one batch."""
        whole = joined(asks)
        answers: dict[int, Answer] = {}
        roles = dict.fromkeys(asked.role for asked in whole.requests)
        for role in roles:
            theirs = [i for i, asked in enumerate(whole.requests) if asked.role == role]
            requests = [whole.requests[i].request for i in theirs]
            with self._progress.doing(task_of(requests, f"requests to the {role}")):
                found = self.clients[role].answer(requests)
            answers.update(zip(theirs, found, strict=True))
        return whole.read([answers[i] for i in range(len(whole.requests))])

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return each role's requests and written tokens since the last snapshot.

        The assistant is left out: most of its requests don't pass through here.
        """
        counts = {
            role: {"requests": client.requests, "tokens": client.tokens}
            for role, client in self.clients.items()
            if role != ASSISTANT
        }
        for client in self.clients.values():
            client.requests = client.tokens = 0
        return counts

    def close(self) -> None:
        """Free the engines that aren't the assistant's."""
        for engine in self._engines:
            engine.close()


def assistant_client(model: str, assistant: Backend) -> RoleClient:
    """Return the client of the assistant, with its adapter at the time of the request."""
    return RoleClient(model, assistant, bare=False, cache=None)
