"""The learner's protocol: a function of its inputs that maps one checkpoint to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from simulator.core.examples import Example
from simulator.core.requests import Prompt
from simulator.interp.directions import Contrast

LESS_MEMORY = "lower learner.micro_batch, or set learner.gradient_checkpointing: true"


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
    loss_first: float  # mean over the first epoch: per learned token (kto: example; dpo: pair)
    loss_last: float  # and over the last
    kl: float | None  # KL(reference ‖ current) on anchors: nats per token, mean of the last epoch
    readings: tuple[Reading, ...]


class Learner(Protocol):
    """A function of its inputs alone: (base, checkpoint, examples, config, seed) → checkpoint."""

    def fit(
        self,
        checkpoint: Path | None,
        examples: Sequence[Example],
        seed: int,
        out: Path,
        anchors: Sequence[Example] = (),
        contrast: Contrast | None = None,
        *,
        reset_optimizer: bool = False,
    ) -> Update:
        """Trains from `checkpoint` (None: a fresh adapter) and writes the next one to `out`.

        Args:
            checkpoint: a folder that a fit has written.
            examples: desirable and undesirable replies.
            seed: of the first adapter and of all order.
            out: a folder that isn't there yet.
            anchors: replies on which the assistant is kept near the reference; for `learner.kl`.
            contrast: of the direction that it is pushed in; for `learner.preventive`.
            reset_optimizer: do the optimiser's state and the learning rate's decay begin again?

        Raises:
            LearnerError: there is nothing to learn from, or there are no anchors or no direction.
            ScenarioError: the model lacks the direction's layer.
            Diverged: loss or parameters aren't finite; nothing is written.
        """
        ...
