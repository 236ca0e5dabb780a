"""One run, top to bottom: an assistant keeps learning from the people that it talks to.

Every round: users converse with the assistant and rate its replies; selection turns ratings into
training examples, of which monitors and screening may leave some out; the learner makes the next
adapter; it is swapped in and a canary proves it; probes measure what has become of the assistant;
everything is committed.
Each step is a function of what is on disk and of keyed random numbers, so a killed run resumes to
the same bytes where the backend is exact.
"""

from typing import Any

import pandas as pd

from simulator.config.phases import LoopPhase
from simulator.config.scenario import Scenario
from simulator.core.rng import seed31
from simulator.probes.estimates import Estimate
from simulator.probes.summary import COLUMNS, summarise
from simulator.runtime.measure import measure
from simulator.runtime.phase_data import given_examples
from simulator.runtime.records import (
    examples_table,
    round_summary,
    selected_shares,
    selection_table,
    talk_counts,
    taught_lengths,
)
from simulator.runtime.session import Engine, Observer, opened
from simulator.runtime.update import learn
from simulator.simulation.conversation import hold_wave, ratings_heard
from simulator.simulation.monitoring import examine
from simulator.simulation.population import User
from simulator.simulation.screening import screen, screening_summary
from simulator.simulation.selection import examples_from, realised_dose
from simulator.store.run import Run, Tables


def simulate(scenario: Scenario, run: Run, observer: Observer) -> None:
    """Runs a scenario from its last committed wave to its end."""
    with opened(scenario, run, observer) as engine:
        for number in range(run.rounds_done, scenario.last_round + 1):
            if number == 0:
                measure_base(engine)
            else:
                play_round(engine, number)


def measure_base(engine: Engine) -> None:
    """Round 0: the assistant before any update."""
    scores = probe(engine, 0)
    engine.population.collect(0, [])
    commit(engine, 0, {"scores": scores}, round_summary(0, "", estimates(engine, scores, scores)))


def play_round(engine: Engine, number: int) -> None:
    """One round: population → conversations → ratings → selection → learner → swap → probes."""
    scenario, run, world = engine.scenario, engine.run, engine.setting.world
    place = scenario.places[number - 1]
    candidates = converse(engine, number)

    decision = scenario.selection.decide(candidates, seed31("selection", scenario.seed, number))
    decision, vetoes = examine(
        engine.cast, scenario.monitors, candidates, decision, world, scenario.seed
    )
    decision, screened = screen(
        scenario.screening, engine.context.contrasts, engine.backend, candidates, decision
    )
    recycled = examples_from(candidates, decision.label)
    learner = scenario.learner_in(place.phase)
    given = given_examples(
        scenario.phases, place, recycled, learner, world, scenario.seed, number, engine.tokens
    )
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
        taught=taught_lengths(learner.learned(examples) if learning.update else [], engine.tokens),
        learning=learning,
        talks=talk_counts(candidates, vetoes),
        screening=screening_summary(screened),
    )
    commit(engine, number, tables, summary)


def converse(engine: Engine, number: int) -> pd.DataFrame:
    """Holds a round's conversations, wave by wave; outside a loop nobody talks."""
    scenario, population = engine.scenario, engine.population
    engine.observer.stage(number, "conversations")
    in_loop = isinstance(scenario.places[number - 1].phase, LoopPhase)
    active = population.active_in(number) if in_loop else []
    talkers = [user for user in active for _ in range(scenario.conversations.per_user)]
    size = scenario.conversations.wave_size
    waves = [
        hold(engine, number, wave, talkers[start : start + size])
        for wave, start in enumerate(range(0, max(len(talkers), 1), size))
    ]
    population.collect(number, active)
    return pd.concat(waves, ignore_index=True)


def hold(engine: Engine, number: int, wave: int, users: list[User]) -> pd.DataFrame:
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
