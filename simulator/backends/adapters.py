"""The model in memory and its adapter, which can be swapped, or replaced within a context.

A LoRA adapter is merged into weights in float32, stays beside those of lower precision, and a
steering vector is added. The original weights are kept.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch.utils.hooks import RemovableHandle

from simulator.backends.beside import Beside, stays_beside
from simulator.backends.merging import Change, changes_of
from simulator.backends.reparametrisation import reparametrised
from simulator.backends.steering import added, vector_of
from simulator.core.adapters import Adapter
from simulator.core.interventions import Reparametrised
from simulator.interp.steering import SteeringVector


class AdaptedModel:
    """A model with at most one adapter."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._adapter: Adapter | None = None
        self._originals: dict[str, torch.Tensor] = {}  # weights as they were before a merge
        self._beside = Beside(model)
        self._steered: SteeringVector | None = None
        self._steering: RemovableHandle | None = None

    @torch.inference_mode()
    def load(self, adapter: Adapter | None) -> None:
        """Replace the present adapter by another, or by none.

        Raises:
            BackendError: it can't be read, or belongs to another model; then nothing changes.
        """
        weights = self._weights
        steered, changes = self._read(adapter) if adapter else (None, {})
        for name, original in self._originals.items():
            weights[name].copy_(original)
        merged, beside = self._placed(changes)
        self._originals = {name: weights[name].detach().clone() for name in merged}
        for name, change in merged.items():
            weights[name].add_(change.of(weights[name]))
        self._beside.replace(beside)
        self._steer(steered)
        self._adapter = adapter

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """Be the base model while the context is open; this copies no weights."""
        merged, steered = self._put(self._originals), self._steer(None)
        beside = self._beside.replace({})
        try:
            yield
        finally:
            self._put(merged)
            self._beside.replace(beside)
            self._steer(steered)

    @contextmanager
    def with_adapter(self, adapter: Adapter) -> Iterator[None]:
        """Use another adapter while the context is open; the present one is kept.

        Raises:
            BackendError: as `load` does.
        """
        before, self._adapter = self._adapter, adapter
        try:
            with self._exchanged(*self._read(adapter)):
                yield
        finally:
            self._adapter = before

    @contextmanager
    def reparametrised(self, how: Reparametrised) -> Iterator[None]:
        """Change the adapter's parameters while the context is open; the base stays the same."""
        if self._adapter is None:
            yield
            return
        with self._exchanged(*reparametrised(*self._read(self._adapter), how)):
            yield

    @contextmanager
    def _exchanged(
        self, steered: SteeringVector | None, changes: Mapping[str, Change]
    ) -> Iterator[None]:
        with self.without_adapter():
            weights, present = self._weights, self._originals
            merged, beside = self._placed(changes)
            changed = {name: weights[name] + merged[name].of(weights[name]) for name in merged}
            self._originals = self._put(changed)
            self._beside.replace(beside)
            self._steer(steered)
            try:
                yield
            finally:
                self._put(self._originals)
                self._originals = present

    @property
    def _weights(self) -> Mapping[str, torch.nn.Parameter]:
        return dict(self.model.named_parameters())

    def _read(self, adapter: Adapter) -> tuple[SteeringVector | None, Mapping[str, Change]]:
        """Return the vector that an adapter adds, or its changes of the weights."""
        steered = vector_of(adapter, self.model)
        return steered, {} if steered else changes_of(adapter, self._weights)

    def _placed(self, changes: Mapping[str, Change]) -> tuple[dict[str, Change], dict[str, Change]]:
        """Return the changes that are merged into weights, and those that stay beside them."""
        beside = {name for name in changes if stays_beside(self.model, name)}
        return (
            {name: change for name, change in changes.items() if name not in beside},
            {name: change for name, change in changes.items() if name in beside},
        )

    def _put(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Replace the model's tensors by name, and return the replaced ones."""
        weights = self._weights
        before = {name: weights[name].data for name in tensors}
        for name, tensor in tensors.items():
            weights[name].data = tensor
        return before

    def _steer(self, vector: SteeringVector | None) -> SteeringVector | None:
        """Replace the vector added to the residual stream, and return the replaced one."""
        before = self._steered
        if self._steering:
            self._steering.remove()
        self._steering = added(vector, self.model) if vector else None
        self._steered = vector
        return before
