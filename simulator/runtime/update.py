"""A round's update: the next adapter is trained, swapped in, and proved by the canary."""

from simulator.config.phases import resets_optimizer
from simulator.core.errors import Diverged, LearnerError
from simulator.core.examples import Example
from simulator.core.progress import task_of
from simulator.core.rng import seed31
from simulator.learners.base import FitRequest, Update
from simulator.learners.config import UpdateConfig
from simulator.runtime.canary import Canary, check_swap, error_of
from simulator.runtime.collapse import Speech, compared, contexts, unreadable
from simulator.runtime.phase_data import anchors_of
from simulator.runtime.round_tables import UpdateOutcome
from simulator.runtime.session import Session


def learn(session: Session, number: int, examples: list[Example]) -> UpdateOutcome:
    """Train the round's adapter, swap it in, and prove that it answers.

    The assistant stays unchanged without a learner, if too few examples are selected, and if a
    diverged update is rolled back.
    """
    scenario = session.scenario
    place = scenario.places[number - 1]
    phase, config = place.phase, scenario.learner_in(place.phase)
    if not isinstance(config, UpdateConfig):
        return UpdateOutcome()
    if lacking := config.lacking(examples):
        return UpdateOutcome(unchanged=f"there was no {lacking}")
    learner, parent = session.learner_of(config), session.run.checkpoint(number - 1)
    first = parent == session.run.checkpoint(number - 1 - place.part)  # update of the phase
    reset = first and resets_optimizer(scenario.phases, scenario.learners, place.index)
    seed = seed31("update", scenario.seed, number)
    anchors = anchors_of(phase, session.environment.world, seed, session.check)
    push = config.preventive
    contrast = session.context.contrasts[push.direction] if push else None
    session.stage(number, "update")
    asked = contexts(examples, scenario.conversations, seed) if config.collapse else []
    progress = session.stopwatch.progress
    with progress.doing(task_of(asked, "replies before it")):
        before = unreadable(session.backend, asked)
    try:
        update: Update = session.run.write_checkpoint(
            number,
            lambda out: learner.fit(
                FitRequest(parent, examples, seed, out, anchors, contrast, reset)
            ),
        )
    except Diverged as error:
        return rolled_back(config, error)
    canary = swap(session, number, update)
    with progress.doing(task_of(asked, "replies after it")):
        speech = compared(before, unreadable(session.backend, asked), config.collapse)
    if speech and speech.collapsed:
        session.run.drop_checkpoint(number)
        session.backend.load(session.run.adapter(number))  # back to that of the round before
        session.backend.drop_previous()
        return rolled_back(config, Diverged(speech.words), speech)
    session.backend.drop_previous()
    return UpdateOutcome(update, canary, speech)


def rolled_back(config: UpdateConfig, why: Diverged, speech: Speech | None = None) -> UpdateOutcome:
    """Keep the unchanged assistant, or stop the run, as the scenario says."""
    if config.on_divergence == "end":
        raise why
    return UpdateOutcome(speech=speech, unchanged=f"the update was rolled back: {why}")


def swap(session: Session, number: int, update: Update) -> Canary:
    """Serve the round's adapter, and prove that it answers."""
    error = error_of(session.backend, update.readings)
    session.backend.load(session.run.adapter(number))
    canary = check_swap(session.backend, update.readings, error)
    if canary.verdict == "failed":
        raise LearnerError(
            f"round {number}: the canary failed: the model that answers is {canary.to_new:.2g} "
            f"nats from the new adapter and {canary.to_parent:.2g} from its parent, so it isn't "
            "the new one; see which adapter the server has, and resume the run"
        )
    return canary
