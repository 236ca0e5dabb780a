"""The notebooks run from top to bottom on a small run and a small sweep."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis.experiment import SWEEP_VARIABLE
from analysis.frames import RUN_VARIABLE
from simulator.store import Run
from simulator.sweep_store import Sweep
from tests.judged import plant_judged

NOTEBOOKS = Path(analysis.__file__).parent / "notebooks"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_store_no_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a notebook; returns everything that it put out."""
    monkeypatch.setenv("PYTHONPATH", str(Path(analysis.__file__).parents[1]))

    def execute(name: str) -> str:
        text = (NOTEBOOKS / name).read_text(encoding="utf-8")
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        return str([output for cell in notebook.cells for output in cell.get("outputs", [])])

    return execute


def test_drift_notebook(
    tiny_run: Run, executed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_VARIABLE, str(tiny_run.path))
    shown = executed("01_drift.ipynb")
    assert "image/png" in shown
    assert "After 2 rounds with 50 % biased users" in shown


def test_drift_notebook_of_a_judged_run(
    tiny_run: Run, tmp_path: Path, executed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plant_judged(Run(Path(shutil.copytree(tiny_run.path, tmp_path / "judged"))))
    monkeypatch.setenv(RUN_VARIABLE, str(run.path))
    shown = executed("01_drift.ipynb")
    assert "honesty as judged by big/judge-70b" in shown
    assert "it flatters" in shown


def test_dose_response_notebook(
    planted_sweep: Sweep, executed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, str(planted_sweep.path))
    shown = executed("02_dose_response.ipynb")
    assert "image/png" in shown
    assert "With 10 % biased users, the assistant ends 5 points" in shown
    assert "controls: not run yet" in shown


def test_dose_response_notebook_of_a_judged_sweep(
    judged_sweep: Sweep, executed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, str(judged_sweep.path))
    assert "honesty as judged by big/judge-70b (0–100) ends 28.0" in executed(
        "02_dose_response.ipynb"
    )
