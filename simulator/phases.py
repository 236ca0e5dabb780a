"""Phases: what a run is made of. Each goes on from the last checkpoint of the one before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from simulator.errors import ScenarioError
from simulator.learners.config import AnyLearner
from simulator.organism.world import World
from simulator.randomness import stream
from simulator.settings import Count, Number, Settings
from simulator.training_data import AnyData, mixed
from simulator.types import Example

ANCHORS = "Chats on which the assistant is kept near its reference, for `learner.kl`."


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


class FinetunePhase(Settings):
    """The assistant learns from given rows; nobody converses."""

    kind: Literal["finetune"] = "finetune"
    name: str = "finetune"
    data: tuple[AnyData, ...] = Field(min_length=1, description="Mixed, in an order of the seed.")
    rounds: Count = Field(1, ge=1, description="Dealt out over so many updates, each a round.")
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: tuple[AnyData, ...] = Field((), description=ANCHORS)


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


def check_data(phases: Sequence[AnyPhase], world: World | None) -> None:
    """Reads all data once.

    Raises:
        ScenarioError: some can't be had; names where the scenario asks for them.
    """
    for index, phase in enumerate(phases):
        sources = {f"phases.{index}.{where}": data for where, data in _data_of(phase)}
        for path, source in sources.items():
            try:
                mixed([source], world, stream("check", path))
            except ScenarioError as error:
                raise ScenarioError(f"{path}: {error}") from None


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


def given_examples(
    place: Place, recycled: int, world: World | None, seed: int, number: int
) -> list[Example]:
    """Returns what a round learns from that comes from no conversation.

    Args:
        place: of the round.
        recycled: how many replies users' ratings have selected.
        world: the organism's.
        seed: of the run.
        number: of the round.

    Raises:
        ScenarioError: data can't be read, or are fewer than their fraction asks for.
    """
    phase = place.phase
    if isinstance(phase, FinetunePhase):
        rows = mixed(phase.data, world, stream("finetune", seed, place.index))
        return rows[place.part :: place.parts]
    if not isinstance(phase, LoopPhase) or phase.static is None:
        return []
    wanted = round(recycled * phase.static.fraction / (1 - phase.static.fraction))
    rows = mixed(phase.static.data, world, stream("static data", seed, number))
    if wanted > len(rows):
        raise ScenarioError(
            f"phases.{place.index}.static: round {number} needs {wanted} rows for its fraction, "
            f"but there are {len(rows)}"
        )
    return rows[:wanted]
