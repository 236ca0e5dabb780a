"""One vLLM server for all runs of a sweep: each request names its run's adapter.

The server batches what all runs ask, and holds the weights once. Its answers depend on its batches,
as those of any vLLM server do, so nothing is lost that a run of its own would promise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simulator.backends.config import AnyBackend, AutoConfig, VLLMConfig
from simulator.backends.vllm_adapters import Beside
from simulator.backends.vllm_server import SharedServer, start_server
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.experiments.jobs import Job
from simulator.models.reference import ModelRef

LOG = "server.log"
ASKED = "share_server"


@contextmanager
def shared_server(jobs: Sequence[Job], runs: int, folder: Path) -> Iterator[SharedServer]:
    """Start a server for some runs, and stop it in the end.

    Args:
        jobs: the runs.
        runs: how many of them are played at a time.
        folder: of the sweep, for the server's log.

    Raises:
        ScenarioError: they differ in their model, or in how it is served.
        BackendError: the server can't be started.
    """
    config, model = _served_alike([job.scenario for job in jobs])
    adapters = Beside(model, _never, config.adapter_rank, runs)
    server = start_server(config, model, adapters, log=folder / LOG)
    try:
        yield SharedServer(server.url, server.key)
    finally:
        server.stop()


def _served_alike(scenarios: Sequence[Scenario]) -> tuple[VLLMConfig, ModelRef]:
    """Return the settings and the model of all runs."""
    found = [(_chosen(scenario), scenario.assistant_ref) for scenario in scenarios]
    config, model = found[0]
    if any(other != found[0] for other in found):
        raise ScenarioError(
            f"{ASKED}: runs differ in their model, or in backend; leave it out, or make a sweep of "
            "each"
        )
    if not isinstance(config, VLLMConfig) or config.url:
        raise ScenarioError(
            f"{ASKED}: only for vLLM servers that runs would start; set backend.kind: vllm"
        )
    if config.adapters == "merged":
        raise ScenarioError(f"{ASKED}: no run may merge its adapters; leave backend.adapters out")
    return config, model


def _chosen(scenario: Scenario) -> AnyBackend:
    backend = scenario.backend
    return backend.chosen if isinstance(backend, AutoConfig) else backend


def _never(path: str, body: object) -> None:
    """Post nothing: runs give the server their adapters."""
