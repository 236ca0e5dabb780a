"""What a run needs of a machine, and how many runs a machine holds at a time."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import psutil
import torch

from simulator.backends.config import AnyBackend, AutoConfig, TransformersConfig, VLLMConfig
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.experiments.held import memory_of
from simulator.models.resolve import is_organism


class Needs(NamedTuple):
    """What one run holds as long as it works."""

    cores: int
    gpus: float  # below 1: a share of one
    memory: int  # bytes, on the CPU's side; 0 where it isn't known

    def beside(self, other: "Needs") -> "Needs":
        """Return what either of two runs would fit into."""
        return Needs(
            max(self.cores, other.cores),
            max(self.gpus, other.gpus),
            max(self.memory, other.memory),
        )


class Machine(NamedTuple):
    """What a machine has."""

    cores: int
    gpus: tuple[str, ...]  # as CUDA_VISIBLE_DEVICES names them
    memory: int  # bytes that are free

    @classmethod
    def here(cls) -> "Machine":
        """Return what this process may use of this machine."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        count = torch.cuda.device_count()
        named = visible.split(",")[:count] if visible else map(str, range(count))
        free = psutil.virtual_memory().available
        # macOS can't bind a process to cores.
        bound = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        return cls(len(bound) or os.cpu_count() or 1, tuple(named), free)


def needs_of(scenario: Scenario, share: float | None = None) -> Needs:
    """Return what a run of a scenario needs.

    Args:
        scenario: of the run.
        share: the GPUs of a run, as somebody asked for; None: as many as its engines are spread
            over. An organism needs none.
    """
    engines = [_chosen(scenario.backend), *(_chosen(r.backend) for r in scenario.roles.values())]
    cores = max(getattr(engine, "threads", 1) for engine in engines)
    gpus = 0.0 if is_organism(scenario.model) else float(max(map(_gpus, engines)))
    if gpus and share is not None:
        gpus = share
    return Needs(cores, gpus, memory_of(scenario))


def _chosen(backend: AnyBackend) -> AnyBackend:
    return backend.chosen if isinstance(backend, AutoConfig) else backend


def _gpus(engine: AnyBackend) -> int:
    """Return the number of GPUs that an engine is spread over, where there are any."""
    if isinstance(engine, VLLMConfig):
        return 0 if engine.url else engine.tensor_parallel
    if isinstance(engine, TransformersConfig):
        return int(engine.device in ("auto", "cuda") or engine.device.startswith("cuda:"))
    return 0


def shares_of_gpus(gpus: Sequence[str], needed: float) -> list[str]:
    """Return the GPUs of each run that fits, as CUDA_VISIBLE_DEVICES names them.

    Args:
        gpus: those of the machine; none: everything runs on cores.
        needed: by each run; below 1, runs share one.

    Raises:
        ScenarioError: the machine has fewer.
    """
    if not gpus or needed == 0:
        return []
    if needed < 1:
        return [gpu for gpu in gpus for _ in range(int(1 / needed))]
    each = int(needed)
    if each > len(gpus):
        raise ScenarioError(
            f"a run needs {each} GPUs, and this machine has {len(gpus)}; lower "
            "backend.tensor_parallel, or use a machine with more"
        )
    starts = range(0, len(gpus) - each + 1, each)
    return [",".join(gpus[start : start + each]) for start in starts]


def at_once(needs: Needs, machine: Machine) -> int:
    """Return how many such runs a machine holds at a time; at least one."""
    fitting = [machine.cores // needs.cores]
    if shares := shares_of_gpus(machine.gpus, needs.gpus):
        fitting.append(len(shares))
    if needs.memory:
        fitting.append(machine.memory // needs.memory)
    return max(1, min(fitting))
