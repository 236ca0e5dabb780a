"""A learner whose fits each run in a new process, which frees all its memory.

So a GPU can serve with all its memory between updates. A process's allocator and CUDA context
keep some memory until the process exits.
"""

import multiprocessing
import signal
from multiprocessing.connection import Connection

import torch

from simulator.core.errors import LearnerError, UndertowError
from simulator.core.processes import follow_parent
from simulator.core.progress import Task
from simulator.core.timing import Stopwatch
from simulator.learners.base import LESS_MEMORY, FitRequest, Update
from simulator.learners.config import UpdateConfig
from simulator.models.reference import ModelRef


class IsolatedLearner:
    """A learner with the same results, byte for byte, as `AdapterLearner`."""

    def __init__(
        self, config: UpdateConfig, model: ModelRef, stopwatch: Stopwatch, context: int | None
    ) -> None:
        self._config, self._model, self._context = config, model, context
        self._stopwatch = stopwatch

    def fit(self, request: FitRequest) -> Update:
        """Train in a new process; see `Learner.fit`."""
        processes = multiprocessing.get_context("spawn")  # CUDA doesn't survive a fork
        here, there = processes.Pipe(duplex=False)
        # Sums are split over threads, so equal bytes need an equal number of threads.
        learner = (self._config, self._model, self._context, torch.get_num_threads())
        process = processes.Process(target=_work, args=(there, learner, request), daemon=True)
        with self._stopwatch.timing("learner"):
            process.start()
            there.close()  # closed here, so the child's exit ends the wait
            try:
                outcome = self._followed(here)
            except EOFError:
                process.join()
                raise LearnerError(_exit_error(process.exitcode)) from None
            finally:
                process.kill()
                process.join()
                here.close()
        if isinstance(outcome, UndertowError):
            raise outcome
        return outcome

    def _followed(self, learner: Connection) -> Update | UndertowError:
        """Return the outcome of a fit; until it comes, show its progress."""
        progress = self._stopwatch.progress
        try:
            while isinstance(told := learner.recv(), Task):
                progress.show(told)
        finally:
            progress.close()
        outcome: Update | UndertowError = told
        return outcome


def _work(
    there: Connection, learner: tuple[UpdateConfig, ModelRef, int | None, int], request: FitRequest
) -> None:
    """Run one fit in the new process."""
    from simulator.learners.trainer import AdapterLearner

    follow_parent()
    config, model, context, threads = learner
    torch.set_num_threads(threads)
    stopwatch = Stopwatch()
    stopwatch.progress.listener = lambda: there.send(stopwatch.progress.task)
    try:
        there.send(AdapterLearner(config, model, stopwatch, context).fit(request))
    except UndertowError as error:
        there.send(error)


def _exit_error(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        how = f"was killed by {signal.Signals(-exitcode).name}, perhaps because memory ran out"
    else:
        how = f"ended with exit code {exitcode}; its own message is above"
    return f"the learner's process {how}; {LESS_MEMORY}, and resume"
