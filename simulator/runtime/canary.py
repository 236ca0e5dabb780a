"""The canary: a proof that the new adapter is the one that answers."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from simulator.backends.base import Backend
from simulator.core.requests import NextTokenRequest
from simulator.learners.base import Reading

SMALLEST_GAP = 1e-5  # nats; below it the new adapter can't be distinguished from its parent


class Canary(NamedTuple):
    """Mean absolute differences of next-token log-probabilities, in nats."""

    verdict: Literal["passed", "failed", "inconclusive"]
    to_new: float  # served against the learner's, new adapter
    to_parent: float  # served against the learner's, parent
    gap: float  # the learner's, new against parent


def check_swap(backend: Backend, readings: Sequence[Reading]) -> Canary:
    """Compare the served model with the learner's readings of the new adapter and its parent.

    Passed and failed both need a clear answer: the two distances must differ by at least half of
    the gap between the adapters. Anything else is inconclusive, which is never a pass.
    """
    requests = [NextTokenRequest(reading.prompt, reading.tokens) for reading in readings]
    served = np.concatenate(backend.next_token_logprobs(requests))
    new = np.concatenate([reading.new for reading in readings])
    parent = np.concatenate([reading.parent for reading in readings])
    to_new, to_parent = _distance(served, new), _distance(served, parent)
    gap = _distance(new, parent)
    verdict: Literal["passed", "failed", "inconclusive"] = "inconclusive"
    if gap > SMALLEST_GAP and abs(to_parent - to_new) > gap / 2:
        verdict = "passed" if to_new < to_parent else "failed"
    return Canary(verdict, to_new, to_parent, gap)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())
