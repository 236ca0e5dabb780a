"""Objectives: the units of training, and the loss of a batch of them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch

from simulator.core.examples import Example
from simulator.interp.directions import Contrast
from simulator.learners.batches import U
from simulator.learners.config import DPOConfig, KTOConfig, SFTConfig, UpdateConfig
from simulator.learners.dpo import DPO
from simulator.learners.kto import KTO
from simulator.learners.policy import Policy
from simulator.learners.preventive import Push
from simulator.learners.sft import SFT


class Objective(Protocol[U]):
    """The loss that an update minimises; it is made before the first step."""

    @property
    def units(self) -> Sequence[U]:
        """The units of training."""
        ...

    def losses(self, batch: Sequence[U]) -> Iterator[torch.Tensor]:
        """Yield the loss of each part of a batch; their sum is the batch's loss.

        So one part's activations are freed before the next part's are computed.
        """
        ...


class Pushed:
    """The objective of a model under preventive steering, which applies to references, too."""

    def __init__(self, objective: Objective[Any], push: Push) -> None:
        self.units, self._objective, self._push = objective.units, objective, push

    def losses(self, batch: Sequence[Any]) -> Iterator[torch.Tensor]:
        """Yield the losses of a batch; steering covers their gradients, and ends after them."""
        with self._push.on():
            yield from self._objective.losses(batch)


def open_objective(
    config: UpdateConfig,
    policy: Policy,
    examples: Sequence[Example],
    seed: int,
    contrast: Contrast | None = None,
) -> Objective[Any]:
    """Return the objective of an update, under preventive steering if it is set.

    Args:
        config: the scenario's `learner` section.
        policy: the model at the update's start, which gives the references.
        examples: the training examples; see `UpdateConfig.lacking`.
        seed: the update's.
        contrast: defines the direction of preventive steering.
    """
    if config.preventive is None or contrast is None:
        return _of_kind(config, policy, examples, seed)
    push = Push(config.preventive, policy, contrast, config.micro_batch or config.batch_size)
    with push.on():
        return Pushed(_of_kind(config, policy, examples, seed), push)


def _of_kind(
    config: UpdateConfig, policy: Policy, examples: Sequence[Example], seed: int
) -> Objective[Any]:
    match config:
        case SFTConfig():
            return SFT(config, policy, examples)
        case KTOConfig():
            return KTO(config, policy, examples, seed)
        case DPOConfig():
            return DPO(config, policy, examples)
    raise TypeError(f"no objective for {type(config).__name__}")
