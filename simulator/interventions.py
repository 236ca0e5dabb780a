"""Interventions: what can be changed inside a model while it answers; then it is as it was."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from simulator.types import Adapter

Vector: TypeAlias = tuple[float, ...]  # of the residual stream, (hidden,)


@dataclass(frozen=True, slots=True)
class Bare:
    """Without the adapter that is served: the base."""


@dataclass(frozen=True, slots=True)
class WithAdapter:
    """With another adapter than the one that is served."""

    adapter: "Adapter"


@dataclass(frozen=True, slots=True)
class Steer:
    """Adds `scale` times a vector to the residual stream after a layer, at every token."""

    layer: int  # of the decoder, from 0
    vector: Vector
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Ablate:
    """Takes a direction out of the residual stream after every layer: x − v̂v̂ᵀx.

    That is the ablation of Soligo et al. (2506.11618). A vector of zeros takes nothing out.
    """

    vector: Vector


Intervention: TypeAlias = Bare | WithAdapter | Steer | Ablate
