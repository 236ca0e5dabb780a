"""Estimates of a run's requests, tokens, memory, time and costs."""

import contextlib
import resource
import time
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from rich.table import Table

from simulator.backends.base import Backend
from simulator.backends.config import (
    SERVERS_SHARE,
    AutoConfig,
    OpenAIConfig,
    TransformersConfig,
    VLLMConfig,
)
from simulator.backends.factory import open_backend
from simulator.config.phases import FinetunePhase
from simulator.config.scenario import Scenario
from simulator.core.errors import BackendError
from simulator.core.requests import GenerationRequest
from simulator.core.timing import Stopwatch
from simulator.data.lengths import tokens_of
from simulator.experiments.held import held, memory_of
from simulator.learners.config import UpdateConfig
from simulator.models.devices import device_of
from simulator.models.memory import GIB, model_size
from simulator.models.resolve import is_organism, world_of
from simulator.runtime.measure import measure
from simulator.runtime.model_checks import check_models
from simulator.runtime.phase_data import finetune_rows
from simulator.runtime.plan import Plan
from simulator.runtime.probe_context import context_of
from simulator.runtime.row_checks import check_of
from simulator.runtime.upper_bounds import bounds, conversations_per_round, cost
from simulator.simulation.config import ASSISTANT
from simulator.simulation.conversation import Environment, hold_wave
from simulator.simulation.population import Population
from simulator.simulation.roles import Roles, assistant_client

TRIAL_CONVERSATIONS = 64
BACKWARD_COST = 3.0  # a training step costs about three forward passes


class Trial(NamedTuple):
    """The cost of a few conversations."""

    conversations: int
    replies: int
    tokens: int
    seconds: float


def dry_run_table(scenario: Scenario) -> Table:
    """Return an estimate of a run: by trial for an organism, by counting for larger models."""
    check_models(scenario)
    return _tried(scenario) if is_tried(scenario) else _counted(scenario)


def is_tried(scenario: Scenario) -> bool:
    """Return whether a run is estimated by holding a few of its conversations."""
    alone = is_organism(scenario.model) and not scenario.asked_roles - {ASSISTANT}
    return alone and isinstance(scenario.backend, TransformersConfig)


