"""Tensors of LoRA adapters, compared by name and shape with the model's.

peft and vLLM drop what a model has no place for without a word.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import BackendError
from simulator.models.lora_settings import ADAPTER_CONFIG, LoRASettings, read_lora
from simulator.models.weights_files import Shape, shapes_in

PREFIX, DOWN, UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


class Pair(NamedTuple):
    """The two matrices of one linear layer, and their factor."""

    down: str  # names of tensors in the adapter's file
    up: str
    scale: float
    rank: int
    shape: tuple[int, int]  # (out, in), of the change


def served_pairs(adapter: Adapter, weights: Mapping[str, Shape] | None) -> dict[str, Pair]:
    """Return the matrices of an adapter that is to be served.

    Args:
        adapter: the adapter.
        weights: the shapes of the model's weights, by name; None if they aren't known here.

    Raises:
        BackendError: names the adapter, and says why it can't be served.
    """
    if not (adapter.path / ADAPTER_CONFIG).is_file():
        raise BackendError(
            f"adapter {adapter.name} can't be read: there is no {ADAPTER_CONFIG} in {adapter.path}"
        )
    try:
        return pairs_of(adapter.path) if weights is None else fitting_pairs(adapter.path, weights)
    except BackendError as error:
        raise BackendError(
            f"adapter {adapter.name} isn't a plain LoRA adapter of this model: {error}"
        ) from None


def pairs_of(folder: Path) -> dict[str, Pair]:
    """Return the matrices in an adapter's folder, by the name of the weight that they change.

    Raises:
        BackendError: it can't be read, isn't a plain LoRA adapter, or is damaged.
    """
    return _paired(folder, read_lora(folder))


def fitting_pairs(folder: Path, weights: Mapping[str, Shape]) -> dict[str, Pair]:
    """Return the matrices in an adapter's folder, which all fit the model.

    Args:
        folder: the adapter's.
        weights: the shapes of the model's weights, by name.

    Raises:
        BackendError: as `pairs_of`; or it belongs to another model, or lacks modules.
    """
    settings = read_lora(folder)
    pairs = _paired(folder, settings)
    for name, pair in pairs.items():
        if name not in weights:
            raise _misfit(folder, f"the model has no weight {name}")
        if weights[name] != pair.shape:
            raise _misfit(folder, f"{name} is {weights[name]} in the model, {pair.shape} in it")
    for name, shape in weights.items():
        module = name.removesuffix(".weight")
        if len(shape) == 2 and name not in pairs and settings.adapts(module):
            raise _misfit(folder, f"its configuration names {name}, for which it has no matrices")
    return pairs


def _paired(folder: Path, settings: LoRASettings) -> dict[str, Pair]:
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file() and (folder / "adapter_model.bin").is_file():
        raise BackendError(
            f"{folder}: its weights are pickled, and reading those can run code; load it in peft "
            "and save it again"
        )
    found = shapes_in(file)
    pairs = dict[str, Pair]()
    for name, shape in found.items():
        down = f"{name.removesuffix(UP)}{DOWN}" if name.endswith(UP) else name
        up = f"{down.removesuffix(DOWN)}{UP}"
        matrices = len(shape) == 2 and down.endswith(DOWN) and {down, up} <= found.keys()
        if not matrices:
            raise BackendError(
                f"{file}: the tensor {name} isn't one of the two matrices, lora_A and lora_B, of a "
                "linear layer; other tensors aren't understood"
            )
        if name == down:
            module = name.removeprefix(PREFIX).removesuffix(DOWN)
            _check_rank(file, module, settings.rank_of(module), found[down], found[up])
            sizes = found[up][0], found[down][1]
            pairs[f"{module}.weight"] = Pair(
                down, up, settings.scale_of(module), found[down][0], sizes
            )
    return pairs


def _check_rank(file: Path, module: str, rank: int, down: Shape, up: Shape) -> None:
    if len(up) != 2 or down[0] != rank or up[1] != rank:
        raise BackendError(
            f"{file}: {module} has matrices of shapes {up} and {down}, though {file.parent}"
            f"/adapter_config.json says rank {rank}; the two files don't belong together"
        )


def _misfit(folder: Path, how: str) -> BackendError:
    return BackendError(f"{folder}: doesn't fit the model's weights: {how}; name its own base")
