"""The in-process engine: any causal language model that transformers loads."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

import torch
import transformers

from simulator.backends.adapters import AdaptedModel
from simulator.backends.attention import group_attention
from simulator.backends.caches import check_cache
from simulator.backends.config import TransformersConfig
from simulator.backends.decode import Row, decode, in_batches
from simulator.backends.packing import pack_linears
from simulator.backends.readings import Reader, Replies, divergence, score
from simulator.core.adapters import Adapter
from simulator.core.interventions import Bare, Intervention, Reparametrised, WithAdapter
from simulator.core.requests import (
    Activations,
    ActivationsRequest,
    Completion,
    ContinuationRequest,
    DivergenceRequest,
    Generation,
    GenerationRequest,
    Logprobs,
    NextTokenRequest,
    Prompt,
    TopTokens,
    TopTokensRequest,
)
from simulator.core.rng import Key, uniforms
from simulator.core.timing import Stopwatch
from simulator.interp.activations import changed
from simulator.models.allocator import keep_memory
from simulator.models.chat_template import Encoded, by_text, encoder_of
from simulator.models.devices import dtype_of, usable_device
from simulator.models.limits import context_of, end_tokens
from simulator.models.pretrained import check_vocabulary, checked_config, load_causal_lm
from simulator.models.reference import ModelRef
from simulator.models.thoughts import split_thought

transformers.utils.logging.disable_progress_bar()


class Part(NamedTuple):
    """Samples of one request that are decoded together."""

    number: int  # of the request
    request: GenerationRequest
    prompt: Encoded
    keys: tuple[Key, ...]


class TransformersBackend:
    """Serves one model with at most one adapter."""

    def __init__(self, config: TransformersConfig, model: ModelRef, stopwatch: Stopwatch) -> None:
        torch.set_num_threads(config.threads)
        self.capabilities = config.capabilities
        self._batch_size, self._stopwatch = config.batch_size, stopwatch
        self._context = context_of(model, config.context)
        self.encoder = encoder_of(model)
        self.tokenizer = self.encoder.tokenizer
        device = usable_device(config.device)
        if device.type == "cpu":
            keep_memory()
        self.model = load_causal_lm(
            model,
            dtype=dtype_of(config.dtype, device, checked_config(model)),
            attn_implementation=None if config.attention == "auto" else config.attention,
        )
        check_cache(self.model)
        rows = self.model.get_input_embeddings().num_embeddings
        check_vocabulary(model, self.tokenizer, rows)
        self.model.to(device).eval().requires_grad_(False)
        group_attention(self.model)
        pack_linears(self.model)
        self._ends = frozenset(end_tokens(model))
        self._adapted = AdaptedModel(self.model)
        pad = self.tokenizer.pad_token_id or 0
        self._pad: int = pad if pad < rows else 0  # any token: it is never attended to
        self._reader = Reader(self.model, self._pad, config.batch_size, stopwatch)

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Sample each request's continuations; see `decode` for the loop."""
        prompts = self._encoded(
            [request.prompt for request in requests],
            [request.max_new_tokens for request in requests],
        )
        limit = self._batch_size
        # A request for more samples than a batch holds is split; each part prefills its prompt.
        parts = [
            Part(i, request, prompt, request.keys[first : first + limit])
            for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
            for first in range(0, len(request.keys), limit)
        ]
        replies: dict[int, list[Completion]] = {}

        def run(group: list[int]) -> None:
            drawn = self._draw([parts[n] for n in group])
            replies.update(zip(group, drawn, strict=True))
            self._stopwatch.answered(sum(map(len, drawn)))

        lengths = [len(part.prompt.ids) for part in parts]
        in_batches(lengths, [len(part.keys) for part in parts], limit, run)
        samples: list[list[Completion]] = [[] for _ in requests]
        for n, part in enumerate(parts):
            samples[part.number] += replies[n]
        return [
            Generation(prompt.text, tuple(drawn), prompt.dropped)
            for prompt, drawn in zip(prompts, samples, strict=True)
        ]

    def _draw(self, parts: Sequence[Part]) -> list[list[Completion]]:
        """Decode the parts as one batch."""
        longest = max(part.request.max_new_tokens for part in parts)
        rows = [
            Row(line, draws, part.request.temperature, part.request.max_new_tokens)
            for line, part in enumerate(parts)
            for draws in uniforms(part.keys, longest)
        ]
        drawn = decode(
            self.model,
            [part.prompt.ids for part in parts],
            rows,
            pad=self._pad,
            ends=self._ends,
            stopwatch=self._stopwatch,
        )
        ended = [ids[-1] in self._ends for ids in drawn]
        texts = self.encoder.decode(
            [ids[:-1] if end else ids for ids, end in zip(drawn, ended, strict=True)]
        )
        completions: list[list[Completion]] = [[] for _ in parts]
        for row, ids, end, text in zip(rows, drawn, ended, texts, strict=True):
            thought, reply = split_thought(text, thinking=parts[row.prompt].prompt.thinking)
            stop = "end" if end else "length"
            completions[row.prompt].append(Completion(reply, len(ids), stop, thought))
        return completions

    def _encoded(self, prompts: Sequence[Prompt], to_come: Sequence[int]) -> list[Encoded]:
        """Encode prompts, leaving room in the model's context for what follows each."""
        return self.encoder.encode(prompts, [self._context - tokens for tokens in to_come])

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> list[Logprobs]:
        """Read the distribution after each prompt."""
        wanted = [
            [self.encoder.token_id(token) for token in request.tokens] for request in requests
        ]
        return self._reader.after(
            self._read_prompts(requests),
            lambda i, logprobs: tuple(logprobs[wanted[i]].tolist()),
        )

    def top_tokens(self, requests: Sequence[TopTokensRequest]) -> list[TopTokens]:
        """Read the likeliest tokens after each prompt."""

        def read(i: int, logprobs: torch.Tensor) -> TopTokens:
            values, ids = logprobs.topk(min(requests[i].count, len(logprobs)))
            return by_text(self.encoder.token_texts(ids.tolist()), values.tolist())

        return self._reader.after(self._read_prompts(requests), read)

    def _read_prompts(
        self, requests: Sequence[NextTokenRequest] | Sequence[TopTokensRequest]
    ) -> list[list[int]]:
        """Return the ids of prompts after which one token is read."""
        prompts = [request.prompt for request in requests]
        return [encoded.ids for encoded in self._encoded(prompts, [1] * len(prompts))]

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        """Add up the log-probabilities of each continuation's tokens."""

        def scores(replies: Replies) -> list[float]:
            predicted = self._reader.predicted(replies)
            found = map(score, predicted, replies.ids)
            return list(torch.stack(list(found)).tolist())

        texts = [request.continuation for request in requests]
        return self._reader.along(*self._following(requests, texts), scores)

    def divergences(self, requests: Sequence[DivergenceRequest]) -> list[float]:
        """Compare the predictions of each text with the base's."""

        def compare(replies: Replies) -> list[float]:
            found = self._reader.predicted(replies)
            with self.without_adapter():
                expected = self._reader.predicted(replies)
            return list(torch.stack(list(map(divergence, expected, found))).tolist())

        texts = [request.text for request in requests]
        return self._reader.along(*self._following(requests, texts), compare)

    def activations(self, requests: Sequence[ActivationsRequest]) -> list[Activations]:
        """Average the residual stream over each reply, or read it at the prompt's last token."""
        replies = [request.reply for request in requests]
        found = self._reader.activations(*self._following(requests, replies))
        return [means.numpy() for means in found]

    def _following(
        self,
        requests: Sequence[ContinuationRequest | DivergenceRequest | ActivationsRequest],
        texts: Sequence[str],
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Return the ids of prompts, and those of the texts that follow them."""
        asked = [request.prompt for request in requests]
        replies = self.encoder.encode_replies(texts, asked)
        prompts = self._encoded(asked, [max(len(reply), 1) for reply in replies])
        return [prompt.ids for prompt in prompts], replies

    def without_adapter(self) -> AbstractContextManager[None]:
        """Serve the base model while the context is open."""
        return self._adapted.without_adapter()

    @contextmanager
    def under(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        """Apply interventions in order, and undo them when the context closes."""
        with ExitStack() as changes:
            for intervention in interventions:
                changes.enter_context(self._made(intervention))
            yield

    def _made(self, intervention: Intervention) -> AbstractContextManager[None]:
        if isinstance(intervention, Bare):
            return self._adapted.without_adapter()
        if isinstance(intervention, WithAdapter):
            return self._adapted.with_adapter(intervention.adapter)
        if isinstance(intervention, Reparametrised):
            return self._adapted.reparametrised(intervention)
        return changed(self.model, intervention)

    def load(self, adapter: Adapter | None) -> None:
        """Serve the adapter: a LoRA adapter merged into the weights, a steering vector added."""
        self._adapted.load(adapter)

    def drop_previous(self) -> None:
        """Do nothing: there is one set of weights."""

    def close(self) -> None:
        """Do nothing: the model is freed with this object."""
