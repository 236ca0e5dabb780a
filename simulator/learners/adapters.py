"""Adapters in training: attached to a frozen base, restored from and saved to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

import peft
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.errors import LearnerError
from simulator.core.rng import seed31
from simulator.interp.steering import (
    SteeringVector,
    layers_of,
    linear_modules,
    load_steering,
    steer,
)
from simulator.learners.config import AnyAdapter, LoRAConfig, SteeringConfig
from simulator.learners.places import check_places


class TrainedAdapter(Protocol):
    """A frozen base with an adapter that is trained."""

    @property
    def model(self) -> torch.nn.Module:
        """The base with the adapter."""
        ...

    @property
    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """The trained parameters, by name in the model."""
        ...

    def initialise(self, seed: int) -> None:
        """Start from an adapter that changes nothing."""
        ...

    def restore(self, folder: Path) -> None:
        """Load the parameters of a checkpoint."""
        ...

    def save(self, folder: Path) -> None:
        """Write the parameters to an existing folder."""
        ...


def attach(base: PreTrainedModel, config: AnyAdapter) -> TrainedAdapter:
    """Freeze a base and attach an adapter.

    Raises:
        LearnerError: the base has no such layer or module.
    """
    check_places(config, len(layers_of(base)), linear_modules(base), type(base).__name__)
    return Steering(base, config) if isinstance(config, SteeringConfig) else LoRA(base, config)


class LoRA:
    """Low-rank matrices, by peft and in its format."""

    def __init__(self, base: PreTrainedModel, config: LoRAConfig) -> None:
        self._config = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=0.0,
            use_rslora=config.rslora,
            target_modules=sorted(config.modules) or linear_modules(base),
            layers_to_transform=sorted(config.layers) or None,
            task_type="CAUSAL_LM",
        )
        with torch.random.fork_rng():
            self.model: torch.nn.Module = peft.get_peft_model(base, self._config)
        self._config.base_model_name_or_path = ""  # checkpoints don't name paths of this machine
        # The order of a set differs by process.
        self._config.target_modules = sorted(self._config.target_modules)
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def initialise(self, seed: int) -> None:
        """Draw A and set B to zero, as peft does; on the CPU, so all devices get the same."""
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed31("adapter", seed))
            for name, parameter in self.parameters.items():
                drawn = torch.zeros(parameter.shape)
                if "lora_A" in name:
                    torch.nn.init.kaiming_uniform_(drawn, a=5**0.5)
                parameter.copy_(drawn)

    def restore(self, folder: Path) -> None:
        """Load a checkpoint's matrices.

        Raises:
            LearnerError: they aren't exactly those that are trained; peft would drop some.
        """
        saved = load_file(folder / ADAPTER_WEIGHTS)
        _refuse_others(folder, saved, peft.get_peft_model_state_dict(self.model))
        peft.set_peft_model_state_dict(self.model, saved)

    def save(self, folder: Path) -> None:
        """Write matrices and configuration as peft does."""
        state = peft.get_peft_model_state_dict(self.model)
        save_file({k: v.contiguous().cpu() for k, v in state.items()}, folder / ADAPTER_WEIGHTS)
        self._config.save_pretrained(str(folder))


class Steering:
    """A vector that is added to one layer's output; see `simulator.interp.steering`."""

    def __init__(self, base: PreTrainedModel, config: SteeringConfig) -> None:
        self.model, self._layer = base.requires_grad_(False), config.layer
        layer = layers_of(base)[config.layer]
        zero = torch.zeros(base.config.get_text_config().hidden_size, device=base.device)
        layer.register_parameter("steering", torch.nn.Parameter(zero))
        # By name, so that a reference's vector can stand in for it.
        steer(layer, lambda: cast(torch.Tensor, layer.steering))
        self.parameters = {n: p for n, p in base.named_parameters() if p.requires_grad}
        (self._vector,) = self.parameters.values()

    def initialise(self, seed: int) -> None:
        """Set the vector to zero; nothing is drawn, as zeros have a gradient."""
        self._set(torch.zeros_like(self._vector))

    def restore(self, folder: Path) -> None:
        """Load a checkpoint's vector.

        Raises:
            LearnerError: it belongs to another layer or model.
        """
        saved = load_steering(folder)
        name = f"layer {saved.layer}"
        _refuse_others(folder, {name: saved.vector}, {f"layer {self._layer}": self._vector})
        self._set(saved.vector)

    def save(self, folder: Path) -> None:
        """Write the vector and its layer."""
        SteeringVector(self._layer, self._vector).save(folder)

    @torch.no_grad()
    def _set(self, vector: torch.Tensor) -> None:
        self._vector.copy_(vector)


def _refuse_others(
    folder: Path, saved: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> None:
    """Refuse a checkpoint whose tensors aren't the trained ones, by name and shape."""
    shapes, expected = ({n: tuple(t.shape) for n, t in part.items()} for part in (saved, own))
    differing = sorted({name for name, _ in shapes.items() ^ expected.items()})
    if not differing:
        return
    name = differing[0]
    how = f"{name} is {shapes.get(name)} in it, and should be {expected.get(name)}"
    if name not in shapes:
        how = f"{name} is missing"
    elif name not in expected:
        how = f"{name} isn't trained"
    raise LearnerError(f"{folder}: the checkpoint doesn't fit the learner's adapter: {how}")
