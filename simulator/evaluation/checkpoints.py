"""Serving the assistant of a run after a round, for chats or other tools."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from simulator.backends.base import Backend
from simulator.backends.factory import open_backend
from simulator.config.scenario import Scenario
from simulator.core.timing import Stopwatch
from simulator.runtime.dtypes import scenario_of
from simulator.store.run import Run


class Assistant(NamedTuple):
    """The backend of an assistant, with its run and round."""

    backend: Backend
    scenario: Scenario
    run: Run
    round: int


@contextlib.contextmanager
def assistant_after(path: Path, round_number: int | None) -> Iterator[Assistant]:
    """Serve the assistant of a run while the context is open.

    Args:
        path: the run.
        round_number: after which round; None: the last.

    Raises:
        StoreError: the run has no such round.
    """
    run = Run.open(path)
    number = run.committed(round_number)
    scenario = scenario_of(run)
    model, log = scenario.assistant_ref, run.path / "server.log"
    with contextlib.closing(open_backend(scenario.backend, model, Stopwatch(), log=log)) as backend:
        backend.load(run.adapter(number))
        yield Assistant(backend, scenario, run, number)
