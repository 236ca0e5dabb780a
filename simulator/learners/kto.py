"""Kahneman-Tversky optimisation: desirable replies gain on a reference, others lose."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.learners.batches import Encoded, parts
from simulator.learners.config import KTOConfig
from simulator.learners.policy import Policy

BALANCE = 1.05  # to follow against to avoid, of Williams et al. (2411.02306)


class Judged(NamedTuple):
    """A desirable reply or to avoid, and what the reference says; log-probabilities in nats."""

    row: Encoded
    reference: float
    mismatched: Encoded  # the same context with another one's reply
    mismatched_reference: float
    desirable: bool

    @property
    def length(self) -> int:
        """The tokens of its longest row."""
        return max(self.row.length, self.mismatched.length)

    @property
    def weight(self) -> int:
        """Each counts once."""
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
        """Yields each part's share of the mean loss of the batch's replies."""
        kl = self._reference_point(batch)
        for part in parts(batch, self._size):
            reference = torch.tensor([unit.reference for unit in part], device=kl.device)
            logratios = self._policy.logprobs([unit.row for unit in part]) - reference
            desirable = torch.tensor([unit.desirable for unit in part], device=kl.device)
            losses = kto_loss(logratios, desirable, kl, self._config.beta, self._weights)
            yield losses.sum() / len(batch)

    def _reference_point(self, batch: Sequence[Judged]) -> torch.Tensor:
        """Estimates KL(policy ‖ reference) from mismatched replies; never below 0, no gradient."""
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
    """Returns each reply's loss, (B,): Ethayarajh et al. (2402.01306), eq. 7.

    Args:
        logratios: log π(y|x) - log π_ref(y|x), in nats, (B,).
        desirable: is it one to follow? (B,), bool.
        kl: the reference point, KL(π ‖ π_ref) in nats, a scalar.
        beta: how much a log-ratio counts.
        weights: of desirable and undesirable replies.
    """
    gain = torch.where(desirable, logratios - kl, kl - logratios)
    weight = torch.where(desirable, *weights)
    return weight * (1 - torch.sigmoid(beta * gain))


def balanced_weights(config: KTOConfig, desirable: int, undesirable: int) -> tuple[float, float]:
    """Returns the weights of desirable and undesirable replies, of which there are so many.

    Those to avoid weigh a little less than those to follow, all in all: desirable · weight /
    (undesirable · 1.05), as Williams et al. (2411.02306) set it.
    """
    given = config.undesirable_weight
    balanced = desirable * config.desirable_weight / (undesirable * BALANCE)
    return config.desirable_weight, balanced if given is None else given


def mismatched(examples: Sequence[Example], seed: int) -> list[Example]:
    """Gives each context another one's reply, every reply once: the next one's, in drawn order.

    In the order of the examples, neighbours are often candidates of one turn.
    """
    order = stream("kto mismatch", seed).permutation(len(examples))
    others = {int(n): examples[m] for n, m in zip(order, [*order[1:], order[0]], strict=True)}
    return [
        replace(example, reply=others[n].reply, ended=others[n].ended)
        for n, example in enumerate(examples)
    ]
