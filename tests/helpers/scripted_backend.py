"""An engine that says what a test tells it to, and remembers what it was asked.

It fulfils the protocol of engines, so all that stands above engines runs as it is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from simulator.backends.base import ClosedEngine
from simulator.backends.config import Capability
from simulator.core.adapters import Adapter
from simulator.core.requests import (
    Completion,
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    Prompt,
    TopTokens,
    TopTokensRequest,
)
from simulator.models.thoughts import split_thought


class Scripted(ClosedEngine):
    """Replies by `says`, which maps a prompt to a reply, or to texts with their probabilities."""

    capabilities: frozenset[Capability] = frozenset(("top_tokens", "adapters"))

    def __init__(self, says: Callable[[Prompt], str | dict[str, float]]) -> None:
        self._says = says
        self.batches: list[int] = []  # how many requests came together
        self.served: list[str | None] = []  # which adapter answered each batch
        self.adapter: Adapter | None = None

    def _note(self, requests: Sequence[object]) -> None:
        self.batches.append(len(requests))
        self.served.append(self.adapter.name if self.adapter else None)

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        self._note(requests)
        found = []
        for request in requests:
            said = self._says(request.prompt)
            text = said if isinstance(said, str) else max(said, key=lambda one: said[one])
            thought, reply = split_thought(text)
            completion = Completion(reply, len(text.split()), "end", thought)
            found.append(Generation(request.prompt.shown, (completion,) * len(request.keys)))
        return found

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        self._note(requests)
        found: list[TopTokens] = []
        for request in requests:
            shares = self._shares(request.prompt)
            found.append({token: math.log(share) for token, share in shares.items()})
        return found

    def _shares(self, prompt: Prompt) -> dict[str, float]:
        shares = self._says(prompt)
        assert isinstance(shares, dict)
        return shares

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        self._note(requests)
        shares = [(request, self._shares(request.prompt)) for request in requests]
        return [tuple(math.log(told[token]) for token in r.tokens) for r, told in shares]

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        self._note(requests)
        return [
            math.log(self._shares(request.prompt)[request.continuation]) for request in requests
        ]

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        served, self.adapter = self.adapter, None
        yield
        self.adapter = served

    def load(self, adapter: Adapter | None) -> None:
        self.adapter = adapter

    def drop_previous(self) -> None:
        pass

    def close(self) -> None:
        pass


class Written(Scripted):
    """One that tells no probabilities: whatever is asked of it is read off its words."""

    capabilities: frozenset[Capability] = frozenset(("adapters",))
