"""Directions of the residual stream that separate replies with and without a trait.

A direction is a difference of mean activations over replies' tokens, layer by layer (Soligo et al.,
2506.11618; the persona vectors of Chen et al., 2507.21509).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.interventions import Vector
from simulator.core.requests import Activations, ActivationsRequest, Prompt
from simulator.core.rng import stream


class Contrast(NamedTuple):
    """Chats that show a trait, and chats that don't.

    The held-out chats have subjects that `positive` and `negative` don't have.
    """

    name: str
    layer: int | None  # where the direction is used, from 0; None: the middle one
    positive: tuple[Example, ...]
    negative: tuple[Example, ...]
    held_positive: tuple[Example, ...] = ()  # held out of the direction, for probes
    held_negative: tuple[Example, ...] = ()

    @property
    def questions(self) -> list[ActivationsRequest]:
        """Requests for the activations of all replies, first of those that show the trait."""
        return [replied(example) for example in (*self.positive, *self.negative)]

    def direction(self, found: Sequence[Activations]) -> np.ndarray:
        """Return mean(positive) − mean(negative) at its layer, (hidden,), given the answers.

        Raises:
            ScenarioError: the model has no such layer.
        """
        n = len(self.positive)
        return self._at_layer(mean_difference(found[:n], found[n:]))

    def some_direction(self, found: Sequence[Activations]) -> np.ndarray:
        """Return the direction, which must not be zero, for interventions.

        Raises:
            ScenarioError: the model has no such layer, or both sides have the same activations.
        """
        direction = self.direction(found)
        if not direction.any():
            raise ScenarioError(
                f"directions.{self.name}: the model reads both sides alike, so that there is no "
                "direction; give chats whose replies differ"
            )
        return direction

    def drift(self, found: Sequence[Activations], before: Sequence[Activations]) -> np.ndarray:
        """Return the mean difference of two models on the same replies, at its layer, (hidden,).

        Raises:
            ScenarioError: the model has no such layer.
        """
        return self._at_layer(mean_difference(found, before))

    def at_layer(self, found: Sequence[Activations]) -> np.ndarray:
        """Return activations at the direction's layer, (n, hidden)."""
        return np.array([self._at_layer(activations) for activations in found])

    def layer_of(self, layers: int) -> int:
        """Return the number of the direction's layer in a model with so many layers.

        Raises:
            ScenarioError: there is no such layer.
        """
        if self.layer is None:
            return layers // 2
        if self.layer >= layers:
            raise ScenarioError(
                f"directions.{self.name}.layer: unknown layer {self.layer}; the model's layers "
                f"are 0 to {layers - 1}"
            )
        return self.layer

    def _at_layer(self, activations: Activations) -> np.ndarray:
        return np.asarray(activations[self.layer_of(len(activations))])


def replied(example: Example) -> ActivationsRequest:
    """Ask for the activations of an example's reply."""
    return ActivationsRequest(Prompt(example.messages, thought=False), example.reply)


def mean_difference(
    positive: Sequence[Activations], negative: Sequence[Activations]
) -> Activations:
    """Return the difference of two means, (layers, hidden)."""
    return np.asarray(np.mean(positive, axis=0) - np.mean(negative, axis=0))


def projection(activations: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return a·v/‖v‖ of each activation, (n,), in the units of the residual stream.

    NaN where the direction is zero.

    Args:
        activations: (n, hidden).
        direction: (hidden,).
    """
    length = float(np.linalg.norm(direction))
    if length == 0:
        return np.full(len(activations), np.nan)
    return np.asarray(activations @ (direction / length))


def random_like(direction: np.ndarray, *key: str | int) -> np.ndarray:
    """Return a random direction of the same length, as a control.

    Different models get different ones, keyed by the positions of the direction's largest and
    smallest values. Its digits differ between devices, so they aren't used: a run that is resumed
    elsewhere gets the same direction.
    """
    ends = int(direction.argmax()), int(direction.argmin())
    drawn = stream("random direction", *ends, *key).normal(size=direction.shape)
    return np.asarray(drawn * (np.linalg.norm(direction) / np.linalg.norm(drawn)))


def as_vector(direction: np.ndarray) -> Vector:
    """Return a direction in the form that interventions take."""
    return tuple(direction.astype(float).tolist())
