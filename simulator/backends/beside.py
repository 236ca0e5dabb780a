"""LoRA adapters beside weights of low precision.

A small change merged into bfloat16 weights is mostly rounded away. So it is computed beside them,
as in training, and added to what the layer returns. In float32 merging is exact enough, and free.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from simulator.backends.merging import Change


def stays_beside(model: torch.nn.Module, name: str) -> bool:
    """Return whether a change of the weight of this name is computed beside it."""
    module = model.get_submodule(name.rpartition(".")[0])
    is_linear = isinstance(module, torch.nn.Linear)
    return is_linear and module.weight.dtype in (torch.bfloat16, torch.float16)


class Beside:
    """The changes of weights that are computed beside them, which can be replaced."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._changes: Mapping[str, Change] = {}
        self._hooks: list[RemovableHandle] = []

    def replace(self, changes: Mapping[str, Change]) -> Mapping[str, Change]:
        """Compute these changes from now on, by name of the weight; return the replaced ones."""
        before, self._changes = self._changes, changes
        for hook in self._hooks:
            hook.remove()
        self._hooks = [self._added(name, change) for name, change in changes.items()]
        return before

    def _added(self, name: str, change: Change) -> RemovableHandle:
        module = self._model.get_submodule(name.rpartition(".")[0])
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        down = change.down.to(weight).T
        up = (change.scale * change.up.float()).to(weight).T

        def add(_: torch.nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
            inner = given[0].flatten(0, -2) @ down
            return torch.addmm(output.flatten(0, -2), inner, up).view_as(output)

        return module.register_forward_hook(add)
