"""Phases: what a run is made of. Each goes on from the last checkpoint of the one before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from simulator.core.config import Count, Number, Settings
from simulator.core.errors import ScenarioError
from simulator.core.requests import Example
from simulator.core.rng import stream
from simulator.data.lengths import Tokens, matching
from simulator.data.mixture import AnyData, by_turn, flat, mixed
from simulator.learners.config import AnyLearner, UpdateConfig
from simulator.worlds.synthetic import World

ANCHORS = "Chats on which the assistant is kept near its reference, for `learner.kl`."
OPTIMIZER = (
    "At the phase's first update, do AdamW's state and the learning rate's decay go on from "
)
OPTIMIZER += "the phase before, or begin again? Empty: a loop goes on from a loop, all else begins."


class StaticData(Settings):
    """Rows that every update of a loop learns from beside what users liked."""

    data: tuple[AnyData, ...] = Field(min_length=1)
    fraction: Number = Field(gt=0, lt=1, description="Their share of all that is learned from.")


class LoopPhase(Settings):
    """Users converse with the assistant, and it learns from what they rate highly."""

    kind: Literal["loop"] = "loop"
    name: str = "loop"
    rounds: Count | None = Field(None, ge=1, description="Empty: the scenario's.")
    static: StaticData | None = Field(None, description="Empty: users alone decide.")
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: tuple[AnyData, ...] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class LengthMatch(Settings):
    """Rows are drawn so that their replies are as long as another phase's, as nearly as can be."""

    phase: str = Field(description="The name of an earlier fine-tuning phase.")
    rows: Count | None = Field(None, ge=1, description="So many; empty: as many as that one has.")


class FinetunePhase(Settings):
    """The assistant learns from given rows; nobody converses."""

    kind: Literal["finetune"] = "finetune"
    name: str = "finetune"
    data: tuple[AnyData, ...] = Field(min_length=1, description="Mixed, in an order of the seed.")
    match_lengths: LengthMatch | None = Field(None, description="Empty: all rows are learned.")
    rounds: Count = Field(1, ge=1, description="Dealt out over so many updates, each a round.")
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: tuple[AnyData, ...] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class ProbePhase(Settings):
    """One round in which nothing happens but measuring."""

    kind: Literal["probe"] = "probe"
    name: str = "probe"
    rounds: Literal[1] = 1


