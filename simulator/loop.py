"""One run, top to bottom: an assistant keeps learning from the people that it talks to.

Every round: users converse with the assistant and rate its replies; selection turns ratings into
training examples, of which monitors and screening may leave some out; the learner makes the next
adapter; it is swapped in and a canary proves it; probes measure what has become of the assistant;
everything is committed.
Each step is a function of what is on disk and of keyed random numbers, so a killed run resumes to
the same bytes where the backend is exact.
"""

import contextlib
import gc
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import pandas as pd

from analysis.probes.base import Context
from analysis.probes.estimates import Estimate
from analysis.probes.summary import COLUMNS, summarise
from simulator import models
from simulator.backends.base import Backend, open_backend
from simulator.backends.server import end_leftovers
from simulator.canary import Canary, check_swap
from simulator.cast import Cast, hire
from simulator.collapse import Speech, compared, contexts, unreadable
from simulator.conversation import Setting, hold_wave, ratings_heard
from simulator.costs import Purse
from simulator.errors import Diverged, LearnerError
from simulator.learners.base import Learner, Update, open_learner
from simulator.learners.config import UpdateConfig
from simulator.lengths import Tokens, tokens_by
from simulator.measurement import measure
from simulator.phases import LoopPhase, anchors_of, given_examples
from simulator.population import Population, User
from simulator.probe_data import context_of
from simulator.randomness import seed31
from simulator.records import (
    Learning,
    examples_table,
    round_summary,
    selected_shares,
    selection_table,
    talk_counts,
    taught_lengths,
)
from simulator.scenario import Scenario
from simulator.screening import screen, screening_summary
from simulator.selection import examples_from, realised_dose
from simulator.stopwatch import Stopwatch
from simulator.store import Run, Tables
from simulator.types import Example, Request
from simulator.vetoes import examine


class Observer(Protocol):
    """Watches a run; shows progress."""

    def stage(self, number: int, what: str) -> None:
        """A round enters a stage."""
        ...

    def wave(self, conversations: int, tokens: int) -> None:
        """A wave is done: its conversations, and all tokens generated so far."""
        ...

    def round(self, number: int, summary: dict[str, Any]) -> None:
        """A round is committed."""
        ...


class Engine(NamedTuple):
    """What a run works with."""

    scenario: Scenario
    run: Run
    setting: Setting
    backend: Backend
    cast: Cast
    purse: Purse
    learner_of: Callable[[UpdateConfig], Learner]
    tokens: Tokens
    population: Population
    context: Context
    questions: dict[str, list[Request]]  # what each probe asks, the same in every round
    stopwatch: Stopwatch
    observer: Observer


def simulate(scenario: Scenario, run: Run, observer: Observer) -> None:
    """Runs a scenario from its last committed wave to its end."""
    end_leftovers()
    stopwatch, done = Stopwatch(), run.rounds_done
    purse = Purse(run.path, scenario.cost_cap, stopwatch.usage)
    if done <= scenario.last_round:
        purse.check()
    model = models.resolve(scenario.model)
    observer.stage(done, "loading the model")
    with stopwatch.timing("start"):
        backend = open_backend(
            scenario.backend,
            model,
            stopwatch,
            log=run.path / "server.log",
            on_wait=lambda seconds: observer.stage(done, f"starting the server, {seconds:.0f} s"),
        )
    with contextlib.closing(backend), contextlib.ExitStack() as stack:
        with stopwatch.timing("start"):
            cast = stack.enter_context(contextlib.closing(hire(scenario, run, backend, stopwatch)))
            engine = assemble(scenario, run, backend, cast, purse, stopwatch, observer)
        for number in range(done, scenario.last_round + 1):
            if number == 0:
                measure_base(engine)
            else:
                play_round(engine, number)


