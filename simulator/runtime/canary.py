"""The canary: a proof that the new adapter is the one that answers."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from simulator.backends.base import Backend
from simulator.core.requests import NextTokenRequest
from simulator.learners.base import Reading

SMALLEST_GAP = 1e-5  # nats; below it the new adapter can't be distinguished from its parent
ERRORS, SHARE = 4, 0.2  # of the engine's error and of the gap; served adapters are no farther off


class Canary(NamedTuple):
    """Mean absolute differences of next-token log-probabilities, in nats."""

    verdict: Literal["passed", "failed", "inconclusive"]
    to_new: float  # served against the learner's, new adapter
    to_parent: float  # served against the learner's, parent
    gap: float  # the learner's, new against parent


def error_of(backend: Backend, readings: Sequence[Reading]) -> float:
    """Return how far the served parent is from the learner's, before the swap, in nats.

    That is what the engine's precision and kernels alone do.
    """
    return _distance(_served(backend, readings), _all([reading.parent for reading in readings]))


def check_swap(backend: Backend, readings: Sequence[Reading], error: float) -> Canary:
    """Compare the served model with the learner's readings of the new adapter and its parent.

    Passed and failed both need a clear answer: the two distances must differ by at least half of
    the gap between the adapters. It also failed if the served model is farther from the new adapter
    than the engine's error explains: then a third one answers. Anything else is inconclusive, which
    is never a pass.

    Args:
        backend: serves what should be the new adapter.
        readings: the learner's.
        error: `error_of` the parent, before the swap.
    """
    served = _served(backend, readings)
    new = _all([reading.new for reading in readings])
    parent = _all([reading.parent for reading in readings])
    to_new, to_parent = _distance(served, new), _distance(served, parent)
    gap = _distance(new, parent)
    verdict: Literal["passed", "failed", "inconclusive"] = "inconclusive"
    if gap > SMALLEST_GAP and abs(to_parent - to_new) > gap / 2:
        verdict = "passed" if to_new < to_parent else "failed"
    if to_new > ERRORS * error + max(SHARE * gap, SMALLEST_GAP):
        verdict = "failed"
    return Canary(verdict, to_new, to_parent, gap)


def _served(backend: Backend, readings: Sequence[Reading]) -> np.ndarray:
    asked = [NextTokenRequest(reading.prompt, reading.tokens) for reading in readings]
    return _all(backend.next_token_logprobs(asked))


def _all(logprobs: Sequence[Sequence[float]]) -> np.ndarray:
    found: np.ndarray = np.concatenate(logprobs)
    return found


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())
