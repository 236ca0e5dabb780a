"""Trajectories of adapters through weight space: principal components over rounds.

Soligo et al. (2602.07852) show in this way that a model kept narrow by a KL term drifts to the
general solution once the term is removed. Points are changes of weights, not LoRA's factors, which
many rotations and scalings leave equivalent. Only inner products are needed, and those of products
of thin matrices are cheap for any size of model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from safetensors import safe_open

from analysis.plotting import INK, LOOKS, draw_curve, legend, plain, titled
from simulator.core.files import json_object, read_file
from simulator.store.run import Run
from simulator.store.shapes import LoRA, checked

COMPONENTS = 2
ADAPTER, VECTOR = "adapter_model.safetensors", "vector"
Change: TypeAlias = tuple[np.ndarray, np.ndarray]  # of a weight: (out, rank) and (rank, in)


def trajectories(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return the adapters of several runs after each round, in common principal components.

    One row per run and round: `run`, `round`, `phase`; `norm`, the Frobenius norm of the change of
    weights (of a vector, its length); `pc1` and `pc2`, in the same units; `theta`, the norm of the
    balanced parameters, as in the probe `solution`; and `share1` and `share2`, each component's
    share of all variance, the same in every row. The table describes only these runs, so it has
    no intervals.

    Args:
        runs: by name, with adapters of the same base; at least two distinct points in total.
    """
    places = [(name, run, n) for name, run in runs.items() for n in range(run.rounds_done)]
    folders = [run.checkpoint(number) for _, run, number in places]
    products, squares = np.zeros((len(places), len(places))), np.zeros(len(places))
    for weight in _weights(folders):  # one weight at a time: all may not fit into memory
        found = ((n, _change(folder, weight)) for n, folder in enumerate(folders) if folder)
        changes = {n: change for n, change in found if change}
        products[np.ix_(list(changes), list(changes))] += _products(list(changes.values()))
        for n, change in changes.items():
            squares[n] += _balanced_square(weight, change)
    centre = np.eye(len(places)) - 1 / len(places)
    values, vectors = np.linalg.eigh(centre @ products @ centre)
    values = np.clip(values[::-1][:COMPONENTS], 0, None)
    points = vectors[:, ::-1][:, :COMPONENTS] * np.sqrt(values)
    shares = values / max(np.trace(centre @ products @ centre), np.finfo(float).tiny)
    return pd.DataFrame(
        {
            "run": [name for name, _, _ in places],
            "round": [number for _, _, number in places],
            "phase": [str(run.summary(number)["phase"]) for _, run, number in places],
            "norm": np.sqrt(np.clip(np.diag(products), 0, None)),
            "theta": np.sqrt(squares),
            **{f"pc{n + 1}": points[:, n] for n in range(COMPONENTS)},
            **{f"share{n + 1}": shares[n] for n in range(COMPONENTS)},
        }
    )


def phase_by_phase(rows: pd.DataFrame) -> pd.DataFrame:
    """Split one run's trajectory into phases; each begins at the end of the one before."""
    learned = rows[rows["round"] > 0]
    phase = learned["phase"]
    ways = []
    for _, way in learned.groupby((phase != phase.shift()).cumsum(), sort=False):
        first, last = int(way["round"].min()), int(way["round"].max())
        span = f"round {first}" if first == last else f"rounds {first}–{last}"
        name = f"{way['phase'].iloc[0]} ({span})"  # two phases may have the same name
        ways.append(pd.concat([rows[rows["round"] == first - 1], way]).assign(run=name))
    return pd.concat(ways, ignore_index=True)


def draw_trajectories(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw what `trajectories` returns: a line per run, with the number of each round.

    Both axes have the same scale, so distances are comparable.
    """
    titled(axes, "Changes of weights, round by round")
    for (name, way), look in zip(rows.groupby("run", sort=False), LOOKS * 9, strict=False):
        draw_curve(axes, way["pc1"], way["pc2"], look, str(name))
    for number, x, y in set(zip(rows["round"], rows["pc1"], rows["pc2"], strict=True)):
        axes.annotate(
            str(number),
            (x, y),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    for n, label in ((1, axes.set_xlabel), (2, axes.set_ylabel)):
        share = rows[f"share{n}"].iloc[0]
        label(f"component {n} ({100 * share:.0f} % of variance)", color=INK)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)
    plain(axes)
    legend(axes)


def _weights(folders: Sequence[Path | None]) -> list[str]:
    """Return the names of all weights that the adapters change."""
    found = dict[str, None]()
    for folder in filter(None, folders):
        with safe_open(folder / ADAPTER, framework="numpy") as file:
            names = file.keys()
        found |= dict.fromkeys(name for name in names if "lora_B" not in name)
    return list(found)


def _change(folder: Path, weight: str) -> Change | None:
    """Return the change of a weight; None where the adapter doesn't change it."""
    with safe_open(folder / ADAPTER, framework="numpy") as file:
        names = file.keys()
        if weight not in names:
            return None
        down = file.get_tensor(weight).astype(float)
        if weight == VECTOR:
            return down[:, None], np.ones((1, 1))
        up = file.get_tensor(weight.replace("lora_A", "lora_B")).astype(float)
    return _scale(folder) * up, down


def _scale(folder: Path) -> float:
    file = folder / "adapter_config.json"
    config = checked(file, json_object(file, read_file(file)), LoRA)
    rank = config["r"]
    return float(config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank))


def _products(changes: Sequence[Change]) -> np.ndarray:
    """Return the inner products of changes, ⟨U₁D₁, U₂D₂⟩ = Σ (U₁ᵀU₂) ∘ (D₁D₂ᵀ), (n, n)."""
    ups, downs = np.hstack([up for up, _ in changes]), np.vstack([down for _, down in changes])
    starts = np.cumsum([0, *(len(down) for _, down in changes[:-1])])
    factors = (ups.T @ ups) * (downs @ downs.T)
    return np.asarray(np.add.reduceat(np.add.reduceat(factors, starts, axis=0), starts, axis=1))


def _balanced_square(weight: str, change: Change) -> float:
    """Return 2 Σ σ over the singular values of a change; of a vector, its length squared."""
    up, down = change
    if weight == VECTOR:
        return float((up**2).sum())
    thin = np.linalg.qr(up)[1] @ np.linalg.qr(down.T)[1].T
    return 2 * float(np.linalg.norm(thin, "nuc"))
