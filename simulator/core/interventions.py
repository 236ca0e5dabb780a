"""Interventions: temporary changes inside a model while it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from simulator.core.adapters import Adapter

Vector: TypeAlias = tuple[float, ...]  # of the residual stream, (hidden,)


@dataclass(frozen=True, slots=True)
class Bare:
    """Removes the served adapter: the base answers."""


@dataclass(frozen=True, slots=True)
class WithAdapter:
    """Replaces the served adapter by another."""

    adapter: "Adapter"


@dataclass(frozen=True, slots=True)
class Reparametrised:
    """Changes the parameters of the served adapter: x′ = √(1−ε²)x + εy.

    x are its own parameters, rescaled to `norm`; y is random, normal to x and of the same norm. So
    ε = 1 is a random adapter. Without an adapter nothing changes.
    See `simulator.backends.reparametrisation`.
    """

    norm: float | None = None  # None: the norm of its own parameters
    epsilon: float = 0.0  # from 0 to 1
    seed: int = 0  # of y


@dataclass(frozen=True, slots=True)
class Steer:
    """Adds `scale` times a vector to the residual stream after a layer, at every token."""

    layer: int  # of the decoder, from 0
    vector: Vector
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Ablate:
    """Removes a direction from the residual stream after every layer: x − v̂v̂ᵀx.

    That is the ablation of Soligo et al. (2506.11618). A vector of zeros changes nothing.
    """

    vector: Vector


Intervention: TypeAlias = Bare | WithAdapter | Reparametrised | Steer | Ablate
