"""Direct preference optimisation: raise the better reply of a pair against the worse one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid

from simulator.core.examples import Example
from simulator.learners.batches import Encoded, parts
from simulator.learners.config import DPOConfig, pairs_among
from simulator.learners.policy import Policy


class Pair(NamedTuple):
    """Two replies to one context, and the reference's margin between them."""

    better: Encoded
    worse: Encoded
    margin: float  # log π_ref(better) - log π_ref(worse), in nats

    @property
    def length(self) -> int:
        """The length of its longer row, in tokens."""
        return max(self.better.length, self.worse.length)

    @property
    def weight(self) -> int:
        """Always 1: all pairs count equally."""
        return 1


class DPO:
    """Rafailov et al. (2305.18290), eq. 7."""

    def __init__(self, config: DPOConfig, policy: Policy, examples: Sequence[Example]) -> None:
        self._config, self._policy = config, policy
        better, worse = (policy.encode(side) for side in zip(*pairs_among(examples), strict=True))
        size = config.micro_batch or config.batch_size
        under = policy.reference(config.reference)
        preferred, other = policy.fixed_logprobs([*better, *worse], size, under).chunk(2)
        margins = (preferred - other).tolist()
        self.units = [Pair(*unit) for unit in zip(better, worse, margins, strict=True)]

    def losses(self, batch: Sequence[Pair]) -> Iterator[torch.Tensor]:
        """Yield each part's share of the mean loss of the batch's pairs."""
        for part in parts(batch, self._config.micro_batch):
            rows = [*(pair.better for pair in part), *(pair.worse for pair in part)]
            better, worse = self._policy.logprobs(rows).chunk(2)
            reference = torch.tensor([pair.margin for pair in part], device=better.device)
            losses = dpo_loss(better - worse, reference, self._config.beta)
            yield losses.sum() / len(batch)


def dpo_loss(margin: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """Return each pair's loss, (B,): Rafailov et al. (2305.18290), eq. 7.

    Args:
        margin: log π(better|x) - log π(worse|x), in nats, (B,).
        reference: the same under the reference, (B,).
        beta: the factor of log-ratios.
    """
    return -logsigmoid(beta * (margin - reference))
