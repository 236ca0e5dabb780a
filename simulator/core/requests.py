"""Prompts, requests to models, and their answers.

Components describe their requests as an `Ask`, and the loop executes it. So all requests of a
population are one batch, and only the loop calls models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from simulator.core.interventions import Intervention
from simulator.core.rng import Key


class Message(NamedTuple):
    """One message of a chat."""

    role: str  # "system", "user" or "assistant"
    content: str


class Prompt(NamedTuple):
    """The input of a model: a chat that awaits the assistant's reply, or plain text."""

    messages: tuple[Message, ...] = ()
    text: str = ""
    prefill: str = ""  # the beginning of the assistant's reply, which the model continues
    thought: bool = True  # whether a reasoning model may think before it replies

    @property
    def shown(self) -> str:
        """The prompt in readable form: one line per message."""
        return "\n".join(f"{m.role}: {m.content}" for m in self.messages) or self.text


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Asks for one sampled continuation per key; the key determines a sample's randomness."""

    prompt: Prompt
    keys: tuple[Key, ...]
    max_new_tokens: int
    temperature: float = 1.0  # 0 is greedy


@dataclass(frozen=True, slots=True)
class NextTokenRequest:
    """Asks for the log-probability of each of `tokens` (words of the vocabulary) as next token."""

    prompt: Prompt
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """Asks for the log-probability of `continuation` after the prompt."""

    prompt: Prompt
    continuation: str


@dataclass(frozen=True, slots=True)
class ChoicesRequest:
    """Asks for the log-probability of each of `choices`, texts of any length, after the prompt."""

    prompt: Prompt
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopTokensRequest:
    """Asks for the `count` likeliest next tokens with their log-probabilities."""

    prompt: Prompt
    count: int = 20


@dataclass(frozen=True, slots=True)
class NumberRequest:
    """Asks which whole number from `low` to `high` the reply is, as a distribution.

    How it is read depends on the backend's capabilities; see `simulator.core.expected_score`.
    """

    prompt: Prompt
    low: int
    high: int
    words: tuple[str, ...] = ()  # allowed instead of a number; no two begin alike


@dataclass(frozen=True, slots=True)
class ActivationsRequest:
    """Asks for the residual stream after each decoder layer: its mean over the reply's tokens.

    Without a reply it is read at the prompt's last token, which the reply would follow.
    """

    prompt: Prompt
    reply: str = ""


@dataclass(frozen=True, slots=True)
class DivergenceRequest:
    """Asks for KL(base ‖ model) over the vocabulary, in nats: its mean over the tokens of a text.

    The base is the model without its adapter; interventions apply to both.
    """

    prompt: Prompt  # not empty
    text: str


Question: TypeAlias = (
    GenerationRequest
    | NextTokenRequest
    | ContinuationRequest
    | ChoicesRequest
    | TopTokensRequest
    | NumberRequest
    | ActivationsRequest
    | DivergenceRequest
)


@dataclass(frozen=True, slots=True)
class Under:
    """Asks a question under interventions."""

    interventions: tuple[Intervention, ...]  # in the order in which they are applied
    question: Question

    @property
    def prompt(self) -> Prompt:
        """The question's prompt."""
        return self.question.prompt


Request: TypeAlias = Question | Under


def question_of(request: Request) -> Question:
    """Return the question of a request, without its interventions."""
    return request.question if isinstance(request, Under) else request


class Completion(NamedTuple):
    """One sampled continuation."""

    text: str
    tokens: int  # number generated, including the end token and all thought
    stop: str  # "end" or "length"
    thought: str = ""  # what a reasoning model wrote between <think> and </think>


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a `GenerationRequest`."""

    prompt: str  # as rendered for the model
    completions: tuple[Completion, ...]
    dropped: int = 0  # number of oldest messages dropped to fit the model's context


Logprobs: TypeAlias = tuple[float, ...]  # the answer to a `NextTokenRequest`, in nats


@dataclass(frozen=True, slots=True)
class Choices:
    """The answer to a `ChoicesRequest`."""

    logprobs: tuple[float, ...]  # of each choice, in nats, summed over its tokens


TopTokens: TypeAlias = Mapping[str, float]  # token text with blanks → log-probability in nats


class Numbers(NamedTuple):
    """The answer to a `NumberRequest`."""

    shares: Mapping[int, float]  # number → probability; they add up to `mass`
    mass: float  # the reply's probability of a number within the bounds
    text: str  # the reply, where it was read as text
    words: Mapping[str, float] = MappingProxyType({})  # word instead of a number → probability


Activations: TypeAlias = np.ndarray  # the answer to an `ActivationsRequest`: (layers, hidden), fp32
Answer: TypeAlias = Generation | Logprobs | float | Choices | TopTokens | Numbers | Activations
