"""Any endpoint with OpenAI's chat API: for users, raters and judges.

It serves no adapters, and its tokenizer is unknown here. So a chat that is too long is found when
the endpoint says so, and a reply that doesn't fit may be cut short.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from simulator.backends.base import ClosedEngine
from simulator.backends.config import OpenAIConfig
from simulator.backends.http_client import Endpoint, TooLong
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.core.requests import (
    Completion,
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    Prompt,
    TopTokens,
    TopTokensRequest,
)
from simulator.core.rng import Key, seed31
from simulator.core.timing import Stopwatch
from simulator.models.chat_template import without_oldest
from simulator.models.thoughts import split_thought


class Asked(NamedTuple):
    """A chat that was answered, the number of messages dropped from it, and the answer."""

    prompt: Prompt
    dropped: int
    answer: Any


class OpenAIBackend(ClosedEngine):
    """One model of an endpoint."""

    def __init__(self, config: OpenAIConfig, model: str, stopwatch: Stopwatch) -> None:
        key = os.environ.get(config.key_variable, "")
        self.capabilities = config.capabilities
        if not config.logprobs:
            self.capabilities -= {"top_tokens"}
        self._config, self._model, self._stopwatch = config, model, stopwatch
        self._endpoint = Endpoint(
            config.url,
            key or "none",
            concurrency=config.concurrency,
            deadline=config.deadline,
            retries=config.retries,
        )

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Sample each continuation by its own request; not all endpoints support `n`."""
        samples = [(request, key) for request in requests for key in request.keys]
        prompts = [request.prompt for request, _ in samples]
        found = iter(self._ask(prompts, [self._sampling(*sample) for sample in samples]))
        return [self._generation([next(found) for _ in request.keys]) for request in requests]

    def _sampling(self, request: GenerationRequest, key: Key) -> dict[str, Any]:
        return {
            "max_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "seed": seed31(*key),
        }

    def _generation(self, asked: Sequence[Asked]) -> Generation:
        shown = asked[0].prompt.shown
        dropped = max(one.dropped for one in asked)
        return Generation(shown, tuple(_completion(one.answer) for one in asked), dropped)

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Read the likeliest first tokens of each reply."""
        options = [
            {"max_tokens": 1, "temperature": 0.0, "logprobs": True, "top_logprobs": request.count}
            for request in requests
        ]
        found = self._ask([request.prompt for request in requests], options)
        return [_top(one.answer, self._config.url) for one in found]

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Refuse: endpoints return only the likeliest tokens."""
        self._refuse("next_token_logprobs")

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Refuse: endpoints don't score given texts."""
        self._refuse("score_continuations")

    def _refuse(self, what: str) -> NoReturn:
        raise BackendError(f"{self._config.url}: an endpoint doesn't support {what}")

    def _ask(self, prompts: Sequence[Prompt], options: Sequence[dict[str, Any]]) -> list[Asked]:
        """Ask all; a chat that is too long is sent again without its oldest messages."""
        left = {n: Asked(prompt, 0, None) for n, prompt in enumerate(prompts)}
        done: dict[int, Asked] = {}
        while left:
            bodies = [self._body(one.prompt) | options[n] for n, one in left.items()]
            with self._stopwatch.timing("model"):
                answers = self._endpoint.chat(bodies)
            again: dict[int, Asked] = {}
            for (n, one), answer in zip(left.items(), answers, strict=True):
                if isinstance(answer, TooLong):
                    again[n] = self._shorter(one)
                elif isinstance(answer, BackendError):
                    raise answer
                else:
                    self._count(answer)
                    done[n] = one._replace(answer=answer)
            left = again
        return [done[n] for n in range(len(prompts))]

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        if not prompt.messages or prompt.prefill:
            self._refuse("prefills")
        messages = [message._asdict() for message in prompt.messages]
        return {"model": self._model, "messages": messages}

    def _shorter(self, asked: Asked) -> Asked:
        for dropped, prompt in without_oldest(asked.prompt):
            return Asked(prompt, asked.dropped + dropped, None)
        raise BackendError(
            f"{self._config.url}: a prompt is too long for the model's context; shorten it"
        )

    def _count(self, answer: Any) -> None:
        if answer.usage is None:
            return
        usage, config = self._stopwatch.usage, self._config
        read, written = answer.usage.prompt_tokens, answer.usage.completion_tokens
        usage.read += read
        usage.written += written
        usage.cost += (read * config.input_price + written * config.output_price) / 1e6

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """Do nothing: there is no adapter."""
        yield

    def load(self, adapter: Adapter | None) -> None:
        """Refuse adapters."""
        if adapter is not None:
            self._refuse("adapters")

    def drop_previous(self) -> None:
        """Do nothing: there is no adapter."""

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()


def _completion(answer: Any) -> Completion:
    choice = answer.choices[0]
    thought, reply = split_thought(choice.message.content or "")
    for name in ("reasoning", "reasoning_content"):  # where a server separates thoughts itself
        thought = getattr(choice.message, name, None) or thought
    stop = "end" if choice.finish_reason == "stop" else "length"
    return Completion(reply, answer.usage.completion_tokens if answer.usage else 0, stop, thought)


def _top(answer: Any, url: str) -> TopTokens:
    found = answer.choices[0].logprobs
    if found is None or not found.content:
        raise BackendError(
            f"{url}: the endpoint returns no log-probabilities; set backend.logprobs: false"
        )
    return {top.token: top.logprob for top in reversed(found.content[0].top_logprobs)}