def assemble(
    scenario: Scenario,
    run: Run,
    backend: Backend,
    cast: Cast,
    purse: Purse,
    stopwatch: Stopwatch,
    observer: Observer,
) -> Engine:
    """Puts together what a run works with, as it was after the last committed round."""
    knowledge = context_of(scenario)
    setting = Setting(knowledge.world, scenario.situations)
    learner_of = learners(scenario, stopwatch)
    tokens = tokens_by(models.resolve(scenario.model))
    next_round = scenario.places[max(run.rounds_done - 1, 0) :][:1]
    for config in (scenario.learner_in(place.phase) for place in next_round):
        if isinstance(config, UpdateConfig):
            learner_of(config)  # loaded while everything starts
    population = Population(scenario.population, scenario.seed)
    if done := run.rounds_done:
        series = pd.concat([run.table(n, "series") for n in range(done)], ignore_index=True)
        population.restore(run.table(done - 1, "population"), series)
        backend.load(run.adapter(done - 1))
    questions = {n: p.requests(knowledge) for n, p in scenario.measure.probes.items()}
    gc.unfreeze()  # what an earlier run of this process left
    gc.collect()
    gc.freeze()  # the libraries' objects live for ever; searching them for garbage takes seconds
    return Engine(
        scenario, run, setting, backend, cast, purse, learner_of, tokens, population, knowledge,
        questions, stopwatch, observer,
    )  # fmt: skip


def learners(scenario: Scenario, stopwatch: Stopwatch) -> Callable[[UpdateConfig], Learner]:
    """Returns what opens a phase's learner; only the last one stays in memory."""
    model, context = models.resolve(scenario.model), getattr(scenario.backend, "context", None)

    @lru_cache(maxsize=1)
    def learner_of(config: UpdateConfig) -> Learner:
        return open_learner(config, model, stopwatch, context)

    return learner_of


def measure_base(engine: Engine) -> None:
    """Round 0: the assistant before any update."""
    scores = probe(engine, 0)
    engine.population.collect(0, [])
    summary = round_summary(0, "", estimates(engine, scores, scores), None)
    commit(engine, 0, {"scores": scores}, summary)


def play_round(engine: Engine, number: int) -> None:
    """One round: population → conversations → ratings → selection → learner → swap → probes.

    Outside a loop nobody talks, and what is learned from is given.
    """
    scenario, run, population = engine.scenario, engine.run, engine.population
    place = scenario.places[number - 1]
    active = population.active_in(number) if isinstance(place.phase, LoopPhase) else []
    talkers = [user for user in active for _ in range(scenario.conversations.per_user)]
    size = scenario.conversations.wave_size
    engine.observer.stage(number, "conversations")
    waves = [
        converse(engine, number, wave, talkers[start : start + size])
        for wave, start in enumerate(range(0, max(len(talkers), 1), size))
    ]
    population.collect(number, active)

    candidates = pd.concat(waves, ignore_index=True)
    decision = scenario.selection.decide(candidates, seed31("selection", scenario.seed, number))
    decision, vetoes = examine(
        engine.cast, scenario.monitors, candidates, decision, engine.setting.world, scenario.seed
    )
    decision, screened = screen(
        scenario.screening, engine.context.contrasts, engine.backend, candidates, decision
    )
    recycled = examples_from(candidates, decision.label)
    given = given_examples(
        scenario.phases, place, len(recycled), engine.setting.world, scenario.seed, number,
        engine.tokens,
    )  # fmt: skip
    examples = [*recycled, *given]
    learning = learn(engine, number, examples)

    due = number in scenario.measured_rounds
    scores = probe(engine, number) if due else pd.DataFrame(columns=COLUMNS)
    tables = {
        "scores": scores,
        "selection": selection_table(candidates, decision),
        "examples": examples_table(examples),
        "vetoes": vetoes,
        "screening": screened,
    }
    summary = round_summary(
        number,
        place.phase.name,
        estimates(engine, scores, run.table(0, "scores")),
        run.adapter(number),
        dose=realised_dose(candidates, decision.label),
        shares=selected_shares(candidates, decision),
        taught=taught_lengths(examples, engine.tokens),
        learning=learning,
        talks=talk_counts(candidates, vetoes),
        screening=screening_summary(screened),
    )
    commit(engine, number, tables, summary)


