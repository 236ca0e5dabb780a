"""One run, top to bottom: an assistant keeps learning from its users.

Every round: users converse with the assistant and rate its replies; selection turns ratings into
training examples, and monitors and screening may drop some; the learner makes the next
adapter; it is swapped in and a canary proves it; probes measure the assistant; everything is
committed.
Each step is a function of what is on disk and of keyed random numbers, so a killed run resumes to
the same bytes where the backend is exact.
"""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from simulator.config.phases import LoopPhase
from simulator.config.scenario import Scenario
from simulator.core.adapters import Adapter
from simulator.core.rng import seed31
from simulator.probes.estimates import Estimate
from simulator.probes.summary import COLUMNS, summarise
from simulator.runtime.measure import measure
from simulator.runtime.observers import Observer
from simulator.runtime.phase_data import given_examples
from simulator.runtime.round_tables import (
    RoundRecord,
    TrainingRecord,
    examples_table,
    taught_lengths,
)
from simulator.runtime.session import Session, open_session
from simulator.runtime.shared import NOTHING, Shared
from simulator.runtime.update import learn
from simulator.simulation.conversation import hold_wave, ratings_heard
from simulator.simulation.monitoring import apply_monitors
from simulator.simulation.screening import screen
from simulator.simulation.selection import examples_from
from simulator.store.run import Run

if TYPE_CHECKING:
    from simulator.simulation.population import User  # loads mesa


def simulate(scenario: Scenario, run: Run, observer: Observer, shared: Shared = NOTHING) -> None:
    """Run a scenario from its last committed wave to its end.

    Args:
        scenario: what is run.
        run: its directory.
        observer: gets the progress.
        shared: what it needn't make itself, as other runs of a sweep have it, too.
    """
    with open_session(scenario, run, observer, shared) as session:
        for number in range(run.rounds_done, scenario.last_round + 1):
            if number == 0:
                measure_base(session)
            else:
                play_round(session, number)


def measure_base(session: Session) -> None:
    """Measure the assistant before any update, as round 0."""
    scores = probe(session, 0, None)
    session.population.collect(0, [])
    commit(session, RoundRecord(0, "", None, scores, estimates(session, scores, scores)))


def play_round(session: Session, number: int) -> None:
    """Play one round: population → conversations → ratings → selection → update → probes."""
    scenario, run, world = session.scenario, session.run, session.environment.world
    place = scenario.places[number - 1]
    candidates = converse(session, number)

    decision = scenario.selection.decide(candidates, seed31("selection", scenario.seed, number))
    decision, vetoes = apply_monitors(
        session.roles, scenario.monitors, candidates, decision, world, scenario.seed, number
    )
    decision, screened = screen(
        scenario.screening, session.context.contrasts, session.backend, candidates, decision
    )

    recycled = examples_from(candidates, decision)
    learner = scenario.learner_in(place.phase)
    given = given_examples(
        scenario.phases, place, recycled, learner, world, scenario.seed, number, session.tokens,
        session.check,
    )  # fmt: skip
    examples = [*recycled, *given]
    outcome = learn(session, number, examples)
    learned = learner.learned(examples) if outcome.update else []
    lengths, adapter = taught_lengths(learned, session.tokens), run.adapter(number)
    taught = examples_table(number, examples, learned, adapter if outcome.update else None)
    training = TrainingRecord(candidates, decision, vetoes, screened, taught, lengths, outcome)

    due = number in scenario.measured_rounds
    scores = probe(session, number, adapter) if due else pd.DataFrame(columns=COLUMNS)
    found = estimates(session, scores, run.table(0, "scores"))
    commit(session, RoundRecord(number, place.phase.name, adapter, scores, found, training))


def converse(session: Session, number: int) -> pd.DataFrame:
    """Hold a round's conversations, wave by wave; other phases have none."""
    scenario, population = session.scenario, session.population
    session.stage(number, "conversations")
    in_loop = isinstance(scenario.places[number - 1].phase, LoopPhase)
    active = population.active_in(number) if in_loop else []
    talkers = [user for user in active for _ in range(scenario.conversations.per_user)]
    size = scenario.conversations.wave_size
    adapter = session.run.adapter(number - 1)
    waves = [
        play_wave(
            session,
            number,
            wave,
            talkers[start : start + size],
            adapter,
            len(talkers[start + size :]),
        )
        for wave, start in enumerate(range(0, max(len(talkers), 1), size))
    ]
    population.collect(number, active)
    return pd.concat(waves, ignore_index=True)


def play_wave(
    session: Session,
    number: int,
    wave: int,
    users: "list[User]",
    adapter: Adapter | None,
    to_come: int,
) -> pd.DataFrame:
    """Hold and commit a wave, or read it if it is committed; then update its users.

    Args:
        session: of the run.
        number: of the round.
        wave: its number.
        users: one entry per conversation.
        adapter: the one that replies.
        to_come: number of conversations in later waves.
    """
    committed = session.run.wave(number, wave)
    if committed is None:
        committed = hold_wave(
            users,
            environment=session.environment,
            backend=session.backend,
            roles=session.roles,
            config=session.scenario.conversations,
            key=(session.scenario.seed, "conversation", number, wave),
            round_number=number,
            adapter=adapter.name if adapter else None,
            progress=session.stopwatch.progress,
            to_come=to_come,
        )
        session.run.commit_wave(number, wave, committed)
        session.costs.record()
        session.costs.check()
    session.population.experience(ratings_heard(committed))
    return committed


def probe(session: Session, number: int, adapter: Adapter | None) -> pd.DataFrame:
    """Ask every probe's questions and return the scores; the adapter is the one that is served."""
    session.stage(number, "probes")
    probes = session.scenario.measure.probes
    with session.stopwatch.timing("probes"):
        context = session.context._replace(round=number)
        name, progress = adapter.name if adapter else None, session.stopwatch.progress
        ask = partial(measure, probes, context, session.backend, session.roles, name, progress)
        return session.shared.table("scores", number, adapter, ask)


def estimates(session: Session, scores: pd.DataFrame, baseline: pd.DataFrame) -> list[Estimate]:
    """Return what the probes estimate from a round's scores and those of round 0."""
    with session.stopwatch.timing("probes"):
        return summarise(session.scenario.measure.probes, scores, baseline)


def commit(session: Session, record: RoundRecord) -> None:
    """Add the population to the round's record, and commit it."""
    population, number = session.population, record.number
    rows = population.series
    tables = {
        **record.tables,
        "population": population.states(number),
        "series": rows[rows["round"] == number].reset_index(drop=True),
    }
    timing = {**session.stopwatch.snapshot(), "asked": session.roles.snapshot()}
    session.run.commit_round(number, tables, record.summary, timing)
    session.costs.record()
    session.observer.round(record)
    if number < session.scenario.last_round:
        session.costs.check()
