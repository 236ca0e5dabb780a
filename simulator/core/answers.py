"""Reading an answer as the type that its request asked for."""

import numpy as np

from simulator.core.expected_score import SMALLEST_MASS
from simulator.core.requests import Activations, Answer, Completion, Generation, Numbers


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
    """Return the answer to a `NextTokenRequest` as shares of its tokens' probability, sum 1."""
    if not isinstance(answer, tuple) or isinstance(answer, Numbers):
        raise TypeError(f"expected log-probabilities, got {type(answer).__name__}")
    weights: np.ndarray = np.exp(np.array(answer) - max(answer))
    return np.asarray(weights / weights.sum())


def is_readable(answer: Answer) -> bool:
    """Return whether a `NextTokenRequest`'s tokens have enough probability to be read."""
    if not isinstance(answer, tuple) or isinstance(answer, Numbers):
        raise TypeError(f"expected log-probabilities, got {type(answer).__name__}")
    return float(np.exp(answer).sum()) >= SMALLEST_MASS
