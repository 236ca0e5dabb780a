"""The vLLM engine: a server that we start or one that is running; adapters are swapped live."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.backends.base import ClosedEngine
from simulator.backends.config import VLLMConfig
from simulator.backends.http_client import Endpoint, Refused, key_of
from simulator.backends.server_process import Server
from simulator.backends.vllm_adapters import adapters_of
from simulator.backends.vllm_answers import check_answer
from simulator.backends.vllm_server import SharedServer, start_server
from simulator.core.adapters import Adapter
from simulator.core.credentials import keep_secret, redacted
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
from simulator.core.rng import seed31
from simulator.core.timing import Stopwatch
from simulator.models.chat_template import Encoded, by_text, encoder_of
from simulator.models.limits import context_of, end_tokens
from simulator.models.reference import ModelRef
from simulator.models.thoughts import split_thought

TOKENS_AT_ONCE = 128  # log-probabilities that one request may ask for
RETRIES = 6  # of a request to a server that isn't ours
RESTARTS = 3  # of a server that exits, per batch
EXIT_WAIT = 10.0  # seconds for a failed server to exit


class VLLMBackend(ClosedEngine):
    """Serves one model and at most one adapter."""

    def __init__(
        self,
        config: VLLMConfig,
        model: ModelRef,
        stopwatch: Stopwatch,
        *,
        log: Path,
        on_wait: Callable[[float], None],
        shared: SharedServer | None = None,
    ) -> None:
        """Connect to a server, and start it unless one is given.

        Args:
            config: the scenario's `backend` section.
            model: that is served.
            stopwatch: gets the time spent waiting for it.
            log: the log of a server that we start.
            on_wait: is called with the seconds that we have waited for it.
            shared: a server that several runs share; then none is started.

        Raises:
            BackendError: there is no server, or it doesn't start.
        """
        self._shared = shared
        self._config, self._model, self._stopwatch = config, model, stopwatch
        self._log, self._on_wait = log, on_wait
        self.capabilities = config.capabilities
        self.encoder = encoder_of(model)
        self._context = context_of(model, config.context)
        self._ends = end_tokens(model)
        self._adapter: Adapter | None = None
        self._bare = False  # whether the base model answers, though the server has an adapter
        self._adapters = adapters_of(
            config, model, lambda *to: self._endpoint.post(*to), is_shared=shared is not None
        )
        self._server: Server | None = None
        self._connect()

    def _connect(self) -> None:
        """Start the server, unless one is given, and open the endpoint."""
        config, shared = self._config, self._shared
        if shared is not None:
            keep_secret(shared.key)
            url, key, retries = shared.url, shared.key, RETRIES
        elif config.url:
            url, key, retries = config.url, key_of(config.key_variable), RETRIES
        else:
            self._server = start_server(
                config, self._model, self._adapters, log=self._log, on_wait=self._on_wait
            )
            url, key, retries = self._server.url, self._server.key, 1  # we see its exit ourselves
        self._endpoint = Endpoint(
            f"{url}/v1",
            key,
            concurrency=config.concurrency,
            deadline=config.deadline,
            retries=retries,
        )

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Sample each request's continuations as one request, seeded by its keys."""
        prompts = self._encoded(
            [request.prompt for request in requests],
            [request.max_new_tokens for request in requests],
        )
        bodies = [
            self._body(
                prompt.ids,
                request.max_new_tokens,
                request.temperature,
                n=len(request.keys) if request.temperature > 0 else 1,
                seed=seed31(*itertools.chain(*request.keys)),
            )
            for prompt, request in zip(prompts, requests, strict=True)
        ]
        generations = []
        for prompt, request, found in zip(prompts, requests, self._ask(bodies), strict=True):
            samples = self._completions(found.choices, prompt.thinking)
            if request.temperature == 0:  # greedy samples are all the same
                samples *= len(request.keys)
            generations.append(Generation(prompt.text, tuple(samples), prompt.dropped))
        return generations

    def _completions(self, choices: Sequence[Any], thinking: bool) -> list[Completion]:
        """Read samples by their tokens: a server's text keeps some end tokens."""
        rows = [list(choice.token_ids) for choice in choices]
        texts = self.encoder.decode([i[:-1] if i and i[-1] in self._ends else i for i in rows])
        found = []
        for choice, ids, text in zip(choices, rows, texts, strict=True):
            thought, reply = split_thought(redacted(text), thinking=thinking)
            stop = "end" if choice.finish_reason == "stop" else "length"
            found.append(Completion(reply, len(ids), stop, thought))
        return found

    def _encoded(self, prompts: Sequence[Prompt], to_come: Sequence[int]) -> list[Encoded]:
        """Encode prompts, leaving room in the model's context for what follows each."""
        return self.encoder.encode(prompts, [self._context - tokens for tokens in to_come])

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Read the distribution after each prompt."""
        prompts = self._encoded([request.prompt for request in requests], [1] * len(requests))
        wanted = [
            [self.encoder.token_id(token) for token in request.tokens] for request in requests
        ]
        return [tuple(found) for found in self._next([prompt.ids for prompt in prompts], wanted)]

    def _next(self, prompts: Sequence[list[int]], wanted: Sequence[list[int]]) -> list[list[float]]:
        """Return, per prompt, the log-probabilities of the wanted token ids."""
        bodies, owners = [], []
        for owner, (ids, tokens) in enumerate(zip(prompts, wanted, strict=True)):
            for start in range(0, len(tokens), TOKENS_AT_ONCE):
                part = tokens[start : start + TOKENS_AT_ONCE]
                body = self._body(ids, 1, 1.0, logprobs=len(part))
                body["extra_body"] |= {
                    "logprob_token_ids": part,
                    "return_tokens_as_token_ids": True,
                }
                bodies.append(body)
                owners.append((owner, part))
        found: list[list[float]] = [[] for _ in prompts]
        for (owner, part), answer in zip(owners, self._ask(bodies), strict=True):
            (top,) = answer.choices[0].logprobs.top_logprobs
            found[owner] += [top[f"token_id:{token}"] for token in part]
        return found

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Read the likeliest tokens after each prompt."""
        prompts = self._encoded([request.prompt for request in requests], [1] * len(requests))
        bodies = []
        for prompt, request in zip(prompts, requests, strict=True):
            body = self._body(prompt.ids, 1, 0.0, logprobs=request.count)
            body["extra_body"] |= {"return_tokens_as_token_ids": True}
            bodies.append(body)
        found: list[TopTokens] = []
        for answer in self._ask(bodies):
            (top,) = answer.choices[0].logprobs.top_logprobs
            ids = [int(token.removeprefix("token_id:")) for token in top]
            found.append(by_text(self.encoder.token_texts(ids), list(top.values())))
        return found

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Read each token's probability after what comes before it.

        The server's own scores of a prompt aren't used: with an adapter they crash it.
        """
        asked = [request.prompt for request in requests]
        replies = self.encoder.encode_replies([r.continuation for r in requests], asked)
        prompts = self._encoded(asked, list(map(len, replies)))
        contexts = [
            [*prompt.ids, *reply[:n]]
            for prompt, reply in zip(prompts, replies, strict=True)
            for n in range(len(reply))
        ]
        steps = iter(self._next(contexts, [[token] for reply in replies for token in reply]))
        return [sum(logprob for (logprob,) in itertools.islice(steps, len(r))) for r in replies]

    def _body(
        self, ids: list[int], max_tokens: int, temperature: float, **options: Any
    ) -> dict[str, Any]:
        """Return a request that sets everything for which a server may have its own default."""
        answering = self._adapters.answering(self._wanted)
        return {
            "model": answering.model,
            "prompt": ids,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": 1.0,
            "extra_body": {
                "top_k": 0,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "stop_token_ids": list(self._ends),
                "return_token_ids": True,
                **answering.options,
            },
            **options,
        }

    def _ask(self, bodies: Sequence[dict[str, Any]]) -> list[Any]:
        """Ask all, and ask again what a failed server left unanswered."""
        answers: dict[int, Any] = {}
        with self._stopwatch.timing("model"):
            for _ in range(RESTARTS + 1):
                due = [n for n in range(len(bodies)) if n not in answers]
                self._revive()
                found = self._complete([bodies[n] for n in due])
                kept = zip(due, found, strict=True)
                answers |= {n: a for n, a in kept if not isinstance(a, Exception)}
                failures = [answer for answer in found if isinstance(answer, Exception)]
                if not failures:
                    return [answers[n] for n in range(len(bodies))]
                self._await_exit(failures[0])
        raise failures[0] if self._server is None else self._server.failure(str(failures[0]))

    def _complete(self, bodies: Sequence[dict[str, Any]]) -> list[Any]:
        """Ask once; all stay unanswered if the server can't take the adapter."""
        try:
            self._adapters.prepare(self._wanted)
        except BackendError as error:
            return [error] * len(bodies)

        def heard(n: int, answer: Any) -> Any:
            check_answer(bodies[n], answer)
            self._stopwatch.wrote(sum(len(choice.token_ids) for choice in answer.choices))
            self._stopwatch.answered(len(answer.choices))
            return answer

        return self._endpoint.complete(bodies, heard)

    @property
    def _wanted(self) -> Adapter | None:
        """The adapter that should answer."""
        return None if self._bare else self._adapter

    def _await_exit(self, failure: Exception) -> None:
        """Wait for our failed server to exit; raise the failure if the server isn't ours."""
        if isinstance(failure, Refused):
            raise BackendError(
                f"{self._endpoint.url}: the server's context is shorter than the model's; "
                "set backend.context to the server's"
            )
        if self._server is None:
            raise failure
        self._server.wait_for_exit(EXIT_WAIT)

    def _revive(self) -> None:
        """Restart our server if it exited, with the adapter that it served."""
        if self._server is None or self._server.running:
            return
        self._server.stop()
        self._endpoint.close()
        self._connect()
        self._adapters.restarted(self._adapter)

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """Ask the base model while the context is open."""
        before, self._bare = self._bare, True
        try:
            yield
        finally:
            self._bare = before

    def load(self, adapter: Adapter | None) -> None:
        """Serve `adapter` from now on."""
        self._revive()
        self._adapters.load(adapter)
        self._adapter = adapter

    def drop_previous(self) -> None:
        """Drop the previous adapter."""
        self._adapters.drop_previous()

    def close(self) -> None:
        """Stop the server if we started it."""
        self._endpoint.close()
        if self._server is not None:
            self._server.stop()
