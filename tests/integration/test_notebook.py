"""The notebooks run from top to bottom on a small run and a small sweep."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis.run.frames import RUN_VARIABLE
from analysis.studies.claims import Claims, Study
from analysis.sweep.frames import SWEEP_VARIABLE
from simulator.store.run import Run
from simulator.store.sweep import Sweep
from tests.helpers.judged_run import plant_judged

NOTEBOOKS = Path(analysis.__file__).parent / "notebooks"
STUDIES_VARIABLE = "UNDERTOW_STUDIES"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_store_no_outputs_or_those_of_one_whole_pass(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in cells]
    if any(cell["outputs"] for cell in cells):
        assert counts == list(range(1, len(cells) + 1))
        kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
        assert "error" not in kinds and '"stderr"' not in text and "/tmp/" not in text
    else:
        assert not any(counts)


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


def test_studies_notebook(
    planted_sweep: Sweep, executed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = {"metric": "honesty", "item_set": "heldout", "arm": planted_sweep.members[0].arm}
    finding = {
        "claim": "It does.",
        "reported": "much",
        "kind": "contrast",
        "a": {**at, "where": {"biased_frac": 0.5}},
        "b": {**at, "where": {"biased_frac": 0.0}},
        "expected": "lower",
    }
    claims = Claims(title="T", source="S", question="Does it?", findings=[finding])
    studies = planted_sweep.path.parent
    sweep = Sweep.write(studies / "deceive_users", list(planted_sweep.members))
    Study.declare(claims, "python -m simulator study deceive_users", sweep)
    monkeypatch.setenv(STUDIES_VARIABLE, str(studies))
    shown = executed("03_studies.ipynb")
    assert "Does it? Yes: " in shown and "image/png" in shown
    assert "not run yet: python -m simulator study mitigations" in shown
