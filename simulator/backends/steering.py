"""Steering vectors as adapters: read and checked before the model is changed."""

import torch
from safetensors import SafetensorError
from torch.utils.hooks import RemovableHandle

from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.interp.steering import (
    SteeringVector,
    is_steering,
    layers_of,
    load_steering,
    steer,
    width_of,
)


def vector_of(adapter: Adapter, model: torch.nn.Module) -> SteeringVector | None:
    """Return an adapter's steering vector; None where it is of another kind.

    Raises:
        BackendError: it can't be read, or belongs to another model.
    """
    if not is_steering(adapter.path):
        return None
    try:
        found = load_steering(adapter.path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BackendError(f"adapter {adapter.name} can't be read: {error}") from None
    fits = found.vector.shape == (width_of(model),)
    if found.layer not in range(len(layers_of(model))) or not fits:
        raise BackendError(f"adapter {adapter.name} doesn't fit the model's layers")
    return found


def added(found: SteeringVector, model: torch.nn.Module) -> RemovableHandle:
    """Steer the model by a vector, until the handle is removed."""
    layer = layers_of(model)[found.layer]
    vector = found.vector.to(next(layer.parameters()).device)
    return steer(layer, lambda: vector)
