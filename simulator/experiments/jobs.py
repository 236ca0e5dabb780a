"""One run of a sweep as a job: what a process, here or on another machine, is given to do."""

import os
from pathlib import Path
from typing import NamedTuple

from simulator.backends.vllm_server import SharedServer
from simulator.config.scenario import Scenario
from simulator.core.errors import TakenError, UndertowError
from simulator.experiments.placement import Needs
from simulator.runtime.shared import Shared
from simulator.store.run import Run
from simulator.store.sweep import MEASUREMENTS


class Job(NamedTuple):
    """A run that isn't finished."""

    path: Path  # its directory, absolute, in a folder that all machines share
    scenario: Scenario
    needs: Needs
    home: Path  # the folder in which relative paths of the scenario begin
    server: SharedServer | None = None  # of all runs


class Ended(NamedTuple):
    """How a job ended."""

    path: Path
    error: str = ""  # empty: the run is finished
    is_taken: bool = False  # another process works on the run


def play(job: Job) -> Ended:
    """Start or resume a run; whatever was finished meanwhile is left as it is."""
    from simulator.experiments.run import resume, start
    from simulator.experiments.unstarted import is_unstarted
    from simulator.runtime.observers import Silent

    path = job.path
    shared = Shared(path.parents[1] / MEASUREMENTS, job.server)
    try:
        os.chdir(job.home)
    except OSError as error:
        return Ended(path, f"{job.home}: {error.strerror}; all machines must share this folder")
    try:
        if is_finished(job):
            return Ended(path)
        if path.exists() and not is_unstarted(path):
            resume(path, Silent(), shared=shared)
        else:
            start(job.scenario, path, Silent(), shared)
    except TakenError:
        return Ended(path, is_taken=True)
    except UndertowError as error:
        return Ended(path, str(error))
    return Ended(path)


def is_finished(job: Job) -> bool:
    """Return whether the last round of a job's run is committed."""
    return Run(job.path).rounds_done > job.scenario.last_round


def is_waiting(job: Job) -> bool:
    """Return whether another process works on a job's run."""
    return not is_finished(job) and Run(job.path).holder is not None
