"""The session of a run: opened from its directory, and closed at its end."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.factory import open_backend
from simulator.backends.server_process import end_leftovers
from simulator.config.scenario import Scenario
from simulator.core.garbage_collection import free_leftovers
from simulator.core.progress import Planned
from simulator.core.timing import Stopwatch
from simulator.data.encoding_checks import Check
from simulator.data.lengths import Tokens, tokens_of
from simulator.learners.base import Learner
from simulator.learners.config import UpdateConfig
from simulator.learners.factory import open_learner
from simulator.probes.base import Context
from simulator.runtime.budget import CostTracker
from simulator.runtime.known_items import known_world
from simulator.runtime.observers import Observer
from simulator.runtime.plan import Plan, Work
from simulator.runtime.probe_context import context_of
from simulator.runtime.roles import open_roles
from simulator.runtime.row_checks import check_of
from simulator.runtime.shared import NOTHING, Shared
from simulator.runtime.shared_measurements import SharedMeasurements
from simulator.simulation.conversation import Environment
from simulator.simulation.roles import Roles
from simulator.store.run import Run

if TYPE_CHECKING:
    from simulator.simulation.population import Population


@dataclass(frozen=True)
class Session:
    """The parts of a running run: backend, roles, learners, population."""

    scenario: Scenario
    run: Run
    environment: Environment
    backend: Backend
    roles: Roles
    costs: CostTracker
    learner_of: Callable[[UpdateConfig], Learner]
    tokens: Tokens
    check: Check  # of rows from outside the run
    context: Context
    stopwatch: Stopwatch
    observer: Observer
    plan: Plan
    shared: SharedMeasurements

    def stage(self, number: int, what: str, more: str = "") -> None:
        """Begin a stage of a round; `more` tells where in it we are."""

        def planned() -> Planned:
            here = self.plan.of(number).get(what, Work())
            # An update's examples are known by now, so its steps tell its cost.
            return Planned(0.0 if here.learned else here.cost, self.plan.after(number, what))

        self.stopwatch.progress.enter(planned)
        self.observer.stage(number, f"{what}{more}")

    @cached_property
    def population(self) -> "Population":
        """The users after the last committed round, made on first use.

        So the first probes don't wait for mesa to load.
        """
        from simulator.simulation.population import Population

        config, seed = self.scenario.population, self.scenario.seed
        population = Population(config, seed, self.environment.world)
        if done := self.run.rounds_done:
            series = pd.concat(
                [self.run.table(n, "series") for n in range(done)], ignore_index=True
            )
            population.restore(self.run.table(done - 1, "population"), series)
        return population


@contextlib.contextmanager
def open_session(
    scenario: Scenario, run: Run, observer: Observer, shared: Shared = NOTHING
) -> Iterator[Session]:
    """Open the session of a run, as after its last committed round.

    Args:
        scenario: what is run.
        run: its directory.
        observer: gets the progress.
        shared: what it needn't make itself.

    Raises:
        CostCapReached: the run's cost cap is reached.
    """
    end_leftovers()
    free_leftovers()
    stopwatch, done = Stopwatch(), run.rounds_done
    costs = CostTracker(run.path, scenario.cost_cap)
    if done <= scenario.last_round:
        costs.check()
    model = scenario.assistant_ref
    stopwatch.progress.listener = lambda: observer.progress(stopwatch.progress)
    observer.stage(done, "loading the model")
    with contextlib.ExitStack() as stack:
        with stopwatch.timing("start"):
            backend = open_backend(
                scenario.backend,
                model,
                stopwatch,
                log=run.path / "server.log",
                on_wait=lambda s: observer.stage(done, f"starting the server, {s:.0f} s"),
                ledger=costs,
                server=shared.server,
            )
            stack.enter_context(contextlib.closing(backend))
            roles = stack.enter_context(
                contextlib.closing(open_roles(scenario, run, backend, stopwatch, costs))
            )
            measured = SharedMeasurements(shared.measurements, scenario, run.manifest)
            session = assemble(scenario, run, backend, roles, costs, stopwatch, observer, measured)
        yield session


def assemble(
    scenario: Scenario,
    run: Run,
    backend: Backend,
    roles: Roles,
    costs: CostTracker,
    stopwatch: Stopwatch,
    observer: Observer,
    shared: SharedMeasurements,
) -> Session:
    """Assemble the session of a run, as after its last committed round."""
    world = known_world(scenario, run, backend, observer, stopwatch.progress, shared)
    knowledge = context_of(scenario, world)
    environment = Environment(world, scenario.situations)
    learner_of = learners(scenario, stopwatch)
    tokens, check = tokens_of(scenario.backend, scenario.assistant_ref), check_of(scenario)
    if done := run.rounds_done:
        backend.load(run.adapter(done - 1))
    return Session(
        scenario, run, environment, backend, roles, costs, learner_of, tokens, check,
        knowledge, stopwatch, observer, Plan(scenario, knowledge), shared,
    )  # fmt: skip


def learners(scenario: Scenario, stopwatch: Stopwatch) -> Callable[[UpdateConfig], Learner]:
    """Return a function that opens a phase's learner; only the last one stays in memory."""
    model, context = scenario.assistant_ref, getattr(scenario.backend, "context", None)

    @lru_cache(maxsize=1)
    def learner_of(config: UpdateConfig) -> Learner:
        return open_learner(config, model, stopwatch, context)

    return learner_of
