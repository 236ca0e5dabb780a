"""Reading prompts: what many of them begin with is read once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from simulator.backends.attention import GROUPED
from simulator.backends.beginnings import shared_heads
from simulator.backends.buffers import BufferedLayer, buffered_cache, forked_cache, joined_cache
from simulator.core.timing import Stopwatch
from simulator.models.heads import logits_at, stays_batched

LARGEST_RATIO = 1.25  # largest ratio of lengths among prompts that are prefilled together
SHARING = ("sdpa", "eager", GROUPED)  # implementations that can mask any token


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


class Prefilled(NamedTuple):
    """The states of prompts, and what the model predicts after each."""

    cache: DynamicCache
    mask: torch.Tensor  # (B, T), of the cached tokens
    logits: torch.Tensor  # (B, V)
    lines: torch.Tensor  # of each prompt, its line in these


def prefilled(
    model: PreTrainedModel, prompts: Sequence[list[int]], pad: int, stopwatch: Stopwatch
) -> Prefilled:
    """Read prompts, the shortest first; equal ones, and equal beginnings, are read once."""
    if not shares(model):
        return _read(model, prompts, pad, stopwatch)
    different = list(map(list, dict.fromkeys(map(tuple, prompts))))
    number = {tuple(prompt): n for n, prompt in enumerate(different)}
    heads, owners = shared_heads(different)
    if heads:
        begun = _read(model, heads, pad, stopwatch)
        begun = begun._replace(lines=begun.lines[torch.tensor(owners, device=model.device)])
        rest = [p[len(heads[owner]) :] for p, owner in zip(different, owners, strict=True)]
        found = continued(model, begun, rest, pad, stopwatch)
    else:
        found = _read(model, different, pad, stopwatch)
    of_each = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=model.device)
    return found._replace(lines=found.lines[of_each])


def continued(
    model: PreTrainedModel,
    begun: Prefilled,
    texts: Sequence[list[int]],
    pad: int,
    stopwatch: Stopwatch,
) -> Prefilled:
    """Read a text after each of the prompts that have been read; they are kept as they are."""
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    place = torch.tensor(order, device=model.device).argsort()
    of_each = begun.lines[torch.tensor(order, device=model.device)]
    found = _read(model, [texts[n] for n in order], pad, stopwatch, begun, of_each)
    return found._replace(lines=place)


def predicted_along(
    model: PreTrainedModel,
    begun: Prefilled,
    texts: Sequence[list[int]],
    pad: int,
    stopwatch: Stopwatch,
) -> list[torch.Tensor]:
    """Read a text after each of the prompts, which are kept as they are.

    Returns:
        The logits after each of a text's tokens, (length, V), for each text.
    """
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    found: dict[int, torch.Tensor] = {}
    for piece in _of_similar_length([len(texts[n]) for n in order]) if texts else ():
        group = order[piece]
        ids, mask = (x.to(model.device) for x in left_padded([texts[n] for n in group], pad))
        lines = begun.lines[torch.tensor(group, device=model.device)]
        cache = forked_cache(begun.cache, lines, ids.shape[1])
        whole = torch.cat([begun.mask[lines], mask], 1)
        places, counts = positions_of(whole)[:, -ids.shape[1] :], [len(texts[n]) for n in group]
        logits = forward(model, cache, stopwatch, ids, whole, places, counts)
        found.update(zip(group, torch.split(logits, counts), strict=True))
    return [found[n] for n in range(len(texts))]


def shares(model: PreTrainedModel) -> bool:
    """Return whether prompts may go on from a common beginning that was read once.

    Their positions must not depend on where their states are cached. A small model's prompts are
    read whole: it is fast enough, and its results then don't depend on the batch.
    """
    config = model.config.get_text_config()
    return (
        not stays_batched(model.get_output_embeddings())
        and bool(getattr(config, "rope_parameters", None))
        and model.config._attn_implementation in SHARING
        and all(isinstance(layer, BufferedLayer) for layer in buffered_cache(model, 1).layers)
    )


def _read(
    model: PreTrainedModel,
    texts: Sequence[list[int]],
    pad: int,
    stopwatch: Stopwatch,
    begun: Prefilled | None = None,
    of_each: torch.Tensor | None = None,
) -> Prefilled:
    """Read texts, the shortest first, from the start or after lines that have been read."""
    device = model.device
    ids, mask = (tensor.to(device) for tensor in left_padded(texts, pad))
    lengths = [len(text) for text in texts]
    layers = buffered_cache(model, 0).layers
    joinable = all(isinstance(layer, BufferedLayer) for layer in layers)
    caches, masks, logits = [], [], []
    for piece in _of_similar_length(lengths) if joinable else [slice(0, len(lengths))]:
        width = max(lengths[piece])
        cache, whole = buffered_cache(model, width), mask[piece, -width:]
        if begun is not None and of_each is not None:
            cache = forked_cache(begun.cache, of_each[piece], width)
            whole = torch.cat([begun.mask[of_each[piece]], whole], 1)
        places = positions_of(whole)[:, -width:]
        logits.append(forward(model, cache, stopwatch, ids[piece, -width:], whole, places))
        caches.append(cache)
        masks.append(whole)
    lines = torch.arange(len(texts), device=device)
    if len(caches) == 1:
        return Prefilled(caches[0], masks[0], logits[0], lines)
    width = max(whole.shape[1] for whole in masks)
    padded = [torch.nn.functional.pad(whole, (width - whole.shape[1], 0)) for whole in masks]
    cache = joined_cache(caches, width)
    return Prefilled(cache, torch.cat(padded), torch.cat(logits), lines)


def _of_similar_length(lengths: Sequence[int]) -> Iterator[slice]:
    """Split ascending lengths where padding would exceed `LARGEST_RATIO`."""
    start = 0
    for n, length in enumerate(lengths):
        if length > LARGEST_RATIO * lengths[start]:
            yield slice(start, n)
            start = n
    yield slice(start, len(lengths))


def forward(
    model: PreTrainedModel,
    cache: DynamicCache,
    stopwatch: Stopwatch,
    ids: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    counts: Sequence[int] | None = None,
) -> torch.Tensor:
    """Cache the states of new tokens, and return logits after the last of each line.

    Args:
        model: the model.
        cache: of the tokens before, which grows.
        stopwatch: gets the time as `model`.
        ids: the new tokens, (B, T).
        mask: of all tokens.
        positions: of the new tokens, (B, T).
        counts: after how many of each line's last tokens logits are read; None: after one.

    Returns:
        Logits, (sum of counts, V).
    """
    width, device = ids.shape[1], ids.device
    if counts is None:
        lines = torch.arange(len(ids), device=device)
        places = torch.full_like(lines, width - 1)
    else:
        many = torch.tensor(counts, device=device)
        lines = torch.arange(len(ids), device=device).repeat_interleave(many)
        places = torch.cat([torch.arange(width - n, width, device=device) for n in counts])
    with stopwatch.timing("model"):
        return logits_at(
            model,
            lines,
            places,
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