def commit(engine: Engine, number: int, tables: Tables, summary: dict[str, Any]) -> None:
    """Adds the population to what a round left, and makes it final."""
    population = engine.population
    rows = population.series
    everything = {
        **tables,
        "population": population.states,
        "series": rows[rows["round"] == number].reset_index(drop=True),
    }
    timing = {**engine.stopwatch.lap(), "asked": engine.cast.lap()}
    engine.run.commit_round(number, everything, summary, timing)
    engine.purse.settle()
    engine.observer.round(number, summary)
    if number < engine.scenario.last_round:
        engine.purse.check()


def converse(engine: Engine, number: int, wave: int, users: list[User]) -> pd.DataFrame:
    """Holds and commits a wave, or reads it if it is committed; then its users live through it."""
    committed = engine.run.wave(number, wave)
    if committed is None:
        committed = hold_wave(
            users,
            setting=engine.setting,
            backend=engine.backend,
            cast=engine.cast,
            config=engine.scenario.conversations,
            key=(engine.scenario.seed, "conversation", number, wave),
        )
        engine.run.commit_wave(number, wave, committed)
        engine.purse.settle()
        engine.purse.check()
    engine.population.experience(ratings_heard(committed))
    engine.observer.wave(len(users), engine.stopwatch.tokens)
    return committed


def learn(engine: Engine, number: int, examples: list[Example]) -> Learning:
    """Makes the round's adapter, swaps it in, and proves that it is the one that answers.

    The assistant stays as it is where nothing is to be learned, where selection left too little to
    learn from, and where an update that diverged is rolled back.
    """
    phase = engine.scenario.places[number - 1].phase
    config = engine.scenario.learner_in(phase)
    if not isinstance(config, UpdateConfig):
        return Learning()
    if lacking := config.lacking(examples):
        return Learning(unchanged=f"no {lacking} was selected")
    learner, parent = engine.learner_of(config), engine.run.checkpoint(number - 1)
    seed = seed31("update", engine.scenario.seed, number)
    anchors = anchors_of(phase, engine.setting.world, seed)
    push = config.preventive
    contrast = engine.context.contrasts[push.direction] if push else None
    engine.observer.stage(number, "update")
    asked = contexts(examples, engine.scenario.conversations, seed) if config.collapse else []
    before = unreadable(engine.backend, asked)
    try:
        update: Update = engine.run.write_checkpoint(
            number, lambda out: learner.fit(parent, examples, seed, out, anchors, contrast)
        )
    except Diverged as error:
        return rolled_back(config, error)
    canary = swap(engine, number, update)
    speech = compared(before, unreadable(engine.backend, asked), config.collapse)
    if speech and speech.collapsed:
        engine.run.drop_checkpoint(number)
        engine.backend.load(engine.run.adapter(number))  # that of the round before again
        engine.backend.settle()
        return rolled_back(config, Diverged(speech.words), speech)
    engine.backend.settle()
    return Learning(update, canary, speech)


def rolled_back(config: UpdateConfig, why: Diverged, speech: Speech | None = None) -> Learning:
    """Goes on with the assistant as it was, or ends the run, as the scenario says."""
    if config.on_divergence == "end":
        raise why
    return Learning(speech=speech, unchanged=f"the update was rolled back: {why}")


def swap(engine: Engine, number: int, update: Update) -> Canary:
    """Lets the round's adapter answer, and proves that it does."""
    engine.backend.load(engine.run.adapter(number))
    canary = check_swap(engine.backend, update.readings)
    if canary.verdict == "failed":
        raise LearnerError(
            f"round {number}: the canary failed: the model that answers is nearer to the parent "
            f"({canary.to_parent:.2g} nats) than to the new adapter ({canary.to_new:.2g})"
        )
    return canary


def probe(engine: Engine, number: int) -> pd.DataFrame:
    """Asks every probe's questions and returns the scores."""
    engine.observer.stage(number, "probes")
    probes = engine.scenario.measure.probes
    with engine.stopwatch.timing("probes"):
        return measure(probes, engine.questions, engine.context, engine.backend, engine.cast)


def estimates(engine: Engine, scores: pd.DataFrame, baseline: pd.DataFrame) -> list[Estimate]:
    """Returns what the probes estimate from a round's scores and those of round 0."""
    with engine.stopwatch.timing("probes"):
        return summarise(engine.scenario.measure.probes, scores, baseline)
