"""What a run would take: requests, tokens, memory and time, from a short trial on this machine."""

import contextlib
import resource
import time
from typing import NamedTuple

from rich.table import Table

from analysis.probes.base import Context
from simulator import models
from simulator.backends.base import Backend, answer, open_backend
from simulator.backends.transformers import TransformersBackend
from simulator.conversation import hold_wave
from simulator.learners.base import SFTConfig
from simulator.population import Population
from simulator.scenario import Scenario
from simulator.stopwatch import Stopwatch
from simulator.types import GenerationRequest

TRIAL_CONVERSATIONS = 64
BACKWARD_COST = 3.0  # a training step costs about three forward passes


class Trial(NamedTuple):
    """What a few conversations cost."""

    conversations: int
    replies: int
    tokens: int
    seconds: float


def forecast_table(scenario: Scenario) -> Table:
    """Tries a few conversations and one measurement, and scales them to the whole run."""
    model, world = models.resolve(scenario.model), models.world_of(scenario.model)
    stopwatch = Stopwatch()
    population, context = (
        Population(scenario.population, scenario.seed),
        Context(world, scenario.seed),
    )
    asked = [r for p in scenario.measure.probes.values() for r in p.requests(context)]
    with contextlib.closing(open_backend(scenario.backend, model, stopwatch)) as backend:
        trial = _trial(scenario, backend, population, stopwatch)
        started = time.perf_counter()
        answer(backend, asked)
        probe_seconds = time.perf_counter() - started

    per_round = round(
        scenario.population.users * scenario.population.active * scenario.conversations.per_user
    )
    held = per_round * scenario.rounds
    scale = held / trial.conversations
    measured = 1 + -(-scenario.rounds // scenario.measure.every)
    learning = 0.0
    if isinstance(scenario.learner, SFTConfig):
        epochs = scenario.learner.epochs / scenario.conversations.candidates
        learning = trial.seconds * scale * BACKWARD_COST * epochs
    seconds = trial.seconds * scale + probe_seconds * measured + learning
    samples = sum(len(r.keys) for r in asked if isinstance(r, GenerationRequest))
    table = Table(title=f"{scenario.name}: forecast", title_justify="left")
    table.add_column("what")
    table.add_column("about", justify="right")
    table.add_row("users, of which biased", _of(scenario))
    table.add_row("conversations", f"{held:,}")
    table.add_row("replies sampled in conversations", f"{round(trial.replies * scale):,}")
    table.add_row("tokens generated in them", f"{round(trial.tokens * scale):,}")
    table.add_row("replies sampled by probes", f"{samples * measured:,}")
    table.add_row("updates", f"{scenario.rounds if learning else 0}")
    if isinstance(backend, TransformersBackend):
        table.add_row("model parameters", f"{_parameters(backend):,}")
    table.add_row("memory, at least", f"{_peak_gib():.1f} GiB")
    table.add_row("time on this machine, start-up aside", f"{seconds:,.0f} s")
    return table


def _trial(
    scenario: Scenario, backend: Backend, population: Population, stopwatch: Stopwatch
) -> Trial:
    members = population.members
    step = max(1, len(members) // TRIAL_CONVERSATIONS)
    users = members[::step][:TRIAL_CONVERSATIONS]
    world = models.world_of(scenario.model)
    started = time.perf_counter()
    held = hold_wave(
        users, world=world, backend=backend, config=scenario.conversations, key=("forecast", 0, 0)
    )
    return Trial(len(users), len(held), stopwatch.tokens, time.perf_counter() - started)


def _of(scenario: Scenario) -> str:
    return f"{scenario.population.users:,}, {scenario.biased_share:.1%}"


def _parameters(backend: TransformersBackend) -> int:
    return sum(p.numel() for p in backend.model.parameters())


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
