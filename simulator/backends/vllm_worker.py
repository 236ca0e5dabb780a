"""Code that runs inside our vLLM servers, which import both classes by name.

On a CPU, a LoRA adapter beside the weights halves the tokens per second. So it is merged into the
weights in place: layer by layer, from the base on disk, without a second copy.
"""

import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from simulator.backends.merging import Change, changes_of
from simulator.core.adapters import Adapter

Scope: TypeAlias = Mapping[str, Any]
Channel: TypeAlias = Callable[..., Awaitable[Any]]
KEY = "VLLM_API_KEY"  # the environment variable with the server's key


class MergingWorker:
    """An extension of vLLM's workers: it serves an adapter merged into the weights."""

    model_runner: Any  # vLLM's

    def serve_merged(self, name: str, path: str) -> None:
        """Replace the served weights by the base's, changed by an adapter.

        Args:
            name: of the adapter.
            path: of its folder; empty: the base as it is.

        Raises:
            BackendError: the adapter can't be read or doesn't fit; then nothing is replaced.
        """
        changes: Mapping[str, Change] = {}
        if path:
            shapes = {name: torch.empty_like(w, device="meta") for name, w in self._base_weights()}
            changes = changes_of(Adapter(name, Path(path)), shapes)
        self.model_runner.reload_weights(weights_iterator=_merged(self._base_weights(), changes))

    def _base_weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        from vllm.model_executor.model_loader import get_model_loader

        config = self.model_runner.vllm_config
        loader: Any = get_model_loader(config.load_config)
        weights: Iterable[tuple[str, torch.Tensor]] = loader.get_all_weights(
            config.model_config, self.model_runner.get_model()
        )
        return weights


def _merged(
    weights: Iterable[tuple[str, torch.Tensor]], changes: Mapping[str, Change]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each weight with its change, in float32: it is rounded only once."""
    for name, weight in weights:
        change = changes.get(name)
        yield name, weight if change is None else (weight := weight.float()) + change.of(weight)


class Guard:
    """Refuses all requests without the key but the health check; vLLM guards only `/v1`."""

    def __init__(self, app: Channel) -> None:
        self._app, self._key = app, f"Bearer {os.environ[KEY]}".encode()

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._knows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"the server's key is missing"})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _knows(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return secrets.compare_digest(given, self._key)
