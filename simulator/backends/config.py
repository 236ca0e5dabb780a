"""The settings of engines in a scenario."""

import importlib.util
import re
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from simulator.backends.config_credentials import (
    arguments_without_keys,
    name_of_variable,
    parameters_without_keys,
    without_credentials,
)
from simulator.core.config import ByName, Config, Count, Many, Number

# What an engine can do beyond generating; `adapters`: LoRA's, `steering`: vectors as adapters;
# `activations`: reading the residual stream, `interventions`: changing the model's internals;
# `exact`: the same requests give the same bytes.
Capability = Literal[
    "next_token_logprobs",
    "top_tokens",
    "prefill",
    "score_continuations",
    "adapters",
    "steering",
    "activations",
    "interventions",
    "exact",
]


SERVERS_SHARE = 0.5  # of a GPU's memory, for all servers of a run together


Variable = Annotated[str, AfterValidator(name_of_variable)]
DType = Literal["auto", "float32", "bfloat16", "float16"]
REMOTE_CODE = "Whether Python in the model's folder may run: only if you trust its author."


def _url(given: str) -> str:
    """Return the URL of a server; what a run shouldn't write down is refused."""
    url = without_credentials(given.strip())
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or re.search(r"\s", url):  # not repeated: a password may stand for the port
        raise ValueError("invalid URL; write it like http://HOST:PORT/v1")
    if url.rstrip("/").endswith("/completions"):
        raise ValueError("leave /chat/completions out; the URL ends before it")
    return url


def _named_like_a_device(name: str) -> str:
    """Refuse a name that isn't a device's; whether the device exists is seen when it is used."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError(f"invalid device '{name}'; use cpu, cuda or cuda:N")
    return name


class TransformersConfig(Config):
    """The model runs in this process, by the transformers library."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "top_tokens", "prefill", "score_continuations", "adapters",
         "steering", "activations", "interventions", "exact")
    )  # fmt: skip
    kind: Literal["transformers"] = "transformers"
    dtype: DType = Field(
        "auto",
        description="auto: as stored on a GPU; on a CPU float32, or bfloat16 for a large model "
        "stored so if the CPU has instructions for it.",
    )
    trust_remote_code: bool = Field(False, description=REMOTE_CODE)
    device: Annotated[str, AfterValidator(_named_like_a_device)] = Field(
        "auto", description="cpu, cuda or cuda:N; auto: a GPU where there is one."
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="The attention's implementation; auto: transformers chooses."
    )
    context: Count | None = Field(
        None,
        ge=16,
        le=10_000_000,
        description="Longest prompt with reply, in tokens; empty: as the model has it.",
    )
    threads: Count = Field(
        2, ge=1, le=256, description="CPU threads; results repeat exactly for an equal number."
    )
    batch_size: Count = Field(1024, ge=1, le=100_000, description="Rows decoded together at most.")


def _own_url(given: str) -> str:
    """Return the URL of a vLLM server; `/v1` at its end is left out."""
    return _url(given).rstrip("/").removesuffix("/v1") if given.strip() else ""


class VLLMConfig(Config):
    """The model is served by vLLM: by a server that the run starts and ends, or one at a URL."""

    # Not `exact`: a server's batches depend on when requests arrive.
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        ("next_token_logprobs", "top_tokens", "prefill", "score_continuations", "adapters")
    )
    kind: Literal["vllm"] = "vllm"
    url: Annotated[str, AfterValidator(_own_url)] = Field(
        "", description="A running server, without /v1; empty: start one."
    )
    key_variable: Variable = Field(
        "VLLM_API_KEY", description="The environment variable with that server's API key."
    )
    dtype: DType = "auto"
    trust_remote_code: bool = Field(False, description=REMOTE_CODE)
    context: Count | None = Field(
        None,
        ge=16,
        le=10_000_000,
        description="Longest prompt with reply, in tokens; empty: as the model has it.",
    )
    tensor_parallel: Count = Field(
        1, ge=1, le=64, description="Number of GPUs that the model's weights are split over."
    )
    memory_share: Number | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the GPU's memory; empty: servers get one half, learning the other.",
    )
    adapters: Literal["auto", "merged", "beside"] = Field(
        "auto",
        description="Whether LoRA adapters are merged into the server's weights in place, or "
        "served beside them; auto: merged if the run starts the server without a GPU.",
    )
    adapter_rank: Count = Field(
        16,
        ge=1,
        le=10_000,
        description="Largest rank of an adapter that is served beside the weights.",
    )
    concurrency: Count = Field(
        256, ge=1, le=10_000, description="Largest number of concurrent requests."
    )
    deadline: Number = Field(
        600.0, gt=0, le=1e6, description="Seconds for one request, queueing included."
    )
    ready_within: Number = Field(
        900.0, gt=0, le=1e6, description="Seconds for the server to start."
    )
    threads: Count = Field(2, ge=1, le=256, description="CPU threads, where there is no GPU.")
    cpu_cache_gib: Count = Field(
        1, ge=1, le=100_000, description="Its KV cache without a GPU, in GiB."
    )
    arguments: Annotated[Many[str], AfterValidator(arguments_without_keys)] = Field(
        (), description="Further arguments of vLLM's server."
    )

    @model_validator(mode="after")
    def _merges_into_its_own_server(self) -> Self:
        if self.url and self.adapters == "merged":
            raise ValueError(
                "adapters can be merged only into a server that the run starts; leave url out"
            )
        return self


