"""LoRA adapters as changes of weights: read and checked before any weight is changed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import BackendError

if TYPE_CHECKING:
    from peft import PeftConfig


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
        BackendError: see `read_changes`; or it belongs to another model.
    """
    changes = read_changes(adapter)
    for name, (up, down, _) in changes.items():
        if name not in weights or weights[name].shape != (len(up), down.shape[1]):
            raise _misfit(adapter)
    return changes


def read_changes(adapter: Adapter) -> dict[str, Change]:
    """Return what an adapter adds to each weight, without regard to the model.

    Raises:
        BackendError: the adapter is missing, or isn't a plain LoRA adapter.
    """
    from peft import PeftConfig  # only where there is an adapter: it loads slowly

    try:
        config = PeftConfig.from_pretrained(str(adapter.path))
        factors = load_file(adapter.path / ADAPTER_WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise BackendError(f"adapter {adapter.name} can't be read: {error}") from None
    if not _is_plain(config):
        raise BackendError(f"adapter {adapter.name} isn't a plain LoRA adapter")
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    changes = {
        name.removeprefix("base_model.model.").replace(".lora_A.", "."): Change(up, down, scale)
        for name, down in factors.items()
        if (up := factors.get(name.replace(".lora_A.", ".lora_B."))) is not None
        and name.endswith(".lora_A.weight")
    }
    if 2 * len(changes) != len(factors):
        raise _misfit(adapter)
    return changes


def _misfit(adapter: Adapter) -> BackendError:
    return BackendError(f"adapter {adapter.name} doesn't fit the model's weights")


def _is_plain(config: "PeftConfig") -> bool:
    """Return whether the adapter is pairs of factors at one scale, and nothing else."""
    if config.peft_type != "LORA" or config.bias != "none":
        return False
    others = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias",
              "fan_in_fan_out", "trainable_token_indices", "layer_replication")  # fmt: skip
    return not any(getattr(config, name, None) for name in others)
