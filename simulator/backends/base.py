"""The protocol that every engine fulfils, and its settings in a scenario."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

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

if TYPE_CHECKING:
    pass

REMEDY = "set backend: {kind: transformers}"


class Backend(Protocol):
    """Answers requests in order. Batching is the engine's business; so is prefix reuse."""

    capabilities: frozenset[Capability]

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Samples continuations.

        Raises:
            BackendError: the model can't read a prompt.
        """
        ...

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Returns log-probabilities in nats, one per requested token."""
        ...

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Returns the likeliest next tokens."""
        ...

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Returns the summed log-probability in nats of each continuation."""
        ...

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Returns the residual stream after each layer, averaged over the reply's tokens."""
        ...

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Returns how far the model's predictions of each text are from its base's."""
        ...

    def without_adapter(self) -> AbstractContextManager[None]:
        """Answers for the base model alone while the context is open."""
        ...

    def under(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Answers for the model as interventions change it while the context is open.

        Raises:
            BackendError: an intervention doesn't fit the model.
        """
        ...

    def load(self, adapter: Adapter | None) -> None:
        """Serves `adapter` from now on, or the base model alone."""
        ...

    def drop_previous(self) -> None:
        """Drops the adapter before the present one, now that the swap is proved."""
        ...

    def close(self) -> None:
        """Frees what the engine holds."""
        ...


class ClosedEngine:
    """What an engine has instead that doesn't let anybody look into its model."""

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Refuses."""
        raise BackendError(f"this backend can't read activations; {REMEDY}")

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Refuses."""
        raise BackendError(f"this backend can't read the probabilities of all tokens; {REMEDY}")

    def under(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Refuses."""
        raise BackendError(f"this backend can't intervene in activations; {REMEDY}")
