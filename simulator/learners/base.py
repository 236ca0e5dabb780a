"""The learner's settings, its protocol, and the checkpoint that it maps to the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import Field

from simulator.settings import Count, Number, Settings
from simulator.stopwatch import Stopwatch
from simulator.types import Example, Prompt


class SFTConfig(Settings):
    """Supervised fine-tuning of a LoRA adapter on the replies to follow (expert iteration)."""

    kind: Literal["sft"] = "sft"
    rank: Count = Field(8, ge=1, description="Rank of the adapter, on all linear layers.")
    alpha: Count = Field(16, ge=1, description="The adapter's scale is alpha / rank.")
    learning_rate: Number = Field(1e-3, gt=0)
    decay: Number = Field(1.0, gt=0, le=1, description="Learning-rate factor from round to round.")
    epochs: Count = Field(2, ge=1)
    batch_size: Count = Field(16, ge=1)
    clip: Number = Field(1.0, gt=0, description="Largest norm of the gradient.")
    optimizer: Literal["carried", "reset"] = Field(
        "carried", description="Does AdamW's state live on from round to round?"
    )
    device: str = Field("cpu", description="A torch device.")
    dtype: Literal["float32", "bfloat16"] = "float32"


class NoUpdateConfig(Settings):
    """Control: nothing is learned; users, ratings and selection go on as ever."""

    kind: Literal["none"] = "none"


AnyLearner = Annotated[SFTConfig | NoUpdateConfig, Field(discriminator="kind")]


class Reading(NamedTuple):
    """What the learner itself computes for one canary prompt: log-probabilities in nats."""

    prompt: Prompt
    tokens: tuple[str, ...]  # the likeliest next tokens under the new adapter
    new: tuple[float, ...]
    parent: tuple[float, ...]


@dataclass(frozen=True)
class Update:
    """The outcome of a fit."""

    steps: int
    loss_first: float  # mean loss per learned token over the first epoch
    loss_last: float  # and over the last
    readings: tuple[Reading, ...]


class Learner(Protocol):
    """A function of its inputs alone: (base, checkpoint, examples, config, seed) → checkpoint."""

    def fit(
        self, checkpoint: Path | None, examples: Sequence[Example], seed: int, out: Path
    ) -> Update:
        """Trains from `checkpoint` (None: a fresh adapter) and writes the next one to `out`.

        Raises:
            LearnerError: there is nothing to learn from, or the loss isn't finite.
        """
        ...


def open_learner(config: SFTConfig, model: str, stopwatch: Stopwatch) -> Learner:
    """Loads the base that is fine-tuned."""
    from simulator.learners.sft import SFTLearner

    return SFTLearner(config, model, stopwatch)
