"""The notebook runs from top to bottom on a small run."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis.frames import RUN_VARIABLE
from simulator.store import Run

NOTEBOOK = Path(analysis.__file__).parent / "notebooks" / "01_drift.ipynb"


def test_notebook_stores_no_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)


def test_notebook_runs(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_VARIABLE, str(tiny_run.path))
    monkeypatch.setenv("PYTHONPATH", str(Path(analysis.__file__).parents[1]))
    notebook = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("After 2 rounds with 50 % biased users" in str(output) for output in outputs)
