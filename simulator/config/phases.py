"""The phases of a run. Each continues from the last checkpoint of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from simulator.core.config import MOST_ROUNDS, MOST_ROWS, Config, Count, Many, Number
from simulator.data.mixture import AnyData
from simulator.learners.config import AnyLearner, UpdateConfig

ANCHORS = "Chats on which the assistant is kept near its reference, for `learner.kl`."
OPTIMIZER = (
    "Whether the phase's first update resets AdamW's state and the learning rate's decay or "
)
OPTIMIZER += "continues them; empty: a loop continues those of a loop, all else resets."


class StaticData(Config):
    """Rows that every update of a loop learns from beside the selected replies."""

    data: Many[AnyData] = Field(min_length=1)
    fraction: Number = Field(gt=0, lt=1, description="Their share of all training examples.")


class LoopPhase(Config):
    """Users converse with the assistant, and it learns from what they rate highly."""

    kind: Literal["loop"] = "loop"
    name: str = "loop"
    rounds: Count | None = Field(None, ge=1, le=MOST_ROUNDS, description="Empty: the scenario's.")
    static: StaticData | None = Field(
        None, description="Rows learned beside the selected replies; empty: none."
    )
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: Many[AnyData] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class LengthMatch(Config):
    """Draws rows whose replies match the lengths of another phase's as closely as possible."""

    phase: str = Field(description="The name of an earlier fine-tuning phase.")
    rows: Count | None = Field(
        None, ge=1, le=MOST_ROWS, description="Number of rows; empty: as many as that phase has."
    )


class FinetunePhase(Config):
    """The assistant learns from given rows; there are no conversations."""

    kind: Literal["finetune"] = "finetune"
    name: str = "finetune"
    data: Many[AnyData] = Field(min_length=1, description="Sources of rows, shuffled by the seed.")
    match_lengths: LengthMatch | None = Field(
        None,
        description="Match the lengths of another phase's replies; empty: learn from all rows.",
    )
    rounds: Count = Field(
        1,
        ge=1,
        le=MOST_ROUNDS,
        description="Number of updates that the rows are split over, each a round.",
    )
    learner: AnyLearner | None = Field(None, description="Empty: the scenario's.")
    anchors: Many[AnyData] = Field((), description=ANCHORS)
    optimizer: Literal["carried", "reset"] | None = Field(None, description=OPTIMIZER)


class ProbePhase(Config):
    """One round that only measures."""

    kind: Literal["probe"] = "probe"
    name: str = "probe"
    rounds: Literal[1] = 1


AnyPhase = Annotated[LoopPhase | FinetunePhase | ProbePhase, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a round in a run."""

    phase: AnyPhase
    index: int  # of the phase, from 0
    part: int  # of the round within its phase, from 0
    parts: int  # the phase's rounds

    @property
    def last(self) -> bool:
        """Whether the phase ends with this round."""
        return self.part == self.parts - 1


def places(phases: Sequence[AnyPhase], rounds: int) -> list[Place]:
    """Return the place of every round; the first of them is that of round 1.

    Args:
        phases: in order.
        rounds: of a loop that doesn't set its own number.
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
    """Return whether the first update of a phase resets the optimiser.

    Args:
        phases: all phases of a run.
        learners: the learner of each; phases without updates are skipped.
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
    """Return the phase whose lengths a phase matches; None where it matches none."""
    phase = phases[index]
    if not isinstance(phase, FinetunePhase) or phase.match_lengths is None:
        return None
    name = phase.match_lengths.phase
    named = (n for n, other in enumerate(phases[:index]) if other.name == name)
    return next((n for n in named if isinstance(phases[n], FinetunePhase)), None)
