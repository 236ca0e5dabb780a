"""Checking an adapter's folder against a model, by names and shapes alone."""

from pathlib import Path
from typing import NamedTuple

from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.errors import BackendError
from simulator.models.lora import fitting_pairs
from simulator.models.weights_files import Shapes, read_object, shapes_in

STEERING = "steering.json"


class Frame(NamedTuple):
    """The parts of a model where adapters are put."""

    architecture: str
    weights: Shapes
    layers: int  # number
    width: int  # of the residual stream
    linear: frozenset[str]  # names of linear modules in the layers


def check_fit(folder: Path, frame: Frame) -> None:
    """Refuse an adapter that isn't understood, is damaged, or doesn't fit the model.

    Raises:
        BackendError: says how.
    """
    if not (folder / STEERING).is_file():
        fitting_pairs(folder, frame.weights)
        return
    layer = read_object(folder / STEERING).get("layer")
    shape = shapes_in(folder / ADAPTER_WEIGHTS).get("vector")
    if not isinstance(layer, int) or layer not in range(frame.layers) or shape != (frame.width,):
        raise BackendError(
            f"{folder}: a vector of shape {shape} after layer {layer} doesn't fit the model, which "
            f"has {frame.layers} layers of width {frame.width}; name its own base"
        )
