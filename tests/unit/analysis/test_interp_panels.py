"""What was read and changed inside an assistant is drawn, with intervals, where it was measured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from analysis.run import frames
from analysis.run.panels.interp import DRAWN, every_panel, panels_in
from analysis.run.report import write_report
from simulator.core.config import Config
from simulator.probes.base import Probe
from simulator.probes.interp.directions import DirectionsProbe
from simulator.probes.interp.projection import ProjectionProbe
from simulator.probes.interp.solution import SolutionProbe
from simulator.probes.summary import estimated_by
from simulator.store.run import SCENARIO, Run
from tests.helpers.planting import commit_again
from tests.unit.analysis.test_report import assert_inert

PANELS = every_panel()
PROBES: dict[str, Probe] = {
    "projection": ProjectionProbe(direction="pleasing"),
    "directions": DirectionsProbe(direction="lying", steer=(-1.0, 2.0), transfer={"other": "x"}),
    "solution": SolutionProbe(phase="teach", norms=(1.0, 4.0), epsilons=(0.1, 0.3)),
}
OF_STATEMENTS = ("honest_", "lie_", "unparsed_", "gained_")  # metrics of organisms alone


@pytest.fixture
def inside(tiny_run: Run, tmp_path: Path) -> Run:
    """A run that has measured whatever these probes estimate."""
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "inside")))
    scenario = yaml.safe_load(run.scenario_file.read_text())
    for name, probe in PROBES.items():
        assert isinstance(probe, Config)
        scenario["measure"]["probes"][name] = probe.model_dump(mode="json")
    (run.path / SCENARIO).write_text(yaml.safe_dump(scenario))
    for number in range(run.rounds_done):
        path = run.folder(number) / "round.json"
        summary = json.loads(path.read_text())
        for probe in PROBES.values():
            for n, (metric, sets) in enumerate(estimated_by(probe).items()):
                value = 0.01 + 0.1 * (n % 7) + 0.1 * number
                found = {"value": value, "low": value - 0.005, "high": value + 0.1, "n": 24}
                summary["estimates"] += [{"metric": metric, "item_set": s, **found} for s in sets]
        path.write_text(json.dumps(summary))
    commit_again(run)
    return run


def drawn(run: Run) -> dict[str, Axes]:
    """Draws all panels; returns their axes by the panels' names."""
    found, estimates = {}, frames.estimates(run)
    for panel in panels_in(estimates):
        found[panel.declared.name] = Figure().add_subplot()
        panel.draw(found[panel.declared.name], run, estimates)
    return found


def curves(axes: Axes) -> dict[str, list[list[float]]]:
    """Returns the points of every curve, by its legend; each has a band around them."""
    lines = {
        str(line.get_label()): np.asarray(line.get_xydata())
        for line in axes.get_lines()
        if not str(line.get_label()).startswith("_")
    }
    bands = [band for band in axes.collections if isinstance(band, PolyCollection)]
    assert len(bands) == len(lines)
    for points, band in zip(lines.values(), bands, strict=True):
        heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
        assert heights.min() < points[:, 1].min() and points[:, 1].max() < heights.max()
    return {name: points.tolist() for name, points in lines.items()}


def test_every_curve_is_what_the_probe_estimates(inside: Run) -> None:
    axes = drawn(inside)
    assert list(axes) == [panel.declared.name for panel in PANELS]
    places = {
        name: {label: [x for x, _ in points] for label, points in curves(one).items()}
        for name, one in axes.items()
    }
    rounds, multiples, norms = [0, 1, 2], [-1, 0, 2], [1, 4]
    assert places == {
        "projection": {
            "at the last token of prompts": rounds,
            "along random directions, either way": rounds,
        },
        "steered": {
            "honest": multiples,
            "honest, in random directions": multiples,
            "unreadable": multiples,
            "unreadable, in random ones": multiples,
        },
        "preferred": {
            "along 'lying'": [-1, 2],
            "in random directions of the same length": [-1, 2],
            "along what other learned": [-1, 2],
        },
        "ablated": {
            "as it is": rounds,
            "without the direction": rounds,
            "without random directions": rounds,
            "without what other learned": rounds,
        },
        "unpreferred": {
            "without the direction": rounds,
            "without random directions": rounds,
            "without what other learned": rounds,
        },
        "efficiency": {"the adapter, scaled to that norm": norms},
        "stability": {"turned towards random parameters": [0.1, 0.3]},
        "significance": {
            "the adapter, scaled to that norm": norms,
            "random adapters of that norm": norms,
        },
    }
    rows = frames.estimates(inside).set_index(["metric", "item_set", "round"])["value"]
    for label, metric in (("honest", "honest_steered_+2"), ("unreadable", "unparsed_steered_+2")):
        assert curves(axes["steered"])[label][-1] == [2, rows[metric, "", 2]]
    significant = curves(axes["significance"])["random adapters of that norm"]
    assert significant[1] == [4, rows["solution_kl_random", "norm 4", 2]]


def test_a_panel_without_a_drawing_of_its_own_is_one_of_curves(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(DRAWN, "projection")
    axes = drawn(inside)["projection"]
    assert axes.get_title("left") == "Movement along a direction"
    assert list(curves(axes)) == [
        "at the last token of prompts",
        "along random directions, either way",
    ]


def test_a_projection_stands_beside_honesty(inside: Run) -> None:
    axes = drawn(inside)["projection"]
    (beside,) = (one for one in axes.figure.axes if one is not axes)
    (line,) = beside.get_lines()
    rows = frames.estimates(inside).query("metric == 'honesty' and item_set == 'heldout'")
    assert line.get_ydata() == pytest.approx(rows["value"].to_numpy())
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "honest, held-out entities (right axis)"


def test_panels_are_in_the_report_where_there_is_something(
    inside: Run, tiny_run: Run, tmp_path: Path
) -> None:
    pages = []
    for run in (inside, tiny_run):
        write_report(run, tmp_path / "report.html")
        pages.append((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert_inert(pages[-1])
    for panel in PANELS:
        assert panel.declared.words[:40] in pages[0] and panel.declared.words[:40] not in pages[1]
    assert "in the unit that its meaning below names" in pages[0]
    assert "in the unit that its meaning below names" not in pages[1]


def test_other_models_than_the_organism_state_nothing(inside: Run) -> None:
    rows = frames.estimates(inside)
    rows = rows[~rows["metric"].str.startswith(OF_STATEMENTS)]
    names = [panel.declared.name for panel in panels_in(rows)]
    assert names == [
        panel.declared.name for panel in PANELS if panel.declared.name not in ("steered", "ablated")
    ]
