"""Checking all data that a scenario names before the run starts."""

from collections.abc import Iterator, Sequence

from simulator.config.phases import AnyPhase, FinetunePhase, LoopPhase, ProbePhase
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.data.contrasts import contrasts_of
from simulator.data.lengths import Tokens, tokens_by
from simulator.data.mixture import AnyData, by_turn, flat, mixed
from simulator.learners.config import AnyLearner
from simulator.models.resolve import world_or_none
from simulator.runtime.phase_data import dealt, finetune_rows
from simulator.worlds.base import World


def check_chats(scenario: Scenario) -> None:
    """Read and check the data of phases and directions.

    Raises:
        ScenarioError: some can't be read or used; names their place in the scenario.
    """
    world, tokens = world_or_none(scenario.model), tokens_by(scenario.assistant_ref)
    check_data(scenario.phases, scenario.learners, world, scenario.seed, tokens)
    contrasts_of(scenario.directions, world)


def check_data(
    phases: Sequence[AnyPhase],
    learners: Sequence[AnyLearner],
    world: World | None,
    seed: int,
    tokens: Tokens,
) -> None:
    """Read all data once, match lengths where set, and check that learners can use it.

    Args:
        phases: all phases of a run.
        learners: the learner of each.
        world: the organism's.
        seed: of the run.
        tokens: counts the tokens of replies.

    Raises:
        ScenarioError: some can't be read or used; names their place in the scenario.
    """
    for index, (phase, learner) in enumerate(zip(phases, learners, strict=True)):
        sources = {f"phases.{index}.{where}": data for where, data in _data_of(phase)}
        for path, source in sources.items():
            try:
                mixed([source], world, stream("check", path))
            except ScenarioError as error:
                raise error.within(path) from None
        if isinstance(phase, FinetunePhase):
            dealt = by_turn(finetune_rows(phases, index, world, seed, tokens))
            _check_rows(f"phases.{index}", phase, learner, dealt)
        elif isinstance(phase, LoopPhase) and phase.static is not None:
            rows = mixed(phase.static.data, world, stream("check", index))
            if not learner.learned(rows):
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


def _data_of(phase: AnyPhase) -> Iterator[tuple[str, AnyData]]:
    """Yield the data of a phase, with their paths in it."""
    if not isinstance(phase, ProbePhase):
        yield from ((f"anchors.{n}", source) for n, source in enumerate(phase.anchors))
    if isinstance(phase, FinetunePhase):
        yield from ((f"data.{n}", source) for n, source in enumerate(phase.data))
    if isinstance(phase, LoopPhase) and phase.static is not None:
        yield from ((f"static.data.{n}", source) for n, source in enumerate(phase.static.data))
