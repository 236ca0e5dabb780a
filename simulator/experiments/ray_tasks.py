"""Runs as tasks of Ray: on the nodes of a cluster, or on this machine.

A run whose worker or node is lost is given to another one, and goes on from its last committed
wave. All nodes share the folder of the runs.
"""

import logging
import os
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import ray
from ray.exceptions import RayError

from simulator.core.errors import BackendError, StoreError
from simulator.experiments.jobs import Ended, Job, play
from simulator.experiments.placement import Needs

TRIES_AGAIN = 5  # of a run whose worker or node is lost
ANSWERS_WITHIN = 10.0  # seconds
LOOPBACK = "127.0.0.1"  # where a cluster of this machine alone listens


class RayTasks:
    """Each run is a remote task with its own cores, GPUs and memory."""

    def __init__(self) -> None:
        self._play = ray.remote(max_retries=TRIES_AGAIN)(play)

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Play the runs; see `Executor`."""
        wanted = {job.path: _resources(job.needs) for job in jobs}
        _refuse_what_fits_nowhere(wanted.values())
        waiting = {self._play.options(**wanted[job.path]).remote(job): job.path for job in jobs}
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            path = waiting.pop(done)
            try:
                yield ray.get(done)
            except RayError as error:
                yield Ended(path, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")


@contextmanager
def ray_tasks(address: str | None) -> Iterator[RayTasks]:
    """Connect to a cluster, and leave it in the end.

    Args:
        address: of a running one, or `auto`; None: one for this machine, as long as it is needed.

    Raises:
        BackendError: it can't be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address not in (None, "auto"):
        _refuse_what_nobody_answers_at(address)
    own: dict[str, Any] = {"_node_ip_address": LOOPBACK, "include_dashboard": False}
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **(own if address is None else {}),
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(f"--address {address}: Ray can't be reached: {reason}") from None
    try:
        yield RayTasks()
    finally:
        ray.shutdown()


def _refuse_what_nobody_answers_at(address: str) -> None:
    """Try to connect: Ray itself would try for a quarter of an hour.

    Raises:
        BackendError: nobody answers.
    """
    place = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        socket.create_connection((place.hostname or "", place.port or 0), ANSWERS_WITHIN).close()
    except (OSError, ValueError) as error:
        raise BackendError(f"--address {address}: no Ray cluster answers there: {error}") from None


def _resources(needs: Needs) -> dict[str, Any]:
    """Return what a task reserves; where a cluster has no GPUs, runs work on cores."""
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    return {
        "num_cpus": needs.cores,  # Ray gives this number to OpenMP, too
        "num_gpus": needs.gpus if has_gpus else 0,
        "memory": needs.memory,
    }


def _refuse_what_fits_nowhere(wanted: Collection[dict[str, Any]]) -> None:
    """Refuse what no node could ever hold: Ray would wait for such a node.

    Raises:
        StoreError: names what is too much.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, key in (("CPU", "num_cpus"), ("GPU", "num_gpus"), ("memory", "memory")):
        need = max((resources[key] for resources in wanted), default=0)
        most = max((node.get(name, 0) for node in nodes), default=0)
        if need > most:
            raise StoreError(
                f"a run needs {need:,} of '{name}', and the largest node of the cluster has "
                f"{most:,.0f}; add a larger node"
            )
