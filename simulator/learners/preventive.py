"""Preventive steering: a model that is steered towards a trait in training needn't learn it.

The vector is added while losses and their gradients are computed. The KL on anchors, the canary and
all later requests run without it (Chen et al., 2507.21509).
"""

from contextlib import AbstractContextManager

import torch

from simulator.interp.directions import Contrast
from simulator.learners.config import PreventiveConfig
from simulator.learners.policy import Policy


class Push:
    """A multiple of a direction of the base (`simulator.interp.directions`)."""

    def __init__(
        self, config: PreventiveConfig, policy: Policy, contrast: Contrast, size: int
    ) -> None:
        """Compute the direction from the base's own activations.

        Args:
            config: the scenario's.
            policy: the model in training.
            contrast: chats that show the trait, and chats that don't.
            size: the number of chats per batch.
        """
        found = policy.base_activations(
            policy.encode([*contrast.positive, *contrast.negative]), size
        )
        self.layer = contrast.layer_of(len(found[0]))
        self.vector = torch.from_numpy(config.scale * contrast.some_direction(found))
        self._policy = policy

    def on(self) -> AbstractContextManager[None]:
        """Steer while the context is open."""
        return self._policy.steered(self.layer, self.vector)
