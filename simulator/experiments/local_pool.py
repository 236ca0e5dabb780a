"""Runs as processes of this machine, each with its own GPUs."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue

from simulator.backends.vllm_server import SharedServer
from simulator.core.errors import StoreError
from simulator.core.garbage_collection import keep_loaded
from simulator.core.processes import follow_parent
from simulator.experiments.jobs import Ended, Job, play


class LocalPool:
    """A pool of processes, which ends with this one."""

    def __init__(self, pool: ProcessPoolExecutor, server: SharedServer | None) -> None:
        self._pool, self._server = pool, server

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Play the runs; see `Executor`."""
        try:
            given = (job._replace(server=self._server) for job in jobs)
            for future in as_completed([self._pool.submit(play, job) for job in given]):
                yield future.result()
        except BrokenProcessPool:
            raise StoreError(
                "a process was killed, perhaps because memory ran out; finished work is kept, and "
                "the same command goes on"
            ) from None


@contextmanager
def local_pool(
    processes: int, gpus: Sequence[str], server: SharedServer | None = None
) -> Iterator[LocalPool]:
    """Open a pool.

    Args:
        processes: that run at a time.
        gpus: those of each process, as CUDA_VISIBLE_DEVICES names them; none: all see all.
        server: that all runs share, if they do.
    """
    context = multiprocessing.get_context("spawn")
    shares: SimpleQueue[str] = context.SimpleQueue()
    for number in range(processes if gpus else 0):
        shares.put(gpus[number % len(gpus)])
    given = shares if gpus else None
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(given,))
    keep_loaded()
    try:
        yield LocalPool(pool, server)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()  # a run may be stopped at any point


def _begin(shares: "SimpleQueue[str] | None") -> None:
    """Prepare a process of the pool, before it touches a GPU."""
    follow_parent()
    if shares is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = shares.get()
