"""LoRA adapters as changes of weights: read and checked before any weight is changed."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import BackendError
from simulator.models.lora import served_pairs


class Change(NamedTuple):
    """What an adapter adds to one weight: a product of two thin matrices."""

    up: torch.Tensor  # (out, rank)
    down: torch.Tensor  # (rank, in)
    scale: float

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the change on the weight's device and in its type."""
        up, down = (factor.to(weight.device).float() for factor in (self.up, self.down))
        return (self.scale * (up @ down)).to(weight.dtype)


def changes_of(adapter: Adapter, weights: Mapping[str, torch.Tensor]) -> dict[str, Change]:
    """Return what an adapter adds to each weight, by name.

    Raises:
        BackendError: the adapter is missing, isn't a plain LoRA adapter, or belongs to another
            model.
    """
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    pairs = served_pairs(adapter, shapes)
    try:
        factors = load_file(adapter.path / ADAPTER_WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise BackendError(f"adapter {adapter.name} can't be read: {error}") from None
    return {
        name: Change(factors[pair.up], factors[pair.down], pair.scale)
        for name, pair in pairs.items()
    }
