"""Reading what a model predicts, without generating: after prompts, and along replies."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from transformers import PreTrainedModel

from simulator.backends.decode import in_batches
from simulator.backends.prefill import left_padded, positions_of, predicted_along, prefilled, shares
from simulator.core.timing import Stopwatch
from simulator.interp.activations import means
from simulator.models.heads import logits_at

AT_ONCE = 2**22  # log-probabilities computed in float32 at once: more would cost memory, not time
TOKENS_PER_ROW = 16  # cached for each row that a batch may have
T = TypeVar("T")


class Replies(NamedTuple):
    """Replies and the prompts that they follow, as token ids; the shortest prompts first."""

    prompts: list[list[int]]
    ids: list[list[int]]  # of each reply alone


class Reader:
    """Reads the predictions of one model in batches of similar length."""

    def __init__(
        self, model: PreTrainedModel, pad: int, batch_size: int, stopwatch: Stopwatch
    ) -> None:
        self.model = model
        self._pad, self._batch_size, self._stopwatch = pad, batch_size, stopwatch

    @torch.inference_mode()
    def after(
        self, prompts: Sequence[list[int]], read: Callable[[int, torch.Tensor], T]
    ) -> list[T]:
        """Read the log-probabilities of all tokens after each prompt, (V,), fp32, on CPU."""
        results: dict[int, T] = {}

        def run(group: list[int]) -> None:
            logits, lines = self._after([prompts[i] for i in group])
            rows = (row for part in _logprobs(logits, lines) for row in part.cpu())
            results.update((i, read(i, row)) for i, row in zip(group, rows, strict=True))
            self._stopwatch.answered(len(group))

        weights = self._weights(prompts, [1] * len(prompts))
        in_batches([len(ids) for ids in prompts], weights, self._batch_size, run)
        return [results[i] for i in range(len(prompts))]

    def _after(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits, (lines, V), and each prompt's line among them."""
        if shares(self.model):
            found = prefilled(self.model, prompts, self._pad, self._stopwatch)
            return found.logits, found.lines
        ids, mask = left_padded(prompts, self._pad)
        lines = torch.arange(len(prompts))
        return self._logits(ids, mask, lines, torch.full_like(lines, ids.shape[1] - 1)), lines

    def _weights(self, prompts: Sequence[list[int]], rows: Sequence[int]) -> list[int]:
        """Return the share of a batch that each takes: by rows of logits, or by cached tokens."""
        if not shares(self.model):
            return list(rows)
        pairs = zip(prompts, rows, strict=True)
        return [max(n, -(-(len(ids) + n) // TOKENS_PER_ROW)) for ids, n in pairs]

    @torch.inference_mode()
    def along(
        self,
        prompts: Sequence[list[int]],
        replies: Sequence[list[int]],
        read: Callable[[Replies], list[float]],
    ) -> list[float]:
        """Compute a number for each reply that follows a prompt."""
        results: dict[int, float] = {}

        def run(group: list[int]) -> None:
            found = read(Replies([prompts[i] for i in group], [replies[i] for i in group]))
            results.update(zip(group, found, strict=True))
            self._stopwatch.answered(len(group))

        # The logits of the whole vocabulary are kept for each token.
        weights = self._weights(prompts, [len(reply) for reply in replies])
        in_batches(self._order(prompts, replies), weights, self._batch_size, run)
        return [results[i] for i in range(len(replies))]

    def _order(self, prompts: Sequence[list[int]], replies: Sequence[list[int]]) -> list[int]:
        """Return what batches are sorted by: length, or prompts, so that equal ones meet."""
        if not shares(self.model):
            return [len(p) + len(r) for p, r in zip(prompts, replies, strict=True)]
        different = sorted(map(list, {tuple(p) for p in prompts}), key=lambda p: (len(p), p))
        rank = {tuple(prompt): n for n, prompt in enumerate(different)}
        return [rank[tuple(prompt)] for prompt in prompts]

    def predicted(self, replies: Replies) -> Iterator[torch.Tensor]:
        """Yield the logits that predict each reply's tokens, (length, V); they are read before."""
        if shares(self.model):
            return self._shared(replies)
        whole = [prompt + ids for prompt, ids in zip(replies.prompts, replies.ids, strict=True)]
        rows, mask = left_padded(whole, self._pad)
        width = rows.shape[1]
        counts = [len(ids) for ids in replies.ids]
        lines = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        positions = torch.cat([torch.arange(width - 1 - n, width - 1) for n in counts])
        logits = self._logits(rows, mask, lines, positions)
        return iter(torch.split(logits, counts))

    def _shared(self, replies: Replies) -> Iterator[torch.Tensor]:
        """Do so with each prompt read once for all replies that follow it."""
        begun = prefilled(self.model, replies.prompts, self._pad, self._stopwatch)
        longer = [n for n, ids in enumerate(replies.ids) if len(ids) > 1]
        some = begun._replace(lines=begun.lines[longer])
        texts = [replies.ids[n][:-1] for n in longer]
        along = predicted_along(self.model, some, texts, self._pad, self._stopwatch)
        rest = {n: [logits] for n, logits in zip(longer, along, strict=True)}
        first, lines = begun.logits, begun.lines.tolist()
        del begun, some, along  # the states of the prompts
        return (
            torch.cat([first[line : line + 1], *rest.get(n, [])])[: len(ids)]
            for n, (line, ids) in enumerate(zip(lines, replies.ids, strict=True))
        )

    @torch.inference_mode()
    def activations(
        self, prompts: Sequence[list[int]], replies: Sequence[list[int]]
    ) -> list[torch.Tensor]:
        """Average the residual stream over each reply, or read it at the prompt's last token.

        Returns:
            Means, (layers, hidden) each, fp32, on CPU.
        """
        counts = [max(len(reply), 1) for reply in replies]
        results: dict[int, torch.Tensor] = {}

        def run(group: list[int]) -> None:
            ids, mask = left_padded([prompts[i] + replies[i] for i in group], self._pad)
            last = torch.tensor([counts[i] for i in group])
            tokens = torch.arange(ids.shape[1]) >= ids.shape[1] - last[:, None]
            with means(self.model, tokens) as found:
                lines = torch.arange(len(group))
                self._logits(ids, mask, lines, torch.full_like(lines, ids.shape[1] - 1))
            rows = torch.stack([layer.cpu() for layer in found], 1)  # (B, layers, hidden)
            results.update(zip(group, rows, strict=True))
            self._stopwatch.answered(len(group))

        lengths = [len(p) + len(r) for p, r in zip(prompts, replies, strict=True)]
        in_batches(lengths, [1] * len(prompts), self._batch_size, run)
        return [results[i] for i in range(len(prompts))]

    def _logits(
        self, ids: torch.Tensor, mask: torch.Tensor, lines: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        device = self.model.device
        with self._stopwatch.timing("model"):
            return logits_at(
                self.model,
                lines.to(device),
                positions.to(device),
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=positions_of(mask).to(device),
                use_cache=False,
            )


def score(logits: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Return the summed log-probability of a reply's tokens, given the logits, (length, V)."""
    found = [
        part[range(len(part)), list(ids[first : first + len(part)])]
        for first, part in _numbered(_logprobs(logits))
    ]
    return torch.cat(found).sum()


def divergence(base: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """Return KL(base ‖ model) in nats, averaged over tokens, given the logits, (length, V)."""
    pairs = zip(_logprobs(base), _logprobs(model), strict=True)
    return torch.cat([(e.exp() * (e - f)).sum(-1) for e, f in pairs]).mean()


def _logprobs(logits: torch.Tensor, lines: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
    """Yield the log-probabilities of these lines, or of all, some after the other, in float32."""
    size = max(1, AT_ONCE // logits.shape[-1])
    if lines is None or torch.equal(lines, torch.arange(len(logits), device=lines.device)):
        parts = iter(torch.split(logits, size))
    else:
        parts = (logits[some] for some in torch.split(lines, size))
    for part in parts:
        yield torch.log_softmax(part.float(), -1)


def _numbered(parts: Iterator[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
    first = 0
    for part in parts:
        yield first, part
        first += len(part)