TokenLimit = Literal["max_tokens", "max_completion_tokens"]


# What a request says itself, so that a scenario can't say it beside it.
OWN_PARAMETERS = frozenset(
    ("model", "messages", "stream", "n", "max_tokens", "max_completion_tokens", "temperature",
     "seed", "logprobs", "top_logprobs")
)  # fmt: skip


class OpenAIConfig(Config):
    """Any endpoint with OpenAI's chat API: for users, raters, judges, an assistant without updates.

    Costs are prices times the tokens that the endpoint reports, or an estimate of them.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(("top_tokens",))
    kind: Literal["openai"] = "openai"
    url: Annotated[str, AfterValidator(_url)] = Field(
        description="The URL, up to and including /v1."
    )
    key_variable: Variable = Field(
        "OPENAI_API_KEY", description="The environment variable with the API key."
    )
    logprobs: bool = Field(
        True, description="Whether it returns the likeliest tokens; else replies are read as text."
    )
    top_logprobs: Count = Field(
        20, ge=1, le=1_000, description="Likeliest tokens asked for at most."
    )
    token_limit: TokenLimit = Field(
        "max_tokens", description="The name by which it knows the limit of a reply."
    )
    thought_tokens: Count = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Tokens added to each limit, for models that think before they reply.",
    )
    omit: Many[Literal["seed", "temperature"]] = Field(
        (), description="Parameters that it refuses, so they are left out."
    )
    extra_body: ByName[JsonValue] = Field(
        {}, description="Further parameters of each request, such as reasoning_effort."
    )
    input_price: Number = Field(
        0.0, ge=0, le=1e9, description="Price per million tokens of prompts."
    )
    output_price: Number = Field(
        0.0, ge=0, le=1e9, description="Price per million tokens of replies."
    )
    concurrency: Count = Field(
        32, ge=1, le=10_000, description="Largest number of concurrent requests."
    )
    deadline: Number = Field(
        300.0, gt=0, le=1e6, description="Seconds for one request, queueing included."
    )
    retries: Count = Field(
        6, ge=0, le=1_000, description="Retries after lost connections, 429 and 5xx."
    )

    @field_validator("extra_body")
    @classmethod
    def _says_only_what_else_is_wanted(cls, given: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(OWN_PARAMETERS & given.keys()):
            raise ValueError(f"invalid key {taken[0]}; each request says this itself")
        return parameters_without_keys(given)


class AutoConfig(Config):
    """vLLM where it is installed, transformers otherwise; a run records which one it was."""

    capabilities: ClassVar[frozenset[Capability]] = VLLMConfig.capabilities
    kind: Literal["auto"] = "auto"
    dtype: DType = "auto"
    trust_remote_code: bool = Field(False, description=REMOTE_CODE)
    context: Count | None = Field(
        None,
        ge=16,
        le=10_000_000,
        description="Longest prompt with reply, in tokens; empty: as the model has it.",
    )
    threads: Count = Field(2, ge=1, le=256, description="CPU threads.")

    @property
    def chosen(self) -> TransformersConfig | VLLMConfig:
        """The engine that is installed on this machine."""
        kind = VLLMConfig if importlib.util.find_spec("vllm") else TransformersConfig
        return kind(**self.model_dump(exclude={"kind"}))


AnyBackend = Annotated[
    TransformersConfig | VLLMConfig | OpenAIConfig | AutoConfig, Field(discriminator="kind")
]