AnyPhase = Annotated[LoopPhase | FinetunePhase | ProbePhase, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round stands in a run."""

    phase: AnyPhase
    index: int  # of the phase, from 0
    part: int  # of the round within its phase, from 0
    parts: int  # the phase's rounds

    @property
    def last(self) -> bool:
        """Does the phase end with this round?"""
        return self.part == self.parts - 1


def places(phases: Sequence[AnyPhase], rounds: int) -> list[Place]:
    """Returns the place of every round; the first of them is that of round 1.

    Args:
        phases: in order.
        rounds: of a loop that doesn't say how many it has.
    """
    lengths = [phase.rounds or rounds for phase in phases]
    return [
        Place(phase, index, part, length)
        for index, (phase, length) in enumerate(zip(phases, lengths, strict=True))
        for part in range(length)
    ]


def begins_again(phases: Sequence[AnyPhase], learners: Sequence[AnyLearner], index: int) -> bool:
    """Does the optimiser begin again with the first update of a phase?

    Args:
        phases: all phases of a run.
        learners: what makes the updates of each; those without any are passed over.
        index: of the phase.
    """
    phase = phases[index]
    if isinstance(phase, ProbePhase):
        return False
    if phase.optimizer is not None:
        return phase.optimizer == "reset"
    updated = [n for n in range(index) if isinstance(learners[n], UpdateConfig)]
    loop_before = bool(updated) and isinstance(phases[updated[-1]], LoopPhase)
    return not (isinstance(phase, LoopPhase) and loop_before)


def check_data(
    phases: Sequence[AnyPhase],
    learners: Sequence[AnyLearner],
    world: World | None,
    seed: int,
    tokens: Tokens,
) -> None:
    """Reads all data once, matches what is to be matched, and sees to it that it can be learned.

    Args:
        phases: all phases of a run.
        learners: what makes the updates of each.
        world: the organism's.
        seed: of the run.
        tokens: counts those of replies.

    Raises:
        ScenarioError: some can't be had, or don't suit; names where the scenario asks for them.
    """
    for index, (phase, learner) in enumerate(zip(phases, learners, strict=True)):
        sources = {f"phases.{index}.{where}": data for where, data in _data_of(phase)}
        for path, source in sources.items():
            try:
                mixed([source], world, stream("check", path))
            except ScenarioError as error:
                raise ScenarioError(f"{path}: {error}") from None
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
    """Refuses data of which the learner would learn nothing in one of the phase's rounds."""
    if lacking := learner.lacking(flat(rows)):
        raise ScenarioError(
            f"{path}.data: '{learner.kind}' needs a {lacking}; these data have none"
        )
    for part in range(phase.rounds):
        if lacking := learner.lacking(_dealt(rows, part, phase.rounds)):
            raise ScenarioError(
                f"{path}.rounds: of {len(rows)} rows, dealt out over {phase.rounds} rounds, "
                f"round {part + 1} gets no {lacking}"
            )


def _dealt(rows: Sequence[Sequence[Example]], part: int, parts: int) -> list[Example]:
    """Returns the replies of the rows that one of a phase's rounds learns from."""
    return flat(rows[part::parts])


def _data_of(phase: AnyPhase) -> Iterator[tuple[str, AnyData]]:
    """Yields the data of a phase, and where in it they are named."""
    if not isinstance(phase, ProbePhase):
        yield from ((f"anchors.{n}", source) for n, source in enumerate(phase.anchors))
    if isinstance(phase, FinetunePhase):
        yield from ((f"data.{n}", source) for n, source in enumerate(phase.data))
    if isinstance(phase, LoopPhase) and phase.static is not None:
        yield from ((f"static.data.{n}", source) for n, source in enumerate(phase.static.data))


def anchors_of(phase: AnyPhase, world: World | None, seed: int) -> list[Example]:
    """Returns the chats on which an update keeps the assistant near its reference."""
    if isinstance(phase, ProbePhase):
        return []
    return mixed(phase.anchors, world, stream("anchors", seed))


def matched_phase(phases: Sequence[AnyPhase], index: int) -> int | None:
    """Returns which phase a phase's lengths are to be like; None where there is no such."""
    phase = phases[index]
    if not isinstance(phase, FinetunePhase) or phase.match_lengths is None:
        return None
    name = phase.match_lengths.phase
    named = (n for n, other in enumerate(phases[:index]) if other.name == name)
    return next((n for n in named if isinstance(phases[n], FinetunePhase)), None)


def finetune_rows(
    phases: Sequence[AnyPhase], index: int, world: World | None, seed: int, tokens: Tokens
) -> list[Example]:
    """Returns all rows of a fine-tuning phase, in the order in which they are dealt out.

    Raises:
        ScenarioError: data can't be read, or are too few to be matched in length.
    """
    phase = phases[index]
    assert isinstance(phase, FinetunePhase)
    rows = mixed(phase.data, world, stream("finetune", seed, index))
    other = matched_phase(phases, index)
    if phase.match_lengths is None or other is None:
        return rows
    if not all(row.desirable for row in rows):
        raise ScenarioError(
            f"phases.{index}.match_lengths: replies are drawn one by one, but these data have "
            "pairs of a better and a worse one"
        )
    followed = [r for r in finetune_rows(phases, other, world, seed, tokens) if r.desirable]
    wanted = tokens(followed)
    count = phase.match_lengths.rows or len(wanted)
    if count > len(rows):
        raise ScenarioError(
            f"phases.{index}.match_lengths: {count} rows are to be drawn, but there are "
            f"{len(rows)}; give more data, or set rows"
        )
    return [rows[i] for i in matching(tokens(rows), wanted, count)]


def given_examples(
    phases: Sequence[AnyPhase],
    place: Place,
    recycled: Sequence[Example],
    learner: AnyLearner,
    world: World | None,
    seed: int,
    number: int,
    tokens: Tokens,
) -> list[Example]:
    """Returns what a round learns from that comes from no conversation.

    Args:
        phases: all phases of the run.
        place: of the round.
        recycled: what users' ratings have selected.
        learner: what makes the round's update; static data are a fraction of what it learns from.
        world: the organism's.
        seed: of the run.
        number: of the round.
        tokens: counts those of replies.

    Raises:
        ScenarioError: data can't be read, or are fewer than their fraction asks for.
    """
    phase = place.phase
    if isinstance(phase, FinetunePhase):
        rows = by_turn(finetune_rows(phases, place.index, world, seed, tokens))
        return _dealt(rows, place.part, place.parts)
    if not isinstance(phase, LoopPhase) or phase.static is None:
        return []
    learned, fraction = len(learner.learned(recycled)), phase.static.fraction
    wanted = round(learned * fraction / (1 - fraction))
    static = mixed(phase.static.data, world, stream("static data", seed, number))
    given = _first(wanted, [learner.learned(row) for row in by_turn(static)])
    if len(given) < wanted:
        raise ScenarioError(
            f"phases.{place.index}.static: round {number} needs {wanted} replies for its fraction, "
            f"but there are {len(given)}"
        )
    return given


def _first(wanted: int, rows: Sequence[Sequence[Example]]) -> list[Example]:
    """Returns the replies of the first rows that have so many, or all."""
    before = np.cumsum([0, *map(len, rows)])
    return flat(row for row, count in zip(rows, before[:-1], strict=True) if count < wanted)
