"""Attention among the tokens of rows whose common beginnings are read once."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from simulator.learners.shared_rows import Shared, by_row, once

NAME = "undertow_shared_rows"
REPLACED = "sdpa"  # what it stands in for: the same functions of rows and masks
LARGEST_SCORES = 2**24  # of a layer; above, torch's kernel, which doesn't keep them, is better

_layout: ContextVar[Shared] = ContextVar("layout")


@contextmanager
def attending(model: Any, layout: Shared) -> Iterator[None]:
    """Let a model read the distinct tokens of a batch while the context is open."""
    token, settings = _layout.set(layout), model.config.get_text_config()
    settings._attn_implementation = NAME
    try:
        yield
    finally:
        settings._attn_implementation = REPLACED
        _layout.reset(token)


def _mask(batch_size: int, q_length: int, kv_length: int, **given: Any) -> torch.Tensor | None:
    """Return the mask of one whole row, (1, 1, T, T); padding on the right needs none."""
    width = _layout.get().places.shape[1]
    given["attention_mask"] = None
    found: torch.Tensor | None = sdpa_mask(1, width, width, **given)
    return found


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each row; states are (1, heads, L, size), the result (1, L, heads, size)."""
    layout = _layout.get()
    rows = (by_row(states[0].transpose(0, 1), layout) for states in (query, key, value))
    query, key, value = (states.transpose(1, 2) for states in rows)
    scores = query.shape[0] * query.shape[1] * query.shape[2] ** 2
    if scores > LARGEST_SCORES:
        found, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    else:
        found = grouped(query, key, value, attention_mask, options.get("scaling"))
    return once(found, layout)[None], None


def grouped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """Attend as `scaled_dot_product_attention` does, with the scores written out.

    In short rows in bfloat16, torch's own kernel takes seven times as long to go back.

    Args:
        query: (B, heads, T, size).
        key: (B, fewer heads, T, size); each serves a group of query heads.
        value: (B, fewer heads, T, size).
        mask: (1, 1, T, T), bool, what is seen; None: all that came before.
        scaling: of scores; None: 1 / √size.

    Returns:
        (B, T, heads, size).
    """
    batch, heads, length, size = query.shape
    if mask is None:
        mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    unseen = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, -torch.inf)
    asked = query.reshape(batch, key.shape[1], -1, size)
    scale = size**-0.5 if scaling is None else scaling
    found: torch.Tensor = _Grouped.apply(  # type: ignore[no-untyped-call]
        asked, key.contiguous(), value.contiguous(), unseen.view(length, length), scale
    )
    return found.view(batch, heads, length, -1).transpose(1, 2)


class _Grouped(torch.autograd.Function):
    """Attention, (B, groups, queries, size); the way back computes its weights again."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        unseen: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        found = _weights(query, key, unseen, scale).to(value.dtype) @ value
        ctx.save_for_backward(query, key, value, found, unseen)
        ctx.scale = scale
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, found, unseen = ctx.saved_tensors
        weights = _weights(query, key, unseen, ctx.scale)
        to_value = weights.to(value.dtype).transpose(2, 3) @ grad
        to_weights = (grad @ value.transpose(2, 3)).float()
        mean = (grad.float() * found.float()).sum(-1, keepdim=True)
        to_scores = to_weights.sub_(mean).mul_(weights).mul_(ctx.scale).to(query.dtype)
        return to_scores @ key, to_scores.transpose(2, 3) @ query, to_value, None, None


def _weights(
    query: torch.Tensor, key: torch.Tensor, unseen: torch.Tensor, scale: float
) -> torch.Tensor:
    """Return each query's weights of all keys, (B, groups, queries, T), fp32.

    `unseen`, (T, T), is -∞ where a key isn't seen, and is added to each head's scores.
    """
    scores = (query @ key.transpose(2, 3)).float().mul_(scale)
    scores.view(*scores.shape[:2], -1, *unseen.shape).add_(unseen)
    return scores.softmax(-1)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)
