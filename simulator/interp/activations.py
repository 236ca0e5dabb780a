"""The residual stream while a model runs: read after every layer, added to, projected."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.hooks import RemovableHandle

from simulator.core.errors import BackendError
from simulator.core.interventions import Ablate, Steer
from simulator.interp.steering import layers_of, rewrite, steer, width_of


@contextmanager
def means(model: torch.nn.Module, tokens: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Collect each layer's output, averaged over some tokens of each row, (B, hidden), fp32.

    Args:
        model: is run once while the context is open.
        tokens: which tokens count, (B, T), bool.
    """
    found: list[torch.Tensor] = []
    counts = tokens.sum(1, keepdim=True)

    def read(hidden: torch.Tensor) -> torch.Tensor:
        # Not a product with zeros: padding may not be finite.
        kept = hidden.float().where(tokens[..., None].to(hidden.device), 0.0)
        found.append(kept.sum(1) / counts.to(hidden.device))
        return hidden

    with _hooked([rewrite(layer, read) for layer in layers_of(model)]):
        yield found


@contextmanager
def changed(model: torch.nn.Module, change: Steer | Ablate) -> Iterator[None]:
    """Steer a model or ablate a direction while the context is open.

    Raises:
        BackendError: the model has no such layer, or its residual stream is of another size.
    """
    layers, vector = layers_of(model), torch.tensor(change.vector)
    hidden = width_of(model)
    if len(vector) != hidden:
        raise BackendError(
            f"a direction of {len(vector)} numbers doesn't fit the model's residual stream, which "
            f"has {hidden}"
        )
    if isinstance(change, Ablate):
        with _hooked([_project(layer, _unit(vector)) for layer in layers]):
            yield
        return
    if change.layer >= len(layers):
        raise BackendError(
            f"the model has no layer {change.layer} to steer after; its layers are 0 to "
            f"{len(layers) - 1}"
        )
    added = change.scale * vector
    with _hooked([steer(layers[change.layer], lambda: added)]):
        yield


def _unit(vector: torch.Tensor) -> torch.Tensor:
    length = vector.norm()
    return vector / length if length > 0 else vector


def _project(layer: torch.nn.Module, unit: torch.Tensor) -> RemovableHandle:
    """Remove a unit vector from a layer's output; computed in fp32 for every type."""

    def project(hidden: torch.Tensor) -> torch.Tensor:
        direction, stream = unit.to(hidden.device), hidden.float()
        return (stream - (stream @ direction)[..., None] * direction).to(hidden)

    return rewrite(layer, project)


@contextmanager
def _hooked(handles: list[RemovableHandle]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
