"""A model's need of memory, from its configuration."""

from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from simulator.core.errors import BackendError
from simulator.models.devices import device_of, dtype_of
from simulator.models.pretrained import load_config
from simulator.models.reference import ModelRef

GIB = 2**30
COPIES_OF_LOGITS = 3  # as computed, in float32, and their probabilities


class ModelSize(NamedTuple):
    """A model's need of memory, in bytes unless noted."""

    parameters: int  # number
    weights: int
    cache_per_token: int  # keys and values of one token of context
    forward_per_token: int  # what a forward pass holds of one token, besides weights and cache
    backward_per_token: int  # what a forward pass keeps for the backward pass
    checkpointed_per_token: int  # the same with gradient checkpointing
    logits_per_row: int  # and their probabilities, in float32


def model_size(model: ModelRef, dtype: str, device: str = "auto") -> ModelSize:
    """Build the model without weights, and add up their sizes.

    Raises:
        BackendError: its configuration can't be loaded.
    """
    try:
        config = load_config(model)
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(
                config, trust_remote_code=model.trust_remote_code
            )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"the model '{model}' can't be loaded: {reason}") from error
    chosen = dtype_of(dtype, device_of(device), config)
    if not isinstance(chosen, torch.dtype):
        chosen = config.dtype or torch.float32
    parameters = sum(p.numel() for p in built.parameters())
    text = config.get_text_config()
    layer, layers = _of_a_layer(text), getattr(text, "num_hidden_layers", 1)
    hidden = getattr(text, "hidden_size", 0)
    return ModelSize(
        parameters,
        parameters * chosen.itemsize,
        _cached(text) * chosen.itemsize,
        forward_per_token=layer.forward * chosen.itemsize,
        backward_per_token=layers * layer.backward * chosen.itemsize,
        checkpointed_per_token=(layers * hidden + layer.backward) * chosen.itemsize,
        logits_per_row=COPIES_OF_LOGITS * text.vocab_size * torch.float32.itemsize,
    )


class _Layer(NamedTuple):
    """The numbers that a layer holds of one token."""

    forward: int
    backward: int


def _of_a_layer(config: PretrainedConfig) -> _Layer:
    """Return what a gated layer holds: gate, product and other branch, and some hidden states."""
    hidden = getattr(config, "hidden_size", 0)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    return _Layer(3 * inner + 2 * hidden, 5 * inner + 12 * hidden)


def _cached(config: PretrainedConfig) -> int:
    """Return the number of keys and values of one token; a model without attention has none."""
    all_heads = getattr(config, "num_attention_heads", 0)
    if not all_heads:
        return 0
    heads = getattr(config, "num_key_value_heads", None) or all_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // all_heads
    return int(2 * config.num_hidden_layers * heads * width)
