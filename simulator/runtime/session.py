"""What a run works with: opened from what its directory holds, and closed at its end."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.factory import open_backend
from simulator.backends.vllm_server import end_leftovers
from simulator.config.scenario import Scenario
from simulator.core.timing import Stopwatch
from simulator.data.lengths import Tokens, tokens_by
from simulator.learners.base import Learner
from simulator.learners.config import UpdateConfig
from simulator.learners.factory import open_learner
from simulator.models.resolve import resolve
from simulator.probes.base import Context
from simulator.runtime.budget import CostTracker
from simulator.runtime.observers import Observer
from simulator.runtime.probe_context import context_of
from simulator.runtime.roles import open_roles
from simulator.simulation.conversation import Environment
from simulator.simulation.population import Population
from simulator.simulation.roles import Roles
from simulator.store.run import Run


class Session(NamedTuple):
    """What a run works with."""

    scenario: Scenario
    run: Run
    environment: Environment
    backend: Backend
    roles: Roles
    costs: CostTracker
    learner_of: Callable[[UpdateConfig], Learner]
    tokens: Tokens
    population: Population
    context: Context
    stopwatch: Stopwatch
    observer: Observer


@contextlib.contextmanager
def open_session(scenario: Scenario, run: Run, observer: Observer) -> Iterator[Session]:
    """Opens what a run works with, as it was after the last committed round.

    Raises:
        CostCapReached: the run's money is spent.
    """
    end_leftovers()
    stopwatch, done = Stopwatch(), run.rounds_done
    costs = CostTracker(run.path, scenario.cost_cap, stopwatch.usage)
    if done <= scenario.last_round:
        costs.check()
    model = resolve(scenario.model)
    observer.stage(done, "loading the model")
    with contextlib.ExitStack() as stack:
        with stopwatch.timing("start"):
            backend = open_backend(
                scenario.backend,
                model,
                stopwatch,
                log=run.path / "server.log",
                on_wait=lambda s: observer.stage(done, f"starting the server, {s:.0f} s"),
            )
            stack.enter_context(contextlib.closing(backend))
            roles = stack.enter_context(
                contextlib.closing(open_roles(scenario, run, backend, stopwatch))
            )
            session = assemble(scenario, run, backend, roles, costs, stopwatch, observer)
        yield session


def assemble(
    scenario: Scenario,
    run: Run,
    backend: Backend,
    roles: Roles,
    costs: CostTracker,
    stopwatch: Stopwatch,
    observer: Observer,
) -> Session:
    """Puts together what a run works with, as it was after the last committed round."""
    knowledge = context_of(scenario)
    environment = Environment(knowledge.world, scenario.situations)
    learner_of = learners(scenario, stopwatch)
    tokens = tokens_by(resolve(scenario.model))
    next_round = scenario.places[max(run.rounds_done - 1, 0) :][:1]
    for config in (scenario.learner_in(place.phase) for place in next_round):
        if isinstance(config, UpdateConfig):
            learner_of(config)  # loaded while everything starts
    population = Population(scenario.population, scenario.seed, knowledge.world)
    if done := run.rounds_done:
        series = pd.concat([run.table(n, "series") for n in range(done)], ignore_index=True)
        population.restore(run.table(done - 1, "population"), series)
        backend.load(run.adapter(done - 1))
    gc.unfreeze()  # what an earlier run of this process left
    gc.collect()
    gc.freeze()  # the libraries' objects live for ever; searching them for garbage takes seconds
    return Session(
        scenario, run, environment, backend, roles, costs, learner_of, tokens, population,
        knowledge, stopwatch, observer,
    )  # fmt: skip


def learners(scenario: Scenario, stopwatch: Stopwatch) -> Callable[[UpdateConfig], Learner]:
    """Returns what opens a phase's learner; only the last one stays in memory."""
    model, context = resolve(scenario.model), getattr(scenario.backend, "context", None)

    @lru_cache(maxsize=1)
    def learner_of(config: UpdateConfig) -> Learner:
        return open_learner(config, model, stopwatch, context)

    return learner_of
