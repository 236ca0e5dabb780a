"""Steering vectors: added to the residual stream after one layer, whatever the architecture.

A layer's output is the residual stream in every decoder that transformers has, also where a norm
stands behind the MLP, as in Gemma 2 and 3; a bias of the MLP would go through that norm.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.utils.hooks import RemovableHandle

VECTOR, PLACE = "adapter_model.safetensors", "steering.json"


class SteeringVector(NamedTuple):
    """A vector and where it is added."""

    layer: int  # from 0
    vector: torch.Tensor  # (hidden,)

    def save(self, folder: Path) -> None:
        """Writes it as safetensors and JSON."""
        save_file({"vector": self.vector.detach().contiguous().cpu()}, folder / VECTOR)
        (folder / PLACE).write_text(json.dumps({"layer": self.layer}) + "\n")


def is_steering(folder: Path) -> bool:
    """Is the adapter in this folder a steering vector?"""
    return (folder / PLACE).is_file()


def load_steering(folder: Path) -> SteeringVector:
    """Reads what `SteeringVector.save` wrote."""
    place = json.loads((folder / PLACE).read_text())
    return SteeringVector(int(place["layer"]), load_file(folder / VECTOR)["vector"])


def layers_of(model: torch.nn.Module) -> torch.nn.ModuleList:
    """Returns a language model's decoder layers."""
    layers = model.get_decoder().layers  # type: ignore[operator]
    assert isinstance(layers, torch.nn.ModuleList)
    return layers


def width_of(model: torch.nn.Module) -> int:
    """Returns the size of a language model's residual stream."""
    return int(model.get_input_embeddings().embedding_dim)  # type: ignore[operator]


def steer(layer: torch.nn.Module, vector: Callable[[], torch.Tensor]) -> RemovableHandle:
    """Adds what `vector` returns, (hidden,), to all that a layer says, until it is removed."""

    def add(_: torch.nn.Module, __: tuple[object, ...], hidden: torch.Tensor) -> torch.Tensor:
        return hidden + vector().to(hidden)

    return layer.register_forward_hook(add)
