"""Opening the executor that somebody asked for."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path
from typing import Literal, NamedTuple

from simulator.core.errors import BackendError, ScenarioError
from simulator.experiments.executor import Executor
from simulator.experiments.jobs import Job
from simulator.experiments.local_pool import local_pool
from simulator.experiments.placement import Machine, Needs, at_once, shares_of_gpus
from simulator.experiments.shared_servers import ASKED, shared_server
from simulator.experiments.sweep_config import SweepConfig

Processes = int | Literal["auto"]


class Asked(NamedTuple):
    """Where runs are played, as a command's options say."""

    kind: Literal["pool", "ray"] = "pool"
    address: str | None = None  # of a Ray cluster; None: one on this machine
    processes: Processes | None = None  # of the pool; None: as the sweep's file says


class Engine(NamedTuple):
    """Where runs are played, as options and file say together."""

    kind: Literal["pool", "ray"]
    address: str | None
    processes: Processes
    gpus: float | None  # of each run; None: as many as its engines are spread over
    shares_server: bool

    @classmethod
    def of(cls, asked: Asked, config: SweepConfig) -> "Engine":
        """Return what a command and a sweep's file ask for.

        Raises:
            ScenarioError: they don't go together.
        """
        if asked.kind == "ray" and config.share_server:
            raise ScenarioError(
                f"--engine ray: nodes can't share a server; leave {ASKED} out of the sweep's file"
            )
        processes = asked.processes or config.processes
        return cls(asked.kind, asked.address, processes, config.gpus, config.share_server)


@contextmanager
def open_executor(engine: Engine, jobs: Sequence[Job], folder: Path) -> Iterator[Executor]:
    """Open an executor for some runs of a sweep.

    Args:
        engine: where they are played.
        jobs: the runs.
        folder: of the sweep.

    Raises:
        BackendError: Ray isn't installed, or can't be reached; or a server doesn't start.
        ScenarioError: a run needs more GPUs than this machine has.
    """
    if engine.kind == "ray":
        if importlib.util.find_spec("ray") is None:
            raise BackendError("--engine ray: Ray isn't installed; pip install 'undertow[ray]'")
        from simulator.experiments.ray_tasks import ray_tasks

        with ray_tasks(engine.address) as tasks:
            yield tasks
        return
    needs = reduce(Needs.beside, (job.needs for job in jobs))
    if engine.shares_server:
        needs = needs._replace(gpus=0)
    machine = Machine.here()
    gpus = shares_of_gpus(machine.gpus, needs.gpus)
    fitting = at_once(needs, machine) if engine.processes == "auto" else engine.processes
    if gpus:
        fitting = min(fitting, len(gpus))  # runs share a GPU only where somebody asked for it
    processes = min(fitting, len(jobs))
    with ExitStack() as opened:
        server = None
        if engine.shares_server:
            server = opened.enter_context(shared_server(jobs, processes, folder))
        yield opened.enter_context(local_pool(processes, gpus, server))
