"""Objectives: what is learned from, and what the loss of a batch of it is."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch

from simulator.learners.batches import U
from simulator.learners.config import DPOConfig, KTOConfig, SFTConfig, UpdateConfig
from simulator.learners.dpo import DPO
from simulator.learners.kto import KTO
from simulator.learners.policy import Policy
from simulator.learners.sft import SFT
from simulator.types import Example


class Objective(Protocol[U]):
    """What an update minimises; made anew for each, before its first step."""

    @property
    def units(self) -> Sequence[U]:
        """What is learned from."""
        ...

    def losses(self, batch: Sequence[U]) -> Iterator[torch.Tensor]:
        """Yields the loss of each part of a batch; their sum is the batch's loss.

        So one part's activations are let go before the next one's are computed.
        """
        ...


def open_objective(
    config: UpdateConfig, policy: Policy, examples: Sequence[Example], seed: int
) -> Objective[Any]:
    """Returns the objective of an update.

    Args:
        config: the scenario's `learner` section.
        policy: the model at the update's start, which references are taken from.
        examples: what is learned from; see `UpdateConfig.lacking`.
        seed: the update's.
    """
    match config:
        case SFTConfig():
            return SFT(config, policy, examples)
        case KTOConfig():
            return KTO(config, policy, examples, seed)
        case DPOConfig():
            return DPO(config, policy, examples)
    raise TypeError(f"no objective for {type(config).__name__}")
