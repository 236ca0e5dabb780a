"""A cache of keys and values that is written in place."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer


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

    def forked(self, lines: torch.Tensor, tokens: int) -> "BufferedLayer":
        """Return another layer that goes on from these lines, with room for more tokens.

        Nothing is copied before its first update.
        """
        assert self.keys is not None and self.values is not None
        layer = BufferedLayer(self.length + tokens)
        layer.lazy_initialization(self.keys, self.values)
        layer.keys, layer.values = self.keys, self.values
        layer.length, layer.selected = self.length, lines
        return layer

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


def buffered_cache(model: PreTrainedModel, capacity: int) -> DynamicCache:
    """Return an empty cache with room for `capacity` tokens, where the model's layers allow it."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        BufferedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def select_lines(cache: DynamicCache, lines: torch.Tensor, tokens: int) -> None:
    """Keep these lines alone, in this order, with room for more tokens where it is reserved."""
    for layer in cache.layers:
        layer.batch_select_indices(lines)
        if isinstance(layer, BufferedLayer):
            layer.capacity = layer.length + tokens


def forked_cache(cache: DynamicCache, lines: torch.Tensor, tokens: int) -> DynamicCache:
    """Return a cache that goes on from these lines; it is as wide as they and `tokens` more."""
    fork = DynamicCache()
    fork.layers = [layer.forked(lines, tokens) for layer in cache.layers]
    return fork


def joined_cache(caches: Sequence[DynamicCache], length: int) -> DynamicCache:
    """Return the lines of all caches in one, padded on the left to `length` tokens.

    The given caches are emptied layer by layer, so at most one layer is held twice.
    """
    whole, *_ = caches
    whole.layers = [
        BufferedLayer.joined([cache.layers.pop(0) for cache in caches], length)
        for _ in range(len(whole.layers))
    ]
    return whole
