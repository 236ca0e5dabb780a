"""A penalty on divergence from a reference on anchors."""

from collections.abc import Iterator, Sequence
from itertools import count

import torch

from simulator.core.examples import Example
from simulator.learners.batches import Encoded, batches, parts
from simulator.learners.config import KLConfig
from simulator.learners.policy import Policy


class KLPenalty:
    """The penalty weight · KL(reference ‖ current), a mean over the anchors' reply tokens.

    The reference's logits are computed for every batch. With a real vocabulary they are too large
    to keep.
    """

    def __init__(
        self,
        config: KLConfig,
        policy: Policy,
        anchors: Sequence[Example],
        seed: int,
        micro_batch: int | None,
    ) -> None:
        self.weight, self._size = config.weight, config.batch_size
        self._policy, self._micro_batch = policy, micro_batch
        self._reference = policy.reference(config.reference)
        self._batches = self._drawn(policy.encode(anchors), seed)

    def losses(self) -> Iterator[torch.Tensor]:
        """Yield the penalty of each part of the next batch; they add up to the batch's penalty."""
        batch = next(self._batches)
        tokens = sum(row.weight for row in batch)
        for part in parts(batch, self._micro_batch):
            with torch.no_grad():
                reference = self._policy.replies(part, self._reference).logits
            current = self._policy.replies(part).logits
            yield self.weight * kl_divergence(reference, current).sum() / tokens

    def _drawn(self, rows: Sequence[Encoded], seed: int) -> Iterator[list[Encoded]]:
        for n in count():
            yield from batches(rows, self._size, ("anchor order", seed, n))


def kl_divergence(reference: torch.Tensor, current: torch.Tensor) -> torch.Tensor:
    """Return KL(reference ‖ current) over the whole vocabulary at each position, in nats, (N,).

    Args:
        reference: logits, (N, V).
        current: logits, (N, V).
    """
    expected, found = reference.log_softmax(-1), current.log_softmax(-1)
    return (expected.exp() * (expected - found)).sum(-1)
