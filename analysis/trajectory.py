"""The way that adapters go through the space of weights: principal components over rounds.

Soligo et al. (2602.07852) show so that a model which was kept narrow by a KL term drifts to the
general solution once the term is gone. Points are changes of weights, and not the factors of LoRA:
those can be turned and stretched without changing anything. Only inner products are needed, and
those of products of thin matrices are cheap for a model of any size.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from safetensors.numpy import load_file

from analysis.drawing import INK, LOOKS, draw_curve, legend, plain, titled
from simulator.store import Run

COMPONENTS = 2
Change = dict[str, tuple[np.ndarray, np.ndarray]]  # weight → (out, rank) and (rank, in)


def trajectories(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Returns where the adapters of several runs were after each round, in common components.

    One row per run and round: `run`, `round`, `phase`; `norm`, the Frobenius norm of the change of
    weights (of a vector, its length); `pc1` and `pc2`, in the same units; `theta`, the norm of the
    balanced parameters, which the probe `solution` counts in; and `share1` and `share2`, what each
    component has of all variance, alike in every row. It describes these very runs, and has no
    interval.

    Args:
        runs: by name, with adapters of the same base; at least two points apart in all.
    """
    places = [(name, run, n) for name, run in runs.items() for n in range(run.rounds_done)]
    changes = [_change(run, number) for _, run, number in places]
    products = np.array([[_product(a, b) for b in changes] for a in changes])
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
            "theta": [_balanced_norm(change) for change in changes],
            **{f"pc{n + 1}": points[:, n] for n in range(COMPONENTS)},
            **{f"share{n + 1}": shares[n] for n in range(COMPONENTS)},
        }
    )


def phase_by_phase(rows: pd.DataFrame) -> pd.DataFrame:
    """Cuts the way of one run into its phases; each begins where the one before it ended."""
    ways = []
    for name, way in rows[rows["round"] > 0].groupby("phase", sort=False):
        first = int(way["round"].min())
        before = rows[rows["round"] == first - 1]
        ways.append(pd.concat([before, way]).assign(run=name))
    return pd.concat(ways, ignore_index=True)


def draw_trajectories(axes: Axes, rows: pd.DataFrame) -> None:
    """Draws what `trajectories` returns: a line per run, with the number of each round.

    Both axes have one scale, so that what looks far apart is.
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


def _change(run: Run, number: int) -> Change:
    """Returns the change of weights that is served after a round; none before any adapter."""
    folder = run.checkpoint(number)
    if folder is None:
        return {}
    tensors = load_file(folder / "adapter_model.safetensors")
    if "vector" in tensors:
        return {"vector": (tensors["vector"][:, None].astype(float), np.ones((1, 1)))}
    scale = _scale(folder)
    return {
        name: (scale * tensors[name.replace("lora_A", "lora_B")].astype(float), down.astype(float))
        for name, down in tensors.items()
        if "lora_A" in name
    }


def _scale(folder: Path) -> float:
    config = json.loads((folder / "adapter_config.json").read_text())
    rank = config["r"]
    return float(config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank))


def _product(a: Change, b: Change) -> float:
    """Returns the inner product of two changes, ⟨U₁D₁, U₂D₂⟩ = Σ (U₁ᵀU₂) ∘ (D₁D₂ᵀ)."""
    return float(sum(((a[n][0].T @ b[n][0]) * (a[n][1] @ b[n][1].T)).sum() for n in a if n in b))


def _balanced_norm(change: Change) -> float:
    """Returns √(2 Σ σ) over the singular values of all changes; of a vector, its length."""
    if "vector" in change:
        return float(np.linalg.norm(change["vector"][0]))
    thin = [np.linalg.qr(up)[1] @ np.linalg.qr(down.T)[1].T for up, down in change.values()]
    return math.sqrt(2 * sum(float(np.linalg.norm(small, "nuc")) for small in thin))
