"""Any endpoint with OpenAI's chat API: for users, raters, judges, assistants without updates.

It serves no adapters, and its tokenizer is unknown here. So a chat that is too long is found when
the endpoint says so, and a reply that doesn't fit may be cut short.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from simulator.backends.base import ClosedEngine
from simulator.backends.chat_answers import ChatAnswer, read_answer
from simulator.backends.chat_options import ChatOptions
from simulator.backends.config import OpenAIConfig
from simulator.backends.http_client import Endpoint, Refused, key_of
from simulator.backends.ledger import Ledger, NoLedger, Spent
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError, EndpointWarning
from simulator.core.requests import (
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    Prompt,
    TopTokens,
    TopTokensRequest,
)
from simulator.core.rng import seed31
from simulator.core.timing import Stopwatch
from simulator.core.unicode import BYTES_PER_TOKEN
from simulator.models.chat_template import without_oldest


class Asked(NamedTuple):
    """A chat with the limit of its reply, and how the reply is drawn."""

    prompt: Prompt
    limit: int  # tokens
    temperature: float
    seed: int | None = None
    top: int | None = None  # how many likeliest tokens are wanted
    dropped: int = 0  # number of oldest messages dropped


class OpenAIBackend(ClosedEngine):
    """One model of an endpoint."""

    def __init__(
        self,
        config: OpenAIConfig,
        model: str,
        stopwatch: Stopwatch,
        ledger: Ledger | None = None,
    ) -> None:
        self.capabilities = config.capabilities
        if not config.logprobs:
            self.capabilities -= {"top_tokens"}
        self._config, self._model, self._stopwatch = config, model, stopwatch
        self._settings = config.model_dump_json()  # of one of several roles at an endpoint
        self._ledger = ledger or NoLedger()
        self._options, self._read_top = ChatOptions(config), False
        self._warned: set[str] = set()
        self._endpoint = Endpoint(
            config.url,
            key_of(config.key_variable),
            concurrency=config.concurrency,
            deadline=config.deadline,
            retries=config.retries,
        )

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Sample each continuation by its own request; not all endpoints support `n`."""
        asked = [
            Asked(r.prompt, r.max_new_tokens, r.temperature, seed31(*key))
            for r in requests
            for key in r.keys
        ]
        answers = iter(self._ask(asked))
        return [self._generation(r, [next(answers) for _ in r.keys]) for r in requests]

    def _generation(self, request: GenerationRequest, answers: Sequence[ChatAnswer]) -> Generation:
        completions = tuple(answer.completion for answer in answers)
        if any(c.stop == "length" and not c.text for c in completions):
            self._warn(
                "empty",
                "some replies are empty, as the limit was spent before they began; if the model "
                "thinks first, set backend.thought_tokens, e.g. to 2000",
            )
        shortened = {dropped: prompt for dropped, prompt in without_oldest(request.prompt)}
        shown = shortened.get(answers[0].dropped, request.prompt).shown
        return Generation(shown, completions, max(answer.dropped for answer in answers))

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Read the likeliest first tokens of each reply; none where the endpoint gives none.

        An endpoint that has given none at all isn't asked for them again.
        """
        found = self._ask([Asked(r.prompt, 1, 0.0, top=r.count) for r in requests])
        tops = [answer.top for answer in found]
        self._read_top = self._read_top or any(tops)
        if not all(tops):
            self._warn(
                "log-probabilities",
                f"{tops.count({}):,} of {len(tops):,} answers have no log-probabilities that can "
                "be used, so numbers are read from the texts of replies; to ask for texts at once, "
                "set backend.logprobs: false",
            )
        if tops and not self._read_top:
            self.capabilities -= {"top_tokens"}
        return tops

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Refuse: endpoints return only the likeliest tokens."""
        self._refuse("next_token_logprobs")

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Refuse: endpoints don't score given texts."""
        self._refuse("score_continuations")

    def _refuse(self, what: str) -> NoReturn:
        raise BackendError(f"{self._config.url}: an endpoint doesn't support {what}")

    def _ask(self, asked: Sequence[Asked]) -> list[ChatAnswer]:
        """Ask all, except what the ledger knows; ask differently what the endpoint refuses so."""
        keys = [self._key(one) for one in asked]
        recalled = {n: self._ledger.recall(key) for n, key in enumerate(keys)}
        done = {n: _from_json(answer) for n, answer in recalled.items() if answer is not None}
        left = {n: one for n, one in enumerate(asked) if n not in done}
        self._stopwatch.answered(len(done))
        while left:
            left = self._ask_once(left, keys, done)
        return [done[n] for n in range(len(asked))]

    def _ask_once(
        self, left: Mapping[int, Asked], keys: Sequence[str], done: dict[int, ChatAnswer]
    ) -> dict[int, Asked]:
        """Put answers into `done` as they come; return what must be asked differently."""
        places = list(left)
        bodies = [self._body(left[n]) for n in places]

        def heard(i: int, body: Mapping[str, Any]) -> None:
            n = places[i]
            done[n] = self._read(left[n], body)
            self._enter(keys[n], done[n])
            self._stopwatch.wrote(done[n].completion.tokens)
            self._stopwatch.answered(1)

        with self._stopwatch.timing("model"):
            answers = self._endpoint.chat(bodies, heard)
        return {
            n: self._otherwise(left[n], body, answer)
            for n, body, answer in zip(places, bodies, answers, strict=True)
            if isinstance(answer, Refused)
        }

    def _key(self, asked: Asked) -> str:
        """Return the hash of a request as it is meant, however it is then worded."""
        content = json.dumps([self._settings, self._model, asked])
        return hashlib.sha256(content.encode()).hexdigest()

    def _body(self, asked: Asked) -> dict[str, Any]:
        if not asked.prompt.messages or asked.prompt.prefill:
            self._refuse("prefills")
        messages = [message._asdict() for message in asked.prompt.messages]
        options = self._options.of(asked.limit, asked.temperature, asked.seed, asked.top)
        return {"model": self._model, "messages": messages, **options}

    def _otherwise(self, asked: Asked, body: Mapping[str, Any], refused: Refused) -> Asked:
        """Return how to ask again: with other parameters, or without the oldest messages.

        Raises:
            BackendError: nothing is left to try.
        """
        changed = self._options.adapt(refused.refusal, body)
        if changed:
            self._warn(
                changed,
                f"'{self._model}' refuses a parameter, so the run {changed} "
                f"(it said: {refused.refusal.quoted})",
            )
        if changed is not None:
            return asked
        if not refused.refusal.too_long:
            raise BackendError(f"{refused}{self._options.remedy(refused.refusal)}")
        for dropped, prompt in without_oldest(asked.prompt):
            return asked._replace(prompt=prompt, dropped=asked.dropped + dropped)
        raise BackendError(
            f"{self._config.url}: a prompt is too long for the model's context; shorten it "
            f"(the server said: {refused.refusal.quoted})"
        )

    def _read(self, asked: Asked, body: Mapping[str, Any]) -> ChatAnswer:
        limit = asked.limit + self._config.thought_tokens
        return read_answer(body, asked.prompt.messages, limit)._replace(dropped=asked.dropped)

    def _enter(self, key: str, answer: ChatAnswer) -> None:
        """Keep an answer, with its cost."""
        config, spent = self._config, answer.spent
        cost = (spent.read * config.input_price + spent.written * config.output_price) / 1e6
        if spent.estimated and cost:
            self._warn(
                "usage",
                f"'{self._model}' doesn't report the tokens of its answers, so costs are "
                f"estimated: a token for {BYTES_PER_TOKEN} bytes of text",
            )
        self._ledger.enter(key, answer._asdict(), spent, cost)

    def _warn(self, what: str, sentence: str) -> None:
        """Say something once."""
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(f"{self._config.url}: {sentence}", EndpointWarning, stacklevel=2)

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


def _from_json(values: Mapping[str, Any]) -> ChatAnswer:
    return ChatAnswer(**{**values, "spent": Spent(*values["spent"])})
