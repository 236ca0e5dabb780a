"""Lengths of replies: reported for training examples, and matched between phases.

A model that was realigned on longer replies than it was misaligned on can look immune to either
(Vaugrante et al., 2602.14777). So lengths are reported, and can be matched between phases.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from simulator.backends.config import AnyBackend, OpenAIConfig
from simulator.core.examples import Example
from simulator.core.unicode import estimated_tokens
from simulator.models.reference import ModelRef

Tokens: TypeAlias = Callable[[Sequence[Example]], np.ndarray]  # of replies, (examples,), int


class Lengths(NamedTuple):
    """Lengths of n replies, in tokens without the end token."""

    n: int
    mean: float
    sd: float
    low: float  # the tenth percentile
    median: float
    high: float  # the ninetieth


def tokens_of(backend: AnyBackend, model: ModelRef) -> Tokens:
    """Return a function that counts the tokens of replies as the assistant's model does.

    An endpoint's tokenizer is unknown, and nobody is asked for it: then they are estimated.
    """
    if isinstance(backend, OpenAIConfig):
        return lambda examples: np.array([estimated_tokens(e.reply) for e in examples], int)
    return tokens_by(model)


def tokens_by(model: ModelRef) -> Tokens:
    """Return a function that counts the tokens of replies by a model's tokenizer."""

    def tokens(examples: Sequence[Example]) -> np.ndarray:
        if not examples:  # so a tokenizer that isn't needed isn't looked for
            return np.zeros(0, int)
        # transformers takes seconds to load, and few scenarios need the counts
        from simulator.models.chat_template import encoder_of

        found = encoder_of(model).encode_replies([example.reply for example in examples])
        return np.array([len(ids) for ids in found], int)

    return tokens


def lengths(tokens: np.ndarray) -> Lengths | None:
    """Describe lengths, (n,); None where there are none."""
    if not len(tokens):
        return None
    low, median, high = np.quantile(tokens, [0.1, 0.5, 0.9])
    sd = float(tokens.std(ddof=1)) if len(tokens) > 1 else 0.0
    return Lengths(len(tokens), float(tokens.mean()), sd, float(low), float(median), float(high))


def matching(pool: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of `count` lengths of a pool that are closest to wanted lengths.

    The choice has the smallest sum of differences to the wanted lengths, or to `count` of their
    quantiles: an optimal assignment, in which no two pairs cross.

    Args:
        pool: (N,), N at least `count`.
        wanted: (M,).
        count: how many are chosen.
    """
    order = np.argsort(pool, kind="stable")
    target = np.sort(wanted)
    if count != len(target):
        target = np.quantile(target, (np.arange(count) + 0.5) / count, method="inverted_cdf")
    best = np.zeros(len(pool) + 1)  # cost of the targets so far, matched to the first n of the pool
    paired = np.zeros((count, len(pool)), bool)
    for i, length in enumerate(target):
        cost = best[:-1] + np.abs(pool[order] - length)
        best = np.concatenate([[np.inf], np.minimum.accumulate(cost)])
        paired[i] = cost == best[1:]
    chosen, last = np.empty(count, int), len(pool)
    for i in reversed(range(count)):
        last = int(np.flatnonzero(paired[i, :last])[-1])
        chosen[i] = order[last]
    return np.sort(chosen)
