"""Checking that a model has the layers and modules that an adapter names."""

from collections.abc import Collection

from simulator.core.errors import LearnerError, unknown
from simulator.learners.config import AnyAdapter, SteeringConfig


def check_places(
    config: AnyAdapter, layers: int, linear: Collection[str], architecture: str
) -> None:
    """Refuse an adapter in places that a model lacks.

    Args:
        config: the learner's adapter.
        layers: the number of the model's layers.
        linear: the names of the linear modules in them.
        architecture: names the model's kind.

    Raises:
        LearnerError: the model has no such layer or module.
    """
    steering = isinstance(config, SteeringConfig)
    wanted = (config.layer,) if isinstance(config, SteeringConfig) else config.layers
    if beyond := [n for n in wanted if n >= layers]:
        raise LearnerError(
            f"learner.adapter.{'layer' if steering else 'layers'}: unknown layer {beyond[0]}; the "
            f"model's layers are 0 to {layers - 1}"
        )
    if isinstance(config, SteeringConfig):
        return
    if not linear:
        raise LearnerError(
            f"learner.adapter: a {architecture} has no linear layers that LoRA can adapt; set "
            "adapter: {kind: steering, layer: N}, or name another model"
        )
    if strange := sorted(set(config.modules) - set(linear)):
        raise LearnerError(
            f"learner.adapter.modules: {unknown('linear layer', strange[0], sorted(linear))}"
        )
