"""The head of a language model, applied at the positions that are read.

A head over a large vocabulary is a good part of a forward pass, and most of its rows are never
read. In bfloat16 on a CPU, `logits_to_keep=1` is worse than no limit: it hands the head a slice
that isn't contiguous, and torch multiplies it row by row with an expanded copy of the weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def logits_at(
    model: torch.nn.Module, rows: torch.Tensor, positions: torch.Tensor, **inputs: Any
) -> torch.Tensor:
    """Run a model and return its logits at N tokens of its input, (N, V).

    What a model does to its logits after the head (caps, scales) holds for these as well.

    Args:
        model: a causal language model, with or without an adapter.
        rows: the row of each token, (N,).
        positions: its place in the row, (N,).
        inputs: for the model's forward; `logits_to_keep` isn't among them.
    """
    with head_at(model, rows, positions):
        logits: torch.Tensor = model(**inputs).logits
    return logits[0]


@contextmanager
def head_at(model: torch.nn.Module, rows: torch.Tensor, positions: torch.Tensor) -> Iterator[None]:
    """Let the head see some tokens alone while the context is open.

    The model's logits are then of shape (1, N, V).
    """

    def only(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, *others = given
        return hidden[rows, positions][None], *others

    handle = _head(model).register_forward_pre_hook(only)
    try:
        yield
    finally:
        handle.remove()


def _head(model: torch.nn.Module) -> torch.nn.Module:
    return model.get_output_embeddings()  # type: ignore[operator,no-any-return]
