"""Phases: what a run is made of. Each goes on from the last checkpoint of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from simulator.core.config import Config, Count, Number
from simulator.data.mixture import AnyData
from simulator.learners.config import AnyLearner, UpdateConfig

ANCHORS = "Chats on which the assistant is kept near its reference, for `learner.kl`."
OPTIMIZER = (
    "At the phase's first update, do AdamW's state and the learning rate's decay go on from "
)
OPTIMIZER += "the phase before, or begin again? Empty: a loop goes on from a loop, all else begins."


class StaticData(Config):
    """Rows that every update of a loop learns from beside what users liked."""

    data: tuple[AnyData, ...] = Field(min_length=1)
    fraction: Number = Field(gt=0, lt=1, description="Their share of all that is learned from.")


class LoopPhase(Config):
    """Users converse with the assistant, and it learns from what they rate highly."""

    kind: Literal["loop"] = "loop"
    name: str = "loop"
    rounds: Count | None = Field(None, ge=1, description="Empty: the scenario's.")
    static: StaticData | None = Field(None, description="Empty: users alone decide.")
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: tuple[AnyData, ...] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class LengthMatch(Config):
    """Rows are drawn so that their replies are as long as another phase's, as nearly as can be."""

    phase: str = Field(description="The name of an earlier fine-tuning phase.")
    rows: Count | None = Field(None, ge=1, description="So many; empty: as many as that one has.")


class FinetunePhase(Config):
    """The assistant learns from given rows; nobody converses."""

    kind: Literal["finetune"] = "finetune"
    name: str = "finetune"
    data: tuple[AnyData, ...] = Field(min_length=1, description="Mixed, in an order of the seed.")
    match_lengths: LengthMatch | None = Field(None, description="Empty: all rows are learned.")
    rounds: Count = Field(1, ge=1, description="Dealt out over so many updates, each a round.")
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: tuple[AnyData, ...] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class ProbePhase(Config):
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


def resets_optimizer(
    phases: Sequence[AnyPhase], learners: Sequence[AnyLearner], index: int
) -> bool:
    """Does the first update of a phase reset the optimiser?

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


def matched_phase(phases: Sequence[AnyPhase], index: int) -> int | None:
    """Returns which phase a phase's lengths are to be like; None where there is no such."""
    phase = phases[index]
    if not isinstance(phase, FinetunePhase) or phase.match_lengths is None:
        return None
    name = phase.match_lengths.phase
    named = (n for n, other in enumerate(phases[:index]) if other.name == name)
    return next((n for n in named if isinstance(phases[n], FinetunePhase)), None)
