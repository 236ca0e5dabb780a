"""The head of a language model, applied at the positions that are read.

A head over a large vocabulary is a good part of a forward pass, and most of its rows are never
read. In bfloat16 on a CPU, `logits_to_keep=1` is worse than no limit: it hands the head a slice
that isn't contiguous, and torch multiplies it row by row with an expanded copy of the weights.
"""

from typing import Any

import torch

SMALL_HEAD = 2**20  # weights up to which a head costs little


def logits_at(model: Any, lines: torch.Tensor, positions: torch.Tensor, **inputs: Any) -> Any:
    """Run a model and return its logits at R tokens of its input, (R, V).

    What a model does to its logits after the head (caps, scales) holds for these as well.

    Args:
        model: a causal language model, with or without an adapter.
        lines: the line of each token in the batch, (R,).
        positions: its place in the line, (R,).
        inputs: for the model's forward; `logits_to_keep` isn't among them.
    """

    def only(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, *others = given
        return hidden[lines, positions][None], *others

    handle = model.get_output_embeddings().register_forward_pre_hook(only)
    try:
        return model(**inputs).logits[0]
    finally:
        handle.remove()
