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
    """The learner's own log-probabilities for one canary prompt, in nats."""

    prompt: Prompt
    tokens: tuple[str, ...]  # the likeliest next tokens under the new adapter
    new: tuple[float, ...]
    parent: tuple[float, ...]


@dataclass(frozen=True)
class Update:
    """The outcome of a fit."""

    steps: int
    loss_first: float  # mean over the first epoch: per learned token (kto: example; dpo: pair)
    loss_last: float  # mean over the last epoch
    kl: float | None  # KL(reference ‖ current) on anchors: nats per token, mean of the last epoch
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class FitRequest:
    """The inputs of one fit, besides the learner's settings and its base."""

    checkpoint: Path | None  # the parent: a folder written by a fit; None: a new adapter
    examples: Sequence[Example]  # desirable and undesirable replies
    seed: int  # of the first adapter and of the order of examples
    out: Path  # a folder that doesn't exist yet
    anchors: Sequence[Example] = ()  # replies to stay near the reference on; for `learner.kl`
    contrast: Contrast | None = None  # defines the direction; for `learner.preventive`
    reset_optimizer: bool = False  # whether its state and the learning rate's decay restart


class Learner(Protocol):
    """A function of its inputs alone: (base, config, request) → checkpoint.

    `docs/extending.md` has a whole one, with its settings and its objective; a test runs it.
    """

    def fit(self, request: FitRequest) -> Update:
        """Train from the request's checkpoint, and write the next one to its `out`.

        Raises:
            LearnerError: examples, anchors or the direction are missing.
            ScenarioError: the model lacks the direction's layer.
            Diverged: loss or parameters aren't finite; nothing is written.
        """
        ...
