"""Reading an answer as the type that its request asked for."""

import numpy as np

from simulator.core.expected_score import SMALLEST_MASS
from simulator.core.requests import (
    Activations,
    Answer,
    Choices,
    Completion,
    Generation,
    Logprobs,
    Numbers,
)


def completions_of(answer: Answer) -> tuple[Completion, ...]:
    """Return a generation's samples."""
    if not isinstance(answer, Generation):
        raise TypeError(f"expected a generation, got {type(answer).__name__}")
    return answer.completions


def replies_of(answer: Answer) -> tuple[str, ...]:
    """Return the texts of a generation's samples."""
    return tuple(completion.text for completion in completions_of(answer))


def reply_of(answer: Answer) -> str:
    """Return the text of a generation with one sample."""
    (reply,) = replies_of(answer)
    return reply


def activations_of(answer: Answer) -> Activations:
    """Return the answer to an `ActivationsRequest`."""
    if not isinstance(answer, np.ndarray):
        raise TypeError(f"expected activations, got {type(answer).__name__}")
    return answer


def shares_of(answer: Answer) -> np.ndarray:
    """Return log-probabilities of tokens or of choices as shares of their sum, which is 1."""
    logprobs = _logprobs(answer)
    weights: np.ndarray = np.exp(np.array(logprobs) - max(logprobs))
    return np.asarray(weights / weights.sum())


def is_readable(answer: Answer) -> bool:
    """Return whether tokens have enough probability to be read.

    Choices always have: a text of several tokens is hardly ever likely, and still likelier than
    others.
    """
    if isinstance(answer, Choices):
        return True
    return float(np.exp(_logprobs(answer)).sum()) >= SMALLEST_MASS


def _logprobs(answer: Answer) -> Logprobs:
    if isinstance(answer, Choices):
        return answer.logprobs
    if not isinstance(answer, tuple) or isinstance(answer, Numbers):
        raise TypeError(f"expected log-probabilities, got {type(answer).__name__}")
    return answer
