"""How a vLLM server gets and changes its adapter: beside the weights, or merged into them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from simulator.backends.config import VLLMConfig
from simulator.backends.merging import read_changes
from simulator.backends.vllm_worker import Guard, MergingWorker
from simulator.core.adapters import Adapter
from simulator.models.devices import device_of

BASE = "base"  # what the server calls the model without an adapter
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that the server knows
UNKNOWN = Adapter("", Path())
Post: TypeAlias = Callable[[str, Mapping[str, Any]], None]


class Answering(NamedTuple):
    """The parts of a request that say who is to answer it."""

    model: str
    options: Mapping[str, str]


class Adapters(Protocol):
    """The adapters of one server."""

    @property
    def flags(self) -> tuple[str, ...]:
        """With which it is started."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What is added to its environment."""
        ...

    def load(self, adapter: Adapter | None) -> None:
        """Gives the server another adapter, or none."""
        ...

    def drop_previous(self) -> None:
        """Takes from it the one before."""
        ...

    def restarted(self, adapter: Adapter | None) -> None:
        """Gives a server that was started again what it had."""
        ...

    def prepare(self, adapter: Adapter | None) -> None:
        """Sees to it that this one can answer; of those that the server was given."""
        ...

    def answering(self, adapter: Adapter | None) -> Answering:
        """Returns how a request names it."""
        ...


def adapters_of(config: VLLMConfig, post: Post) -> Adapters:
    """Returns how a server is given its adapters.

    Args:
        config: the scenario's `backend` section.
        post: posts to a path of the server.
    """
    merged = config.adapters == "merged"
    if config.adapters == "auto" and not config.url:
        merged = device_of("auto").type == "cpu"
    return Merged(post) if merged else Beside(post, config.adapter_rank)


class Beside:
    """Each adapter has a name; the one before is kept until the swap is proved."""

    environment: Mapping[str, str] = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}

    def __init__(self, post: Post, rank: int) -> None:
        self._post = post
        self._present: Adapter | None = None
        self._previous: Adapter | None = None
        room = next((known for known in RANKS if known >= rank), RANKS[-1])
        self.flags = (
            "--enable-lora", f"--max-lora-rank={room}", "--max-loras=2", "--max-cpu-loras=4"
        )  # fmt: skip

    def load(self, adapter: Adapter | None) -> None:
        """Loads it beside the present one, unless it is the one before, which is there still."""
        if adapter is not None and adapter != self._previous:
            body = {"lora_name": adapter.name, "lora_path": str(adapter.path.resolve())}
            self._post("/v1/load_lora_adapter", body)
        self._previous, self._present = self._present, adapter

    def drop_previous(self) -> None:
        """Unloads the one before."""
        if self._previous is not None:
            self._post("/v1/unload_lora_adapter", {"lora_name": self._previous.name})
            self._previous = None

    def restarted(self, adapter: Adapter | None) -> None:
        """Loads it into a server that never heard of any."""
        self._present = self._previous = None
        self.load(adapter)

    def prepare(self, adapter: Adapter | None) -> None:
        """The base and what was loaded can both answer."""

    def answering(self, adapter: Adapter | None) -> Answering:
        """Requests name the adapter as their model."""
        return Answering(adapter.name if adapter else BASE, {})


class Merged:
    """The weights are those of the base with one adapter; another one takes its place."""

    environment: Mapping[str, str] = {"VLLM_SERVER_DEV_MODE": "1"}  # a route to the workers
    flags = (
        f"--worker-extension-cls={MergingWorker.__module__}.{MergingWorker.__name__}",
        f"--middleware={Guard.__module__}.{Guard.__name__}",
    )

    def __init__(self, post: Post) -> None:
        self._post = post
        self._within: Adapter | None = None  # what the weights have in them

    def load(self, adapter: Adapter | None) -> None:
        """Merges it into the base's weights, instead of what was there."""
        if adapter is not None:
            read_changes(adapter)  # refused here, and not by the server in its own words
        self.prepare(adapter)

    def drop_previous(self) -> None:
        """Nothing is left of the one before."""

    def restarted(self, adapter: Adapter | None) -> None:
        """A new server has the base's weights."""
        self._within = None

    def prepare(self, adapter: Adapter | None) -> None:
        """Merges it if another one is there."""
        if adapter != self._within:
            named = (adapter.name, str(adapter.path.resolve())) if adapter else ("", "")
            body = {"method": MergingWorker.serve_merged.__name__, "args": named}
            self._within = UNKNOWN  # what if it fails half-way?
            self._post("/collective_rpc", body)
            self._within = adapter

    def answering(self, adapter: Adapter | None) -> Answering:
        """What the server remembers of a prompt, it remembers under the salt of its weights."""
        return Answering(BASE, {"cache_salt": adapter.name} if adapter else {})
