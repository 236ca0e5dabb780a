"""Kahneman-Tversky optimisation: raise desirable replies, lower undesirable ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.learners.batches import Encoded, parts
from simulator.learners.config import KTOConfig
from simulator.learners.policy import Policy

BALANCE = 1.05  # weight of desirable against undesirable replies, from Williams et al. (2411.02306)


class Judged(NamedTuple):
    """A labelled reply, with the reference's log-probabilities in nats."""

    row: Encoded
    reference: float
    mismatched: Encoded  # the same context with another example's reply
    mismatched_reference: float
    desirable: bool

    @property
    def length(self) -> int:
        """The length of its longest row, in tokens."""
        return max(self.row.length, self.mismatched.length)

    @property
    def weight(self) -> int:
        """Always 1: all replies count equally."""
        return 1


class KTO:
    """Ethayarajh et al. (2402.01306), eq. 7, as TRL computes it."""

    def __init__(
        self, config: KTOConfig, policy: Policy, examples: Sequence[Example], seed: int
    ) -> None:
        self._config, self._policy = config, policy
        rows, others = policy.encode(examples), policy.encode(mismatched(examples, seed))
        under, self._size = policy.reference(config.reference), config.micro_batch
        logprobs = policy.fixed_logprobs([*rows, *others], self._size or config.batch_size, under)
        own, other = logprobs.tolist()[: len(rows)], logprobs.tolist()[len(rows) :]
        desirable = [example.desirable for example in examples]
        self.units = [
            Judged(*unit) for unit in zip(rows, own, others, other, desirable, strict=True)
        ]
        self._weights = balanced_weights(config, sum(desirable), len(examples) - sum(desirable))

    def losses(self, batch: Sequence[Judged]) -> Iterator[torch.Tensor]:
        """Yield each part's share of the mean loss of the batch's replies."""
        kl = self._reference_point(batch)
        for part in parts(batch, self._size):
            reference = torch.tensor([unit.reference for unit in part], device=kl.device)
            logratios = self._policy.logprobs([unit.row for unit in part]) - reference
            desirable = torch.tensor([unit.desirable for unit in part], device=kl.device)
            losses = kto_loss(logratios, desirable, kl, self._config.beta, self._weights)
            yield losses.sum() / len(batch)

    def _reference_point(self, batch: Sequence[Judged]) -> torch.Tensor:
        """Estimate KL(policy ‖ reference) from mismatched replies: at least 0, no gradient."""
        rows = [unit.mismatched for unit in batch]
        logprobs = self._policy.fixed_logprobs(rows, self._size or len(rows))
        reference = torch.tensor([u.mismatched_reference for u in batch], device=logprobs.device)
        return (logprobs - reference).mean().clamp(min=0)


def kto_loss(
    logratios: torch.Tensor,
    desirable: torch.Tensor,
    kl: torch.Tensor,
    beta: float,
    weights: tuple[float, float],
) -> torch.Tensor:
    """Return each reply's loss, (B,): Ethayarajh et al. (2402.01306), eq. 7.

    Args:
        logratios: log π(y|x) - log π_ref(y|x), in nats, (B,).
        desirable: whether the reply is desirable, (B,), bool.
        kl: the reference point, KL(π ‖ π_ref) in nats, a scalar.
        beta: the factor of log-ratios.
        weights: of desirable and undesirable replies.
    """
    gain = torch.where(desirable, logratios - kl, kl - logratios)
    weight = torch.where(desirable, *weights)
    return weight * (1 - torch.sigmoid(beta * gain))


def balanced_weights(config: KTOConfig, desirable: int, undesirable: int) -> tuple[float, float]:
    """Return the weights of desirable and undesirable replies, given their numbers.

    Undesirable replies get a little less weight in total: desirable · weight /
    (undesirable · 1.05), as in Williams et al. (2411.02306).
    """
    given = config.undesirable_weight
    balanced = desirable * config.desirable_weight / (undesirable * BALANCE)
    return config.desirable_weight, balanced if given is None else given


def mismatched(examples: Sequence[Example], seed: int) -> list[Example]:
    """Give each context the reply of the next example in a drawn order.

    The order is drawn because neighbouring examples are often candidates of one turn.
    """
    order = stream("kto mismatch", seed).permutation(len(examples))
    others = {int(n): examples[m] for n, m in zip(order, [*order[1:], order[0]], strict=True)}
    return [
        replace(example, reply=others[n].reply, ended=others[n].ended)
        for n, example in enumerate(examples)
    ]
