"""Loading the base model for a learner."""

from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from simulator.learners.config import UpdateConfig
from simulator.models.devices import dtype_of, usable_device
from simulator.models.pretrained import checked_config, load_causal_lm
from simulator.models.reference import ModelRef


def load_base(model: ModelRef, config: UpdateConfig) -> PreTrainedModel:
    """Load the base on the training device, with gradient checkpointing if set."""
    device = usable_device(config.device)
    base = load_causal_lm(model, dtype=dtype_of(config.dtype, device, checked_config(model)))
    if config.gradient_checkpointing:
        _checkpoint_layers(base)
    return base.to(device)


def _checkpoint_layers(base: PreTrainedModel) -> None:
    """Make layers recompute their activations in the backward pass.

    Layers do so only in training mode. The modules inside them stay in evaluation mode, as dropout
    would make a fit depend on more than its inputs.
    """
    base.gradient_checkpointing_enable({"use_reentrant": False})
    for module in base.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = True
