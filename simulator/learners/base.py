"""The learner's settings, its protocol, and the checkpoint that it maps to the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import Field

from simulator.settings import Count, Number, Settings
from simulator.stopwatch import Stopwatch
from simulator.types import Example, Prompt

LESS_MEMORY = "lower learner.micro_batch, or set learner.gradient_checkpointing: true"


class SFTConfig(Settings):
    """Supervised fine-tuning of a LoRA adapter on the replies to follow (expert iteration)."""

    kind: Literal["sft"] = "sft"
    rank: Count = Field(8, ge=1, description="Rank of the adapter, on all linear layers.")
    alpha: Count = Field(16, ge=1, description="The adapter's scale is alpha / rank.")
    learning_rate: Number = Field(1e-3, gt=0)
    decay: Number = Field(1.0, gt=0, le=1, description="Learning-rate factor from round to round.")
    epochs: Count = Field(2, ge=1)
    batch_size: Count = Field(16, ge=1, description="Examples per step of the optimiser.")
    micro_batch: Count | None = Field(
        None, ge=1, description="Of these, how many at a time: less memory. Empty: all."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice instead of keeping them: less memory."
    )
    clip: Number = Field(1.0, gt=0, description="Largest norm of the gradient.")
    optimizer: Literal["carried", "reset"] = Field(
        "carried", description="Does AdamW's state live on from round to round?"
    )
    device: str = Field("auto", description="A torch device; auto: a GPU where there is one.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the base; auto: as stored on a GPU, float32 on a CPU."
    )
    own_process: bool | Literal["auto"] = Field(
        "auto",
        description="Does each update run in a process of its own, which then gives its memory "
        "back? auto: on a GPU.",
    )


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


def open_learner(
    config: SFTConfig, model: str, stopwatch: Stopwatch, context: int | None
) -> Learner:
    """Returns the learner; one in this process loads the base that is fine-tuned.

    Args:
        config: the scenario's `learner` section.
        model: a local path or hub id.
        stopwatch: gets the time spent learning.
        context: the longest context with reply, in tokens; None: as the model has it.
    """
    from simulator.devices import device_of

    apart = config.own_process
    if apart == "auto":
        apart = device_of(config.device).type != "cpu"
    if apart:
        from simulator.learners.apart import ApartLearner

        return ApartLearner(config, model, stopwatch, context)
    from simulator.learners.sft import SFTLearner

    return SFTLearner(config, model, stopwatch, context)
