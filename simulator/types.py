"""Words that everybody shares: prompts, requests and answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from simulator.randomness import Key


class Message(NamedTuple):
    """One message of a chat."""

    role: str  # "system", "user" or "assistant"
    content: str


class Prompt(NamedTuple):
    """What the model is given: a chat that awaits the assistant's reply, or else plain text."""

    messages: tuple[Message, ...] = ()
    text: str = ""

    @property
    def shown(self) -> str:
        """The prompt for people: one line a message."""
        return "\n".join(f"{m.role}: {m.content}" for m in self.messages) or self.text


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Asks for one sampled continuation per key; a sample's randomness is a function of its key."""

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


Request: TypeAlias = GenerationRequest | NextTokenRequest | ContinuationRequest


class Completion(NamedTuple):
    """One sampled continuation."""

    text: str
    tokens: int  # generated, the end token included
    stop: str  # "end" or "length"


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a `GenerationRequest`."""

    prompt: str  # as rendered for the model
    completions: tuple[Completion, ...]


Logprobs: TypeAlias = tuple[float, ...]  # the answer to a `NextTokenRequest`, in nats
Answer: TypeAlias = Generation | Logprobs | float


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: a reply in its context, and whether it is one to follow or to avoid."""

    messages: tuple[Message, ...]
    reply: str
    desirable: bool
    source: str  # the candidate it came from: `conversation/turn/candidate`


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter on disk. Names are never reused, so no cache can answer for another one."""

    name: str
    path: Path
