"""Steering vectors: added to the residual stream after one layer, in any architecture.

A layer's output is the residual stream in every decoder of transformers, even where a norm follows
the MLP, as in Gemma 2 and 3. A bias of the MLP would go through that norm.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.utils.hooks import RemovableHandle

from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.errors import BackendError

PLACE = "steering.json"


class SteeringVector(NamedTuple):
    """A vector, and the layer where it is added."""

    layer: int  # from 0
    vector: torch.Tensor  # (hidden,)

    def save(self, folder: Path) -> None:
        """Write the vector as safetensors and JSON."""
        save_file({"vector": self.vector.detach().contiguous().cpu()}, folder / ADAPTER_WEIGHTS)
        (folder / PLACE).write_text(json.dumps({"layer": self.layer}) + "\n")


def is_steering(folder: Path) -> bool:
    """Return whether the adapter in this folder is a steering vector."""
    return (folder / PLACE).is_file()


def load_steering(folder: Path) -> SteeringVector:
    """Read a vector that `SteeringVector.save` wrote."""
    place = json.loads((folder / PLACE).read_text())
    return SteeringVector(int(place["layer"]), load_file(folder / ADAPTER_WEIGHTS)["vector"])


def layers_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """Return a language model's decoder layers: its `layers`, or its one list of modules.

    Raises:
        BackendError: it has no such list, or several.
    """
    decoder: torch.nn.Module = model.get_decoder()  # type: ignore[operator]
    if isinstance(named := getattr(decoder, "layers", None), torch.nn.ModuleList):
        return named
    lists = [child for child in decoder.children() if isinstance(child, torch.nn.ModuleList)]
    if len(lists) != 1:
        raise BackendError(f"{type(model).__name__}: can't tell which modules are its layers")
    return lists[0]


def linear_modules(model: torch.nn.Module) -> list[str]:
    """Return the names of the linear modules in the decoder's layers."""
    modules = layers_of(model).named_modules()
    return sorted(
        {name.rpartition(".")[2] for name, m in modules if isinstance(m, torch.nn.Linear)}
    )


def width_of(model: torch.nn.Module) -> int:
    """Return the size of a language model's residual stream."""
    return int(model.get_input_embeddings().embedding_dim)  # type: ignore[operator]


def steer(layer: torch.nn.Module, vector: Callable[[], torch.Tensor]) -> RemovableHandle:
    """Add `vector()`, (hidden,), to a layer's output, until the handle is removed."""
    return rewrite(layer, lambda hidden: hidden + vector().to(hidden))


def rewrite(
    layer: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor]
) -> RemovableHandle:
    """Replace a layer's output by `change` of it, until the handle is removed."""

    def replace(_: torch.nn.Module, __: tuple[object, ...], output: Any) -> Any:
        if isinstance(output, tuple):  # some architectures return attention as well
            return (change(output[0]), *output[1:])
        return change(output)

    return layer.register_forward_hook(replace)
