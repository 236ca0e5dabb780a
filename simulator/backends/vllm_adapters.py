"""Adapters of a vLLM server: loaded beside the weights, or merged into them."""

import hashlib
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from simulator.backends.config import VLLMConfig
from simulator.backends.http_client import PostRefused
from simulator.backends.vllm_worker import Guard, MergingWorker
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.models.devices import device_of
from simulator.models.lora import Pair, served_pairs
from simulator.models.reference import ModelRef
from simulator.models.skeleton import parameter_shapes

BASE = "base"  # the server's name of the model without an adapter
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # ranks that the server supports
UNKNOWN = Adapter("", Path())
IN_A_LAYER = re.compile(r"\.\d+\.")
Post: TypeAlias = Callable[[str, Mapping[str, Any]], None]


class Answering(NamedTuple):
    """The parts of a request that name the model which answers."""

    model: str
    options: Mapping[str, str]


class Adapters(Protocol):
    """The adapters of one server."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The server's command-line flags."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Additions to the server's environment."""
        ...

    def load(self, adapter: Adapter | None) -> None:
        """Give the server another adapter, or none."""
        ...

    def drop_previous(self) -> None:
        """Unload the previous adapter."""
        ...

    def restarted(self, adapter: Adapter | None) -> None:
        """Give a restarted server its adapter back."""
        ...

    def prepare(self, adapter: Adapter | None) -> None:
        """Make sure that this adapter, which the server was given, can answer."""
        ...

    def answering(self, adapter: Adapter | None) -> Answering:
        """Return how a request names this adapter."""
        ...


def adapters_of(
    config: VLLMConfig, model: ModelRef, post: Post, *, is_shared: bool = False
) -> Adapters:
    """Return how a server is given its adapters.

    Args:
        config: the scenario's `backend` section.
        model: the server's, with which adapters are compared as far as it is here.
        post: posts to a path of the server.
        is_shared: whether several runs share it, so that none may change its weights.
    """
    if merges(config) and not is_shared:
        return Merged(model, post)
    return Beside(model, post, config.adapter_rank)


def merges(config: VLLMConfig) -> bool:
    """Return whether adapters are merged into the server's weights."""
    if config.adapters == "auto" and not config.url:
        return device_of("auto").type == "cpu"
    return config.adapters == "merged"


class Beside:
    """Each adapter has a name; the previous one is kept until the swap is proved."""

    environment: Mapping[str, str] = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}

    def __init__(self, model: ModelRef, post: Post, rank: int, runs: int = 1) -> None:
        """Prepare a server for the adapters of so many runs at a time."""
        self._model, self._post = model, post
        self._present: Adapter | None = None
        self._previous: Adapter | None = None
        self._room = next((known for known in RANKS if known >= rank), RANKS[-1])
        self.flags = (  # of each run, the present and the next one; and room for what is left over
            "--enable-lora",
            f"--max-lora-rank={self._room}",
            f"--max-loras={2 * runs}",
            f"--max-cpu-loras={4 * runs}",
        )

    def load(self, adapter: Adapter | None) -> None:
        """Load it beside the present one, unless it is the previous one, which is still loaded.

        Raises:
            BackendError: the server would serve only a part of it, without a word.
        """
        if adapter is not None and adapter != self._previous:
            _check_beside(adapter, served_pairs(adapter, parameter_shapes(self._model)), self._room)
            try:
                self._give(adapter)
            except PostRefused:  # a stopped run, or a lost answer, may have left one of its name
                self._take(adapter)
                self._give(adapter)
        self._previous, self._present = self._present, adapter

    def _give(self, adapter: Adapter) -> None:
        body = {"lora_name": served_name(adapter), "lora_path": str(adapter.path.resolve())}
        self._post("/v1/load_lora_adapter", body)

    def _take(self, adapter: Adapter) -> None:
        """Unload an adapter, if the server has it."""
        try:
            self._post("/v1/unload_lora_adapter", {"lora_name": served_name(adapter)})
        except PostRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise

    def drop_previous(self) -> None:
        """Unload the previous adapter."""
        if self._previous is not None:
            self._take(self._previous)
            self._previous = None

    def restarted(self, adapter: Adapter | None) -> None:
        """Load the adapter into a new server."""
        self._present = self._previous = None
        self.load(adapter)

    def prepare(self, adapter: Adapter | None) -> None:
        """Do nothing: the base and the loaded adapters can all answer."""

    def answering(self, adapter: Adapter | None) -> Answering:
        """Name the adapter as the request's model."""
        return Answering(served_name(adapter) if adapter else BASE, {})


class Merged:
    """One adapter is merged into the base's weights; the next one replaces it."""

    environment: Mapping[str, str] = {"VLLM_SERVER_DEV_MODE": "1"}  # a route to the workers
    flags = (
        f"--worker-extension-cls={MergingWorker.__module__}.{MergingWorker.__name__}",
        f"--middleware={Guard.__module__}.{Guard.__name__}",
    )

    def __init__(self, model: ModelRef, post: Post) -> None:
        self._model, self._post = model, post
        self._merged: Adapter | None = None  # the adapter that is merged into the weights

    def load(self, adapter: Adapter | None) -> None:
        """Merge it into the base's weights, in place of the present one."""
        if adapter is not None:
            # Refused here, with a clearer message than the server's.
            served_pairs(adapter, parameter_shapes(self._model))
        self.prepare(adapter)

    def drop_previous(self) -> None:
        """Do nothing: the previous adapter was replaced."""

    def restarted(self, adapter: Adapter | None) -> None:
        """Note that a new server has the base's weights."""
        self._merged = None

    def prepare(self, adapter: Adapter | None) -> None:
        """Merge it if another one is merged."""
        if adapter != self._merged:
            named = (adapter.name, str(adapter.path.resolve())) if adapter else ("", "")
            body = {"method": MergingWorker.serve_merged.__name__, "args": named}
            self._merged = UNKNOWN  # unknown if it fails half-way
            self._post("/collective_rpc", body)
            self._merged = adapter

    def answering(self, adapter: Adapter | None) -> Answering:
        """Salt the prefix cache by adapter: cached states are valid for one set of weights."""
        return Answering(BASE, {"cache_salt": adapter.name} if adapter else {})


def served_name(adapter: Adapter) -> str:
    """Return the server's name of an adapter, which no other run at the server gives.

    Runs that have learned the same so far have adapters of one name.
    """
    place = hashlib.sha256(str(adapter.path.resolve()).encode()).hexdigest()
    return f"{adapter.name}-{place[:8]}"


def _check_beside(adapter: Adapter, pairs: Mapping[str, Pair], room: int) -> None:
    """Refuse what vLLM leaves out or can't hold: modules outside the layers, and high ranks.

    Whether it serves an adapted embedding or head depends on the architecture.
    """
    if outside := [name for name in pairs if not IN_A_LAYER.search(name)]:
        raise BackendError(
            f"adapter {adapter.name} can't be served beside the weights: it adapts {outside[0]}, "
            "which isn't in a layer; set backend: {kind: transformers}"
        )
    if (highest := max(pair.rank for pair in pairs.values())) > room:
        raise BackendError(
            f"adapter {adapter.name} can't be served: its rank is {highest}, and the server takes "
            f"ranks up to {room}; raise backend.adapter_rank"
        )
