"""The head of a model, applied at the positions that are read and nowhere else.

`logits_to_keep` of transformers takes a slice of the hidden states. The slice isn't contiguous, so
torch computes a batched product over as many copies of the head as there are rows: in bfloat16 on a
CPU that is a hundred times slower than one product, and takes as much more memory. So the states
are gathered into one matrix just before the head. What a family does to the logits afterwards, as
scaling and soft caps, is its own.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

# Heads with at most this number of weights stay batched in float32. It costs them nothing, and each
# row is then rounded alone, whatever the batch: so a small model's scores repeat in any batch.
SMALL_HEAD = 2**20


def logits_at(
    model: PreTrainedModel, lines: torch.Tensor, positions: torch.Tensor, **inputs: Any
) -> torch.Tensor:
    """Run the model, and read its logits at some positions.

    Args:
        model: any causal language model.
        lines: of the batch, (R,).
        positions: in those lines, (R,); `position_ids` are another thing.
        inputs: for the model; `input_ids` are (B, T).

    Returns:
        Logits, (R, V).
    """
    shape = inputs["input_ids"].shape
    head = model.get_output_embeddings()
    if stays_batched(head):
        return _from_slice(model, lines, positions, **inputs)
    if shape[1] == 1 or head is None:
        logits: torch.Tensor = model(**inputs).logits
        return logits[lines, positions]

    is_gathered = False

    def gathered(module: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal is_gathered
        hidden, *rest = args
        is_gathered = hidden.shape[:2] == shape
        return (hidden[lines, positions][None], *rest) if is_gathered else None

    hook = head.register_forward_pre_hook(gathered)
    try:
        logits = model(**inputs).logits
    finally:
        hook.remove()
    return logits[0] if is_gathered else logits[lines, positions]


def stays_batched(head: torch.nn.Module | None) -> bool:
    """Return whether a head is so small that each row is better rounded alone."""
    weight = getattr(head, "weight", None)
    return (
        isinstance(weight, torch.Tensor)
        and weight.dtype == torch.float32
        and weight.numel() <= SMALL_HEAD
    )


@functools.cache
def _takes_logits_to_keep(forward: Callable[..., Any]) -> bool:
    return "logits_to_keep" in inspect.signature(forward).parameters


def _from_slice(
    model: PreTrainedModel, lines: torch.Tensor, positions: torch.Tensor, **inputs: Any
) -> torch.Tensor:
    length = inputs["input_ids"].shape[1]
    first = int(positions.min()) if len(positions) else length - 1
    if _takes_logits_to_keep(type(model).forward):
        inputs["logits_to_keep"] = length - first
    logits: torch.Tensor = model(**inputs).logits
    return logits[lines, positions - (length - logits.shape[1])]
