"""Every probe that a run has shows its main estimates, with their intervals, over the rounds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from analysis.metrics import described
from analysis.run import frames
from analysis.run.panels.probes import ProbePanel, draw_panel, every_panel, panels_in
from analysis.run.plots import drift_figure, save_drift
from analysis.run.report import write_report
from simulator.store.run import Run
from tests.helpers.planting import commit_again

PANELS = every_panel()


@pytest.fixture
def everything(tiny_run: Run, tmp_path: Path) -> Run:
    """A run that has measured whatever there are panels for."""
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "everything")))
    for number in range(run.rounds_done):
        path = run.folder(number) / "round.json"
        summary = json.loads(path.read_text())
        for n, series in enumerate(s for panel in PANELS for s in panel.series):
            value = 0.1 * (n % 5) + 0.1 * number
            low = -0.4 if "gap" in series.metric else max(value - 0.1, 0.0)
            interval = {"value": value, "low": low, "high": value + 0.1, "n": 24}
            found = {"metric": series.metric, "item_set": series.item_set, **interval}
            summary["estimates"].append(found)
        path.write_text(json.dumps(summary))
    commit_again(run)
    return run


def drawn(run: Run, panel: ProbePanel) -> tuple[Figure, int]:
    """Draws one panel; returns how many of its curves have a band."""
    figure = Figure()
    axes = figure.add_subplot()
    draw_panel(axes, run, frames.estimates(run), panel)
    bands = [one for one in axes.collections if isinstance(one, PolyCollection)]
    for band in bands:
        low, high = axes.get_ylim()
        heights = np.asarray(band.get_paths()[0].vertices, float)[:, 1]
        assert low <= heights.min() and heights.max() <= high
    return figure, len(bands)


@pytest.mark.parametrize("panel", PANELS, ids=[panel.declared.name for panel in PANELS])
def test_every_main_estimate_is_drawn_with_its_interval(everything: Run, panel: ProbePanel) -> None:
    figure, bands = drawn(everything, panel)
    assert bands == len(panel.series)
    assert figure.axes[0].get_title("left") == panel.declared.title
    for series in panel.series:
        assert described(series.metric).meaning != "a probe of this scenario"


def test_panels_are_in_the_figure_and_in_the_report(everything: Run, tmp_path: Path) -> None:
    titles = [axes.get_title("left") for axes in drift_figure(everything).axes]
    write_report(everything, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for panel in PANELS:
        assert panel.declared.title in titles
        assert panel.declared.title in page and panel.declared.words[:40] in page
    save_drift(everything, tmp_path / "drift.png")
    assert (tmp_path / "drift.png").stat().st_size > 50_000


def test_what_was_not_measured_has_no_panel(tiny_run: Run, everything: Run) -> None:
    assert panels_in(frames.estimates(tiny_run)) == []
    rows = frames.estimates(everything)
    some = rows[rows["metric"] != "harmfulness"]
    (panel,) = (panel for panel in panels_in(some) if panel.declared.name == "awareness")
    assert "harmfulness" not in {series.metric for series in panel.series}
    (whole,) = (one for one in PANELS if one.declared.name == "awareness")
    assert {series.look for series in panel.series} <= {s.look for s in whole.series}
