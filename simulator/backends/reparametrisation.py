"""An adapter's parameters, rescaled and rotated, to measure how good a solution is.

Efficiency, stability and significance of Soligo et al. (2602.07852) compare solutions at equal norm
of their parameters θ. A change of weights has many factorisations, of different norms, and a LoRA
adapter keeps much of its random initialisation. So θ is the balanced factorisation, by singular
values: the one of smallest norm, which doesn't depend on the initialisation.

Rotated factors keep their norm, but random factors aren't balanced: factors of smaller norm make
the same change. The norm is smaller by up to 5 % on the organism, and by 10 % or more elsewhere.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

import torch

from simulator.backends.merging import Change
from simulator.core.interventions import Reparametrised
from simulator.core.rng import stream
from simulator.interp.steering import SteeringVector

Parameters: TypeAlias = dict[str, torch.Tensor]  # fp64


def reparametrised(
    steered: SteeringVector | None, changes: Mapping[str, Change], how: Reparametrised
) -> tuple[SteeringVector | None, dict[str, Change]]:
    """Return the vector, or the changes of weights, of the new parameters."""
    if steered:
        found = moved({"vector": steered.vector.double()}, how)
        return SteeringVector(steered.layer, found["vector"].to(steered.vector)), {}
    parts = {name: balanced(change) for name, change in changes.items()}
    named = {f"{name} {side}": part[side] for name, part in parts.items() for side in (0, 1)}
    found = moved(named, how)
    return None, {
        name: Change(found[f"{name} 0"].float(), found[f"{name} 1"].float(), 1.0)
        for name in changes
    }


def balanced(change: Change) -> tuple[torch.Tensor, torch.Tensor]:
    """Return U√S and √SVᵀ, (out, rank) and (rank, in), of the change USVᵀ."""
    q_up, r_up = torch.linalg.qr(change.up.double())
    q_down, r_down = torch.linalg.qr(change.down.double().T)
    u, s, v = torch.linalg.svd(change.scale * r_up @ r_down.T)
    root = s.sqrt()
    return q_up @ u * root, (q_down @ v.T * root).T


def moved(parameters: Parameters, how: Reparametrised) -> Parameters:
    """Return √(1−ε²)·x + ε·y, where y is random, normal to x and of the same, wanted norm.

    The result has the same norm. Where ε > 0 its factors aren't balanced, even if those of x are.

    Parameters of zeros stay the same: they have no direction.
    """
    norm = _norm(parameters)
    if norm == 0:
        return parameters
    scale = 1.0 if how.norm is None else how.norm / norm
    x = {name: scale * value for name, value in parameters.items()}
    if how.epsilon == 0:
        return x
    y = {name: _drawn(value.shape, how.seed, name) for name, value in x.items()}
    along = _dot(x, y) / _dot(x, x)
    y = {name: y[name] - along * x[name] for name in x}
    keep, turn = (1 - how.epsilon**2) ** 0.5, how.epsilon * _norm(x) / _norm(y)
    return {name: keep * x[name] + turn * y[name] for name in x}


def _drawn(shape: torch.Size, seed: int, name: str) -> torch.Tensor:
    return torch.from_numpy(stream("reparametrised", seed, name).normal(size=tuple(shape)))


def _dot(a: Parameters, b: Parameters) -> float:
    return float(sum((a[name] * b[name]).sum() for name in a))


def _norm(parameters: Parameters) -> float:
    return math.sqrt(_dot(parameters, parameters))
