"""The decode loop: sampling on the model's own KV cache with one random stream per row.

`generate` of transformers draws from one global generator, so a row's text depends on its batch.
Here a row's uniforms come from its key and a token is found by inverting the row's cumulative
distribution. Four more things make it fast: samples of one prompt share its prefill, prompts are
prefilled with others of similar length, keys and values live in buffers that are written in place,
and rows that have ended leave the batch.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from simulator.core.timing import Stopwatch
from simulator.models.heads import logits_at

KEEP_SHARE = 0.5  # the batch is compacted when a smaller share of its rows is still running
LARGEST_RATIO = 1.25  # largest ratio of lengths among prompts that are prefilled together


class Row(NamedTuple):
    """One sample to draw: which prompt it continues, and how."""

    prompt: int
    uniforms: np.ndarray  # (max_new_tokens,), on [0, 1)
    temperature: float


class BufferedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here
    """A cache layer in a buffer with room for the whole reply, so no step copies the past.

    A selection of lines (the samples of each prompt, later the rows that still run) is carried out
    by the next update, which copies the selected states to a new buffer.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity, self.length = capacity, 0  # tokens
        self.selected: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens, (B, heads, T, head size); return all states so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.length, self.length + key_states.shape[-2]
        self.length = end
        if start == 0:
            self.keys, self.values = key_states, value_states
            return key_states, value_states
        assert self.keys is not None and self.values is not None
        if self.selected is not None:
            self.keys = _selected_states(self.keys[:, :, :start], self.selected, self.capacity)
            self.values = _selected_states(self.values[:, :, :start], self.selected, self.capacity)
            self.selected = None
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        return self.keys[:, :, :end], self.values[:, :, :end]

    @classmethod
    def joined(cls, parts: Sequence["BufferedLayer"], length: int) -> "BufferedLayer":
        """Stack the lines of all parts, padded on the left to `length` tokens."""
        first = parts[0]
        assert first.keys is not None and first.values is not None
        layer = cls(first.capacity)
        layer.lazy_initialization(first.keys, first.values)
        layer.keys = torch.cat([_widened(part.keys, length) for part in parts])
        layer.values = torch.cat([_widened(part.values, length) for part in parts])
        layer.length = length
        return layer

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Select these lines of the batch; a line may be named more than once."""
        self.selected = indices if self.selected is None else self.selected[indices]

    def get_seq_length(self) -> int:
        """Return the number of tokens cached."""
        return self.length


def _widened(states: torch.Tensor, length: int) -> torch.Tensor:
    """Return states, (B, heads, T, head size), padded with zeros on the left to `length` tokens."""
    return torch.nn.functional.pad(states, (0, 0, length - states.shape[-2], 0))


def _selected_states(states: torch.Tensor, lines: torch.Tensor, capacity: int) -> torch.Tensor:
    """Return a buffer for `capacity` tokens that begins with the states of the given lines."""
    batch, heads, length, size = states.shape
    each = len(lines) // batch
    buffer = states.new_empty(len(lines), heads, capacity, size)
    if torch.equal(lines, torch.arange(batch, device=lines.device).repeat_interleave(each)):
        # As many samples of each prompt: broadcasting writes them without an intermediate copy.
        by_prompt = buffer.view(batch, each, heads, capacity, size)
        by_prompt[..., :length, :] = states[:, None]
    else:
        buffer[:, :, :length] = states[lines]
    return buffer


def left_padded(prompts: Sequence[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, both (B, T) and long."""
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    mask = (torch.arange(width) >= width - lengths[:, None]).long()
    return ids, mask


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Return each token's position, (B, T); padding is at 0."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def sample(logits: torch.Tensor, temperatures: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Draw one token a row by inverting the cumulative distribution at the row's uniform.

    Args:
        logits: (B, V).
        temperatures: (B,), 0 for greedy.
        u: (B,), on [0, 1).

    Returns:
        Token ids, (B,).
    """
    greedy = temperatures == 0
    if bool(greedy.all()):
        return logits.argmax(-1)
    scaled = logits.float() / torch.where(greedy, 1.0, temperatures)[:, None]
    cumulative = torch.softmax(scaled, -1).double().cumsum_(-1)
    drawn = torch.searchsorted(cumulative, u[:, None] * cumulative[:, -1:], right=True)[:, 0]
    drawn = drawn.clamp(max=logits.shape[-1] - 1)
    return torch.where(greedy, logits.argmax(-1), drawn)


class Lines(NamedTuple):
    """The lines of a batch, one per row that is being drawn."""

    row: torch.Tensor  # (B,), index into the rows
    alive: torch.Tensor  # (B,), bool: has the reply not ended yet?
    mask: torch.Tensor  # (B, T)
    position: torch.Tensor  # (B,), of the token about to be drawn
    temperature: torch.Tensor  # (B,)
    uniforms: torch.Tensor  # (B, max_new_tokens)

    @classmethod
    def of(cls, rows: Sequence[Row], mask: torch.Tensor) -> "Lines":
        """Start a line for each row; `mask` is that of its prompt, (B, T)."""
        device = mask.device
        return cls(
            row=torch.arange(len(rows), device=device),
            alive=torch.ones(len(rows), dtype=torch.bool, device=device),
            mask=mask,
            position=mask.sum(-1),
            temperature=torch.tensor([row.temperature for row in rows], device=device),
            uniforms=torch.tensor(np.stack([row.uniforms for row in rows]), device=device),
        )

    def at(self, lines: torch.Tensor) -> "Lines":
        """Return the lines with these indices."""
        return Lines(*(column[lines] for column in self))

    def grown(self) -> "Lines":
        """Return the lines, each one token longer."""
        mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], -1)
        return self._replace(mask=mask, position=self.position + 1)


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    rows: Sequence[Row],
    *,
    max_new_tokens: int,
    pad: int,
    ends: frozenset[int],
    stopwatch: Stopwatch,
) -> list[list[int]]:
    """Sample a reply for each row.

    Args:
        model: any causal language model with a KV cache.
        prompts: token ids, the shortest first; each is prefilled once for all rows that
            continue it.
        rows: the samples, in order of their prompts.
        max_new_tokens: the longest reply.
        pad: the padding token.
        ends: tokens that end a reply.
        stopwatch: gets the time inside the model as `model`, and counts the tokens.

    Returns:
        The new token ids of each row; a reply that ended has its end token last.
    """
    device = model.device
    ids, mask = (tensor.to(device) for tensor in left_padded(prompts, pad))
    owner = torch.tensor([row.prompt for row in rows], device=device)
    cache, logits = _prefilled(model, ids, mask, ids.shape[1] + max_new_tokens, stopwatch)
    logits = logits[owner]
    cache.batch_select_indices(owner)
    forward = functools.partial(_forward, model, cache, stopwatch)
    lines = Lines.of(rows, mask[owner])
    drawn = torch.full((len(rows), max_new_tokens), -1, device=device)
    ended_by = torch.zeros(logits.shape[-1], dtype=torch.bool, device=device)
    ended_by[list(ends)] = True
    left = len(rows)
    for step in range(max_new_tokens):
        stopwatch.wrote(left)
        tokens = sample(logits, lines.temperature, lines.uniforms[:, step])
        drawn[lines.row[lines.alive], step] = tokens[lines.alive]
        lines = lines._replace(alive=lines.alive & ~ended_by[tokens])
        left = int(lines.alive.sum())
        if left == 0 or step + 1 == max_new_tokens:
            break
        if left < KEEP_SHARE * len(tokens):
            kept = lines.alive.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            lines, tokens = lines.at(kept), tokens[kept]
        position, lines = lines.position, lines.grown()
        logits = forward(tokens[:, None], lines.mask, position[:, None])
    return [[token for token in line if token >= 0] for line in drawn.tolist()]


def _prefilled(
    model: PreTrainedModel,
    ids: torch.Tensor,
    mask: torch.Tensor,
    capacity: int,
    stopwatch: Stopwatch,
) -> tuple[DynamicCache, torch.Tensor]:
    """Read prompts, (B, T), the shortest first.

    Returns:
        Their states with room for `capacity` tokens, and the logits after each, (B, V).
    """
    lengths: list[int] = mask.sum(-1).tolist()
    layers = _buffered_cache(model, capacity).layers
    joinable = all(isinstance(layer, BufferedLayer) for layer in layers)
    caches, logits = [], []
    for piece in _of_similar_length(lengths) if joinable else [slice(0, len(lengths))]:
        cache, width = _buffered_cache(model, capacity), max(lengths[piece])
        own = mask[piece, -width:]
        read = _forward(model, cache, stopwatch, ids[piece, -width:], own, positions_of(own))
        caches.append(cache)
        logits.append(read)
    whole = caches[0]
    if len(caches) > 1:
        # Removed layer by layer, so at most one layer is held twice.
        whole.layers = [
            BufferedLayer.joined([cache.layers.pop(0) for cache in caches], mask.shape[1])
            for _ in layers
        ]
    return whole, torch.cat(logits)


def _of_similar_length(lengths: Sequence[int]) -> Iterator[slice]:
    """Split ascending lengths where padding would exceed `LARGEST_RATIO`."""
    start = 0
    for n, length in enumerate(lengths):
        if length > LARGEST_RATIO * lengths[start]:
            yield slice(start, n)
            start = n
    yield slice(start, len(lengths))


def _forward(
    model: PreTrainedModel,
    cache: DynamicCache,
    stopwatch: Stopwatch,
    ids: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
) -> torch.Tensor:
    """Return the logits after the last of the new tokens, (B, V), and cache their states."""
    lines = torch.arange(len(ids), device=ids.device)
    with stopwatch.timing("model"):
        return logits_at(
            model,
            lines,
            torch.full_like(lines, ids.shape[1] - 1),
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )


def _buffered_cache(model: PreTrainedModel, capacity: int) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    cache.layers = [
        BufferedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def in_batches(
    lengths: Sequence[int], weights: Sequence[int], limit: int, run: Callable[[list[int]], None]
) -> None:
    """Call `run` on groups of indices of similar length whose weights sum to at most `limit`."""
    group: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if group and total + weights[index] > limit:
            run(group)
            group, total = [], 0
        group.append(index)
        total += weights[index]
    if group:
        run(group)