def _counted(scenario: Scenario) -> Table:
    """Return upper bounds of a run, by counting; no model is loaded or asked."""
    found = bounds(scenario)
    table = Table(
        title=f"{scenario.name}: at most",
        caption="Every conversation taken as long as it may be; tokens of prompts are estimates.",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("who", "what", "requests", "tokens read", "tokens written"):
        table.add_column(heading, justify="right" if heading[:3] in ("req", "tok") else "left")
    for bound in found:
        counts = (f"{n:,}" for n in bound[2:])
        table.add_row(bound.role, bound.what, *counts)
    table.add_section()
    for what, amount in _amounts(scenario):
        table.add_row("assistant", what, "", "", amount)
    table.add_row(
        "endpoints", "cost at the scenario's prices", "", "", f"{cost(scenario, found):,.2f}"
    )
    return table


def _amounts(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield the parts of the assistant's memory."""
    backend = scenario.backend
    backend = backend.chosen if isinstance(backend, AutoConfig) else backend
    if isinstance(backend, OpenAIConfig):
        yield "memory", "none here: it is at an endpoint"
        return
    learner = next((one for one in scenario.learners if isinstance(one, UpdateConfig)), None)
    try:
        size = model_size(scenario.assistant_ref, backend.dtype, getattr(backend, "device", "auto"))
        copy = learner and model_size(scenario.assistant_ref, learner.dtype, learner.device)
    except BackendError:
        yield "memory", "not known: its configuration isn't here"
        return
    yield "parameters", f"{size.parameters:,}"
    yield "its weights", gib(size.weights)
    if copy:
        yield "the learner's copy of them, where it runs", gib(copy.weights)
    if isinstance(backend, VLLMConfig):
        yield _of_server(backend)
        return
    found = held(Plan(scenario, context_of(scenario, scenario.world)), size, copy or size)
    batch = found.batch
    yield f"keys and values at once: {batch.words}", gib(found.cache)
    yield "what else such a batch holds", gib(found.working)
    if copy:
        yield "what a step of an update holds", gib(found.learning)
    yield "all that is held at once, with libraries", gib(memory_of(scenario))


def _of_server(backend: VLLMConfig) -> tuple[str, str]:
    """Return what a server keeps for keys and values."""
    if device_of("auto").type == "cpu":
        room = f"{backend.cpu_cache_gib} GiB"
        return "its server's keys and values; requests wait for room", room
    share = f"{backend.memory_share or SERVERS_SHARE:.0%}"
    return "its server's share of the GPU; requests wait for room", share


def gib(count: float) -> str:
    """Return bytes as text."""
    return f"{count / GIB:,.1f} GiB"


def _tried(scenario: Scenario) -> Table:
    """Try a few conversations and one measurement, and scale them to the whole run."""
    model = scenario.assistant_ref
    stopwatch = Stopwatch()
    context = context_of(scenario, scenario.world)
    population = Population(scenario.population, scenario.seed, context.world)
    probes = scenario.measure.probes
    with contextlib.closing(open_backend(scenario.backend, model, stopwatch)) as backend:
        trial = _trial(scenario, backend, population, stopwatch)
        started = time.perf_counter()
        roles = Roles({ASSISTANT: assistant_client(scenario.model, backend)}, ())
        measure(probes, context, backend, roles)
        probe_seconds = time.perf_counter() - started

    held = conversations_per_round(scenario) * scenario.loop_rounds
    scale = held / trial.conversations
    measured = len(scenario.measured_rounds)
    lessons = _lessons(scenario, trial)
    learning = trial.seconds / trial.replies * BACKWARD_COST * sum(lessons)
    seconds = trial.seconds * scale + probe_seconds * measured + learning
    asked = chain.from_iterable(probe.requests(context) for probe in probes.values())
    samples = sum(len(r.keys) for r in asked if isinstance(r, GenerationRequest))
    table = Table(
        title=f"{scenario.name}: dry run, estimated from a short trial", title_justify="left"
    )
    table.add_column("what")
    table.add_column("about", justify="right")
    table.add_row("users, of which biased", _of(scenario))
    table.add_row("conversations", f"{held:,}")
    table.add_row("replies sampled in conversations", f"{round(trial.replies * scale):,}")
    table.add_row("tokens generated in them", f"{round(trial.tokens * scale):,}")
    table.add_row("replies sampled by probes", f"{samples * measured:,}")
    table.add_row("updates", f"{len(lessons)}")
    table.add_row("replies learned from, all epochs", f"{round(sum(lessons)):,}")
    size = model_size(model, "float32")
    table.add_row("model parameters", f"{size.parameters:,}")
    table.add_row("memory, at least", f"{_peak_gib():.1f} GiB")
    table.add_row("time on this machine, start-up aside", f"{seconds:,.0f} s")
    return table


def _trial(
    scenario: Scenario, backend: Backend, population: Population, stopwatch: Stopwatch
) -> Trial:
    members = population.members
    step = max(1, len(members) // TRIAL_CONVERSATIONS)
    users = members[::step][:TRIAL_CONVERSATIONS]
    environment = Environment(world_of(scenario.model), ())
    started = time.perf_counter()
    held = hold_wave(
        users,
        environment=environment,
        backend=backend,
        roles=Roles({}, ()),
        config=scenario.conversations,
        key=("forecast", 0, 0),
        round_number=1,
    )
    return Trial(len(users), len(held), stopwatch.tokens, time.perf_counter() - started)


def _lessons(scenario: Scenario, trial: Trial) -> list[float]:
    """Return the number of replies of each update, over all of its epochs."""
    a_talk = trial.replies / trial.conversations / scenario.conversations.candidates
    world, tokens = world_of(scenario.model), tokens_of(scenario.backend, scenario.assistant_ref)
    check = check_of(scenario)
    found = []
    for place in scenario.places:
        phase, learner = place.phase, scenario.learner_in(place.phase)
        if not isinstance(learner, UpdateConfig):
            continue
        if isinstance(phase, FinetunePhase):
            rows = finetune_rows(scenario.phases, place.index, world, scenario.seed, tokens, check)
            replies = len(learner.learned(rows)) / place.parts
        else:
            replies = a_talk * conversations_per_round(scenario)
        found.append(replies * learner.epochs)
    return found


def _of(scenario: Scenario) -> str:
    return f"{scenario.population.users:,}, {scenario.biased_share:.1%}"


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
