"""Opening the executor that somebody asked for."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Literal, NamedTuple

from simulator.core.errors import BackendError
from simulator.experiments.executor import Executor
from simulator.experiments.jobs import Job
from simulator.experiments.local_pool import local_pool
from simulator.experiments.placement import Machine, Needs, at_once, shares_of_gpus

Processes = int | Literal["auto"]


class Engine(NamedTuple):
    """Where runs are played."""

    kind: Literal["pool", "ray"] = "pool"
    address: str | None = None  # of a Ray cluster; None: one on this machine
    processes: Processes = "auto"  # of the pool


@contextmanager
def open_executor(engine: Engine, jobs: Sequence[Job]) -> Iterator[Executor]:
    """Open an executor for some runs.

    Raises:
        BackendError: Ray isn't installed, or can't be reached.
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
    machine = Machine.here()
    gpus = shares_of_gpus(machine.gpus, needs.gpus)
    fitting = at_once(needs, machine) if engine.processes == "auto" else engine.processes
    if gpus:
        fitting = min(fitting, len(gpus))  # runs share a GPU only where somebody asked for it
    with local_pool(min(fitting, len(jobs)), gpus) as pool:
        yield pool
