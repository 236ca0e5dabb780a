"""Objectives: what is learned from, and what the loss of a batch of it is."""

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
    """What an update minimises; one is made for each, before its first step."""

    @property
    def units(self) -> Sequence[U]:
        """What is learned from."""
        ...

    def losses(self, batch: Sequence[U]) -> Iterator[torch.Tensor]:
        """Yields the loss of each part of a batch; their sum is the batch's loss.

        So one part's activations are let go before the next one's are computed.
        """
        ...


class Pushed:
    """The objective of a model that is pushed; so are the references of preferences."""

    def __init__(self, objective: Objective[Any], push: Push) -> None:
        self.units, self._objective, self._push = objective.units, objective, push

    def losses(self, batch: Sequence[Any]) -> Iterator[torch.Tensor]:
        """Yields the losses of a batch; pushed are their gradients, too, and nothing after them."""
        with self._push.on():
            yield from self._objective.losses(batch)


def open_objective(
    config: UpdateConfig,
    policy: Policy,
    examples: Sequence[Example],
    seed: int,
    contrast: Contrast | None = None,
) -> Objective[Any]:
    """Returns the objective of an update, of a model that is pushed if it is to be.

    Args:
        config: the scenario's `learner` section.
        policy: the model at the update's start, which references are taken from.
        examples: what is learned from; see `UpdateConfig.lacking`.
        seed: the update's.
        contrast: of the direction that it is pushed in.
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
