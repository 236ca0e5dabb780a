"""The protocol that every engine implements."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from simulator.backends.config import Capability
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.core.interventions import Intervention
from simulator.core.requests import (
    Activations,
    ActivationsRequest,
    ContinuationRequest,
    DivergenceRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    TopTokens,
    TopTokensRequest,
)

REMEDY = "set backend: {kind: transformers}"


class Backend(Protocol):
    """Answers requests in order. The engine does the batching and the reuse of prefixes.

    `docs/extending.md` has a whole one; a test runs it.
    """

    capabilities: frozenset[Capability]

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Sample continuations.

        Raises:
            BackendError: the model can't read a prompt.
        """
        ...

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Return log-probabilities in nats, one per requested token."""
        ...

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Return the likeliest next tokens."""
        ...

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Return the summed log-probability in nats of each continuation."""
        ...

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Return the residual stream after each layer, averaged over the reply's tokens."""
        ...

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Return the divergence of the model's predictions from its base's, for each text."""
        ...

    def without_adapter(self) -> AbstractContextManager[None]:
        """Answer for the base model alone while the context is open."""
        ...

    def under(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Answer for the model under interventions while the context is open.

        Raises:
            BackendError: an intervention doesn't fit the model.
        """
        ...

    def load(self, adapter: Adapter | None) -> None:
        """Serve `adapter` from now on, or the base model alone."""
        ...

    def drop_previous(self) -> None:
        """Drop the previous adapter, once the swap is proved."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class ClosedEngine:
    """The methods of engines that give no access to the model's internals: they refuse."""

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Refuse."""
        raise BackendError(f"this backend can't read activations; {REMEDY}")

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Refuse."""
        raise BackendError(f"this backend can't read the probabilities of all tokens; {REMEDY}")

    def under(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Refuse."""
        raise BackendError(f"this backend can't intervene in activations; {REMEDY}")
