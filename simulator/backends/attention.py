"""Attention of single new tokens without copies of keys and values.

Where several heads share keys and values, `sdpa` of transformers repeats these for each head and at
each step. Here the heads of a group are queries of one head, which is the same sum, written
differently: about seven times as fast on a CPU.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from simulator.models.heads import stays_batched

GROUPED = "grouped_sdpa"
PLAIN = frozenset(("sliding_window", "position_ids", "use_cache", "cache_position", "is_causal"))


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as `sdpa` of transformers does; queries are (B, heads, T, size)."""
    rows, heads, length, size = query.shape
    special = any(value is not None for name, value in others.items() if name not in PLAIN)
    of_heads = attention_mask is not None and attention_mask.shape[1] != 1
    if length > 1 or special or of_heads:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return found
    groups = key.shape[1]
    answer = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, groups, heads // groups, size),
        key,
        value,
        attn_mask=attention_mask,
        scale=scaling,
    )
    return answer.reshape(rows, 1, heads, value.shape[-1]), None


def group_attention(model: PreTrainedModel) -> None:
    """Let a model on a CPU attend in groups, unless it is small or told how to attend."""
    small = stays_batched(model.get_output_embeddings())
    if model.device.type == "cpu" and model.config._attn_implementation == "sdpa" and not small:
        AttentionInterface.register(GROUPED, grouped_attention)
        AttentionMaskInterface.register(GROUPED, sdpa_mask)
        model.set_attn_implementation(GROUPED)
