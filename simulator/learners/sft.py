"""Supervised fine-tuning on the desirable replies."""

from collections.abc import Iterator, Sequence

import torch
from torch.nn.functional import cross_entropy

from simulator.core.examples import Example
from simulator.learners.batches import Encoded, parts
from simulator.learners.config import SFTConfig
from simulator.learners.policy import Policy


class SFT:
    """Mean cross-entropy per learned token of the desirable replies, in nats."""

    def __init__(self, config: SFTConfig, policy: Policy, examples: Sequence[Example]) -> None:
        self._policy, self._micro_batch = policy, config.micro_batch
        self.units = policy.encode(config.learned(examples))

    def losses(self, batch: Sequence[Encoded]) -> Iterator[torch.Tensor]:
        """Yield each part's loss, weighted by its learned tokens."""
        learned = sum(row.weight for row in batch)
        for part in parts(batch, self._micro_batch):
            logits, targets, _ = self._policy.replies(part)
            yield cross_entropy(logits, targets) * (sum(row.weight for row in part) / learned)
