"""What 6d899d2 wrote is opened, shown, reported and continued; `--json` keeps its keys."""

import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from simulator.cli.app import app
from simulator.experiments.run import PACKAGES
from simulator.store.round_files import DONE
from simulator.store.run import Run
from simulator.store.schemas import TABLES
from simulator.store.sweep import Sweep

WRITTEN = Path(__file__).parents[1] / "data" / "written_by_6d899d2"
STUDY = "self_awareness-quick-set-7309ae"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WRITTEN, tmp_path / "written"))


def with_present_versions(run: Run) -> None:
    """Lets a run be continued here; with other versions it would end in other bytes."""
    manifest = run.path / "manifest.json"
    now = {name: importlib.metadata.version(name) for name in PACKAGES}
    manifest.write_text(json.dumps({**run.manifest, "packages": now}))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("run", "honest"), ("sweeps/mini", "loop"), (f"studies/{STUDY}", "Realignment")],
)
def test_what_was_written_is_shown_and_reported(written: Path, folder: str, expected: str) -> None:
    shown = call("show", written / folder)
    assert (shown.exit_code, expected in shown.stdout) == (0, True), shown.output
    reported = call("report", written / folder)
    assert reported.exit_code == 0, reported.output
    assert list((written / folder).glob("*.html"))


def test_a_run_that_was_stopped_is_continued_to_its_end(written: Path) -> None:
    run = Run(written / "run")
    before = [run.folder(1) / name for name in ("round.json", "scores.parquet", DONE)]
    kept = [path.read_bytes() for path in before]
    shutil.rmtree(run.folder(2))
    with_present_versions(run)
    resumed = call("resume", run.path, "--json")
    assert resumed.exit_code == 0, resumed.output
    assert [path.read_bytes() for path in before] == kept
    assert run.rounds_done == 3
    again = json.loads(resumed.stdout)
    first = json.loads((WRITTEN / "run.json").read_text())
    assert again["rounds"][1]["honesty"] == first["rounds"][1]["honesty"]


def test_a_run_goes_on_from_a_wave_that_was_written_earlier(written: Path) -> None:
    """Of round 2 the first of two waves was committed; the rest is written as today."""
    run = Run(written / "run")
    shutil.rmtree(run.folder(2) / "checkpoint")
    for path in run.folder(2).glob("*.*"):
        path.unlink()
    (run.folder(2) / DONE).unlink()
    (run.folder(2) / "conversations" / "part-0001.parquet").unlink()
    earlier = (run.folder(2) / "conversations" / "part-0000.parquet").read_bytes()
    with_present_versions(run)
    resumed = call("resume", run.path)
    assert resumed.exit_code == 0, resumed.output
    assert (run.folder(2) / "conversations" / "part-0000.parquet").read_bytes() == earlier
    for name, schema in TABLES.items():
        if name == "beliefs":  # of facts
            continue
        then, now = (_table(run, number, name) for number in (1, 2))
        assert then.columns.tolist() == schema.names
        assert then.dtypes.equals(now.dtypes), name
        assert set(then["round"]) <= {1} and set(now["round"]) <= {2}, name
    said = run.candidates(2)
    assert said.groupby("wave")["belief"].count().gt(0).tolist() == [False, True]
    chosen = run.table(2, "examples").merge(said, on=["conversation", "turn", "candidate"])
    assert len(chosen) == len(run.table(2, "examples")) > 0
    assert set(chosen["wave"]) == {0, 1}
    assert call("report", run.path).exit_code == 0


def _table(run: Run, number: int, name: str) -> pd.DataFrame:
    return run.candidates(number) if name == "conversations" else run.table(number, name)


def test_a_sweep_finds_the_runs_that_it_has_done(written: Path) -> None:
    members = Sweep.open(written / "sweeps" / "mini").members
    done = [path.stat().st_mtime_ns for m in members for path in m.run.path.rglob(DONE)]
    swept = call("sweep", written / "mini.yaml", "--out", written / "sweeps")
    assert swept.exit_code == 0, swept.output
    again = Sweep.open(written / "sweeps" / "mini").members
    assert [m.run.path for m in again] == [m.run.path for m in members]
    assert [path.stat().st_mtime_ns for m in again for path in m.run.path.rglob(DONE)] == done


def keys(value: Any, place: str = "") -> set[str]:
    """Returns the path of every key of a JSON object."""
    if not isinstance(value, dict):
        return {place}
    return {place}.union(*(keys(inner, f"{place}.{key}") for key, inner in value.items()))


def test_json_keeps_the_keys_that_programs_read(written: Path) -> None:
    first = json.loads((WRITTEN / "run.json").read_text())
    shutil.rmtree(written / "run" / "rounds" / "0002")
    with_present_versions(Run(written / "run"))
    again = json.loads(call("resume", written / "run", "--json").stdout)
    kept = {"rounds", "wall_s"}
    assert kept <= set(first) & set(again)
    for then, now in zip(first["rounds"], again["rounds"], strict=True):
        for key in ("round", "honesty", "belief", "neutral_accuracy", "self_honesty",
                    "misaligned_talk"):  # fmt: skip
            assert keys(then[key], key) <= keys(now[key], key)
