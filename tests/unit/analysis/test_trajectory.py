"""Ways through the space of weights: the components of whole changes, whatever their factors."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from analysis.run.panels.trajectory import draw_trajectories, phase_by_phase, trajectories
from analysis.run.report import write_report
from simulator.backends.merging import changes_of
from simulator.backends.reparametrisation import balanced
from simulator.models.resolve import resolve
from simulator.store.run import Run
from tests.helpers.planting import commit_again

WEIGHTS = "adapter_model.safetensors"


def whole(run: Run, number: int) -> np.ndarray:
    """The change of all weights, flattened."""
    folder = run.checkpoint(number)
    assert folder is not None
    tensors = load_file(folder / WEIGHTS)
    config = json.loads((folder / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    names = sorted(name for name in tensors if "lora_A" in name)
    parts = [tensors[n.replace("lora_A", "lora_B")].astype(float) @ tensors[n] for n in names]
    return np.asarray(scale * np.concatenate([part.ravel() for part in parts]))


def theta(run: Run, number: int) -> float:
    """The norm of what `Reparametrised` takes for the parameters."""
    adapter = run.adapter(number)
    assert adapter is not None
    model = AutoModelForCausalLM.from_pretrained(resolve("organism:0").path)
    parts = map(balanced, changes_of(adapter, dict(model.named_parameters())).values())
    return math.sqrt(sum(float(side.square().sum()) for part in parts for side in part))


def distances(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=-1))


def test_points_are_as_far_apart_as_the_weights(tiny_run: Run) -> None:
    """Three points lie in a plane, so two components keep all distances."""
    rows = trajectories({"a": tiny_run})
    changes = [whole(tiny_run, n) for n in (1, 2)]
    points = np.array([np.zeros_like(changes[0]), *changes])
    assert rows["round"].tolist() == [0, 1, 2]
    assert rows["phase"].tolist() == ["", "loop", "loop"]
    assert rows["norm"].to_numpy() == pytest.approx(np.linalg.norm(points, axis=1))
    assert distances(rows[["pc1", "pc2"]].to_numpy()) == pytest.approx(distances(points))
    assert rows["theta"].to_numpy() == pytest.approx([0.0, *(theta(tiny_run, n) for n in (1, 2))])
    assert rows["share1"].iloc[0] + rows["share2"].iloc[0] == pytest.approx(1.0)
    values = np.linalg.svd(points - points.mean(0), compute_uv=False)
    assert rows["share1"].iloc[0] == pytest.approx(values[0] ** 2 / (values**2).sum())


def test_other_factors_of_the_same_change_are_the_same_point(tiny_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "other")))
    for number in (1, 2):
        path = other.folder(number) / "checkpoint" / WEIGHTS
        tensors = load_file(path)
        save_file({n: t * (4 if "lora_A" in n else 0.25) for n, t in tensors.items()}, path)
    commit_again(other)
    rows = trajectories({"a": tiny_run, "b": other})
    a, b = (rows.loc[rows["run"] == name, ["pc1", "pc2"]].to_numpy() for name in "ab")
    assert a == pytest.approx(b, abs=1e-6)


def test_adapters_of_other_weights_are_at_right_angles(tiny_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "other")))
    for number in (1, 2):
        path = other.folder(number) / "checkpoint" / WEIGHTS
        save_file({f"another.{name}": t for name, t in load_file(path).items()}, path)
    commit_again(other)
    rows = trajectories({"a": tiny_run, "b": other})
    points = np.array([whole(tiny_run, n) for n in (1, 2)])
    sides = np.zeros((6, 2 * points.shape[1]))
    sides[1:3, : points.shape[1]] = sides[4:, points.shape[1] :] = points
    values = np.linalg.svd(sides - sides.mean(0), compute_uv=False) ** 2
    assert rows["share1"].iloc[0] == pytest.approx(values[0] / values.sum())
    assert rows["share2"].iloc[0] == pytest.approx(values[1] / values.sum())


def test_vectors_are_points_themselves(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "run")))
    for number, vector in ((1, [3.0, 4.0]), (2, [3.0, 0.0])):
        save_file({"vector": np.array(vector)}, run.folder(number) / "checkpoint" / WEIGHTS)
    commit_again(run)
    rows = trajectories({"steered": run})
    assert rows["norm"].tolist() == rows["theta"].tolist() == pytest.approx([0, 5, 3])
    expected = distances(np.array([[0, 0], [3, 4], [3, 0]]))
    assert distances(rows[["pc1", "pc2"]].to_numpy()) == pytest.approx(expected)


def test_a_line_is_drawn_for_each_run(tiny_run: Run) -> None:
    axes = Figure().add_subplot()
    draw_trajectories(axes, trajectories({"general": tiny_run, "narrow": tiny_run}))
    assert [line.get_label() for line in axes.get_lines()] == ["general", "narrow"]
    assert "% of variance" in axes.get_xlabel()


def test_every_phase_begins_where_the_one_before_it_ended(tiny_run: Run) -> None:
    rows = trajectories({"a": tiny_run}).assign(phase=["", "teach", "unteach"])
    ways = phase_by_phase(rows)
    assert ways["run"].tolist() == ["teach (round 1)"] * 2 + ["unteach (round 2)"] * 2
    assert ways["round"].tolist() == [0, 1, 1, 2]
    alike = phase_by_phase(pd.concat([rows, rows[1:].assign(round=[3, 4])]))
    assert [str(name) for name in alike["run"].unique()] == [
        "teach (round 1)", "unteach (round 2)", "teach (round 3)", "unteach (round 4)"
    ]  # fmt: skip
    axes = Figure().add_subplot()
    draw_trajectories(axes, ways)
    ends = [np.asarray(line.get_xydata())[[0, -1]] for line in axes.get_lines()]
    assert ends[0][1].tolist() == ends[1][0].tolist()
    assert sorted(text.get_text() for text in axes.texts) == ["0", "1", "2"]


def test_the_report_shows_a_way_where_there_is_one(tiny_run: Run, tmp_path: Path) -> None:
    once = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "once")))
    shutil.rmtree(once.folder(2) / "checkpoint")  # as if that update was rolled back
    commit_again(once)
    for run, shown in ((tiny_run, True), (once, False)):
        write_report(run, tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ("Changes of weights, round by round" in page) == shown
