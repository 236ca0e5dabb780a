"""Preventive steering: a model that is pushed towards a trait needn't learn to go there.

The vector is there while losses and their gradients are computed. The KL on anchors, the canary
and all that is asked of the assistant are without it (Chen et al., 2507.21509).
"""

from contextlib import AbstractContextManager

import torch

from simulator.interp.directions import Contrast
from simulator.learners.config import PreventiveConfig
from simulator.learners.policy import Policy


class Push:
    """A direction of the base (`simulator.interp.directions`), and how much of it is added."""

    def __init__(
        self, config: PreventiveConfig, policy: Policy, contrast: Contrast, size: int
    ) -> None:
        """Computes the direction from the base's own activations.

        Args:
            config: the scenario's.
            policy: the model that learns.
            contrast: chats that show the trait, and chats that don't.
            size: how many of them are read at a time.
        """
        found = policy.base_activations(
            policy.encode([*contrast.positive, *contrast.negative]), size
        )
        self.layer = contrast.layer_of(len(found[0]))
        self.vector = torch.from_numpy(config.scale * contrast.some_direction(found))
        self._policy = policy

    def on(self) -> AbstractContextManager[None]:
        """Pushes while the context is open."""
        return self._policy.steered(self.layer, self.vector)
