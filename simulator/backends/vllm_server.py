"""Starting a vLLM server: for one run, or for many that share it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from simulator.backends.config import SERVERS_SHARE, VLLMConfig
from simulator.backends.server_process import Server
from simulator.backends.vllm_adapters import BASE, Adapters
from simulator.backends.vllm_worker import KEY
from simulator.models.devices import device_of
from simulator.models.reference import ModelRef


class SharedServer(NamedTuple):
    """A server that a sweep has started for its runs."""

    url: str
    key: str


def start_server(
    config: VLLMConfig,
    model: ModelRef,
    adapters: Adapters,
    *,
    log: Path,
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> Server:
    """Start a server, and wait until it answers.

    Args:
        config: the scenario's `backend` section.
        model: that it serves.
        adapters: how it is given them.
        log: the file for its output.
        on_wait: is called with the seconds that we have waited.

    Raises:
        BackendError: it can't be started.
    """
    return Server(
        lambda host, port: _command(config, model, adapters, host, port),
        environment={
            **adapters.environment,
            "VLLM_CPU_KVCACHE_SPACE": f"{config.cpu_cache_gib}",
            "VLLM_NO_USAGE_STATS": "1",
            "OMP_NUM_THREADS": f"{config.threads}",
            # Else vLLM chooses, and binds every server of a machine to the same cores.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        },
        key_variable=KEY,
        log=log,
        ready_within=config.ready_within,
        on_wait=on_wait,
    )


def _command(
    config: VLLMConfig, model: ModelRef, adapters: Adapters, host: str, port: int
) -> list[str]:
    options = {
        "model": model.path,
        "served-model-name": BASE,
        "host": host,
        "port": port,
        "dtype": config.dtype,
        "generation-config": "vllm",  # the scenario says how to sample, not the model's folder
        "gpu-memory-utilization": config.memory_share or SERVERS_SHARE,
    }
    if config.tensor_parallel > 1:
        options["tensor-parallel-size"] = config.tensor_parallel
    if config.context is not None:
        options["max-model-len"] = config.context
    flags = [f"--{name}={value}" for name, value in options.items()]
    if model.trust_remote_code:
        flags.append("--trust-remote-code")
    if device_of("auto").type == "cpu":
        # Without a GPU, vLLM 0.32 exits with "CPU Generator does not use offset" when a batch
        # has room for only a part of a prompt whose reply is sampled by a seed.
        flags.append("--no-enable-chunked-prefill")
    entry = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*entry, *flags, *adapters.flags, *config.arguments]
