"""Checking all data that a scenario names before the run starts."""

from collections.abc import Callable, Sequence
from typing import Any

from simulator.config.phases import AnyPhase, FinetunePhase, LoopPhase
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.data.contrasts import contrasts_of
from simulator.data.encoding_checks import Check
from simulator.data.lengths import Tokens, tokens_of
from simulator.data.mixture import by_turn, flat, mixed
from simulator.learners.config import AnyLearner
from simulator.runtime.phase_data import dealt, finetune_rows
from simulator.runtime.row_checks import Findings, check_of, found_in_rows
from simulator.worlds.base import World


def check_chats(scenario: Scenario, *, local: bool = False) -> Findings:
    """Read and check the data of phases and directions, and render their rows.

    Args:
        scenario: names them.
        local: whether no model is asked for that isn't in a local folder, and only rows of files
            are rendered, so that most scenarios are checked without a model library.

    Raises:
        ScenarioError: some can't be read or used; lists all mistakes, with their place in the
            scenario.
    """
    world, tokens = scenario.world, tokens_of(scenario.backend, scenario.assistant_ref)
    check = check_of(scenario, local=local)
    findings = found_in_rows(scenario, world, check, triggers=not local)
    mistakes = [mistake for found in findings.mistakes.values() for mistake in found]
    learners = scenario.learners
    for index in range(len(scenario.phases)):
        if not findings.wrong(f"phases.{index}."):
            mistakes += _mistakes(
                check_phase, scenario.phases, index, learners, world, scenario.seed, tokens, check
            )
    for name, direction in scenario.directions.items():
        if not findings.wrong(f"directions.{name}."):
            mistakes += _mistakes(contrasts_of, {name: direction}, world, check)
    if mistakes:
        raise ScenarioError(*mistakes)
    return findings


def check_phase(
    phases: Sequence[AnyPhase],
    index: int,
    learners: Sequence[AnyLearner],
    world: World | None,
    seed: int,
    tokens: Tokens,
    check: Check,
) -> None:
    """Match a phase's lengths where set, and check that its learner can use its rows.

    Args:
        phases: all phases of a run.
        index: of the phase.
        learners: the learner of each.
        world: the organism's.
        seed: of the run.
        tokens: counts the tokens of replies.
        check: says which rows the model can't read, for sources that leave bad rows out.

    Raises:
        ScenarioError: some can't be read or used; names their place in the scenario.
    """
    phase, learner = phases[index], learners[index]
    if isinstance(phase, FinetunePhase):
        rows = by_turn(finetune_rows(phases, index, world, seed, tokens, check))
        _check_rows(f"phases.{index}", phase, learner, rows)
    elif isinstance(phase, LoopPhase) and phase.static is not None:
        given = mixed(phase.static.data, world, stream("check", index), check)
        if not learner.learned(given):
            raise ScenarioError(
                f"phases.{index}.static: '{learner.kind}' can learn nothing from these data"
            )


def _check_rows(
    path: str, phase: FinetunePhase, learner: AnyLearner, rows: Sequence[Sequence[Example]]
) -> None:
    """Refuse data that give the learner nothing in one of the phase's rounds."""
    if lacking := learner.lacking(flat(rows)):
        raise ScenarioError(
            f"{path}.data: no {lacking} in these data, which '{learner.kind}' needs"
        )
    for part in range(phase.rounds):
        if lacking := learner.lacking(dealt(rows, part, phase.rounds)):
            raise ScenarioError(
                f"{path}.rounds: of {len(rows)} rows, dealt out over {phase.rounds} rounds, "
                f"round {part + 1} gets no {lacking}"
            )


def _mistakes(check: Callable[..., object], *given: Any) -> tuple[str, ...]:
    """Return the mistakes that a check finds."""
    try:
        check(*given)
    except ScenarioError as error:
        return error.mistakes
    return ()
