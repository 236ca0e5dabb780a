"""Sweeps: arms and axes, shared and resumed runs, and what goes wrong."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.core.errors import ScenarioError, StoreError
from simulator.experiments.executors import Asked
from simulator.experiments.sweep import run_sweep
from simulator.experiments.sweep_config import plan
from simulator.experiments.sweep_progress import progress_table
from simulator.models.resolve import resolve
from simulator.store.run import Run
from simulator.store.sweep import Sweep
from tests.conftest import TINY

SETTINGS: dict[str, Any] = {
    key: yaml.safe_load(value) for key, _, value in (line.partition("=") for line in TINY)
}


def write(folder: Path, **changes: Any) -> str:
    content = {
        "name": "small",
        "processes": 2,
        "set": {**SETTINGS, "rounds": 1},
        "over": {"seed": [0]},
        "arms": {
            "loop": {"over": {"biased_frac": [0.0, 0.5]}},
            "again": {"over": {"biased_frac": [0.5]}},
            "no_update": {"set": {"learner": {"kind": "none"}}, "over": {"biased_frac": [0.5]}},
        },
        **changes,
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def test_a_sweep_shares_runs_and_reuses_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    sweep = run_sweep(file, out)
    lines = capfd.readouterr().err.splitlines()  # its processes are silent
    assert lines[0] == f"{out / 'small'}: 3 of 3 runs to do" and len(lines) == 4
    assert re.fullmatch(
        r"(loop|no_update), seed 0, biased_frac 0\.[05]: honest under pressure 0\.\d\d talked about"
        r".*; 1 of 3 runs done, about \d+ s left",
        lines[1],
    )
    assert lines[3].endswith("; 3 of 3 runs done")
    assert [(m.arm, m.settings) for m in sweep.members] == [
        ("loop", {"seed": 0, "biased_frac": 0.0}),
        ("loop", {"seed": 0, "biased_frac": 0.5}),
        ("again", {"seed": 0, "biased_frac": 0.5}),
        ("no_update", {"seed": 0, "biased_frac": 0.5}),
    ]
    first, second, same, still = (member.run for member in sweep.members)
    assert second.path == same.path and len(list((out / "runs").iterdir())) == 3
    assert all(member.finished for member in sweep.members)
    assert first.adapter(1) and second.adapter(1) and still.adapter(1) is None
    opened = Sweep.open(out / "small").members
    assert [m.run.path for m in opened] == [m.run.path for m in sweep.members]
    assert [m[:3] for m in opened] == [m[:3] for m in sweep.members]
    assert not [path for path in out.rglob("*") if path.stat().st_mode & 0o077]  # its owner's alone
    table = progress_table(sweep)
    assert table.row_count == 4
    written = {path: path.stat().st_mtime_ns for path in out.rglob("DONE")}
    run_sweep(file, out, Asked(processes=1))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("DONE")} == written


def test_mistakes_stop_a_sweep_before_it_starts(tmp_path: Path) -> None:
    unknown = write(tmp_path, arms={"loop": {"over": {"biased_fraction": [0.1]}}})
    with pytest.raises(ScenarioError, match="biased_fraction"):
        run_sweep(unknown, tmp_path / "out")
    typo = write(tmp_path, arm={})
    with pytest.raises(ScenarioError, match=r"small\.yaml:\d+: arm: "):
        plan(Path(typo))
    assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError, match="not a sweep"):
        Sweep.open(tmp_path)


def test_settings_arrive_as_they_were_written(tmp_path: Path) -> None:
    given = {
        "learner.learning_rate": 2e-05,
        "measure.every": 2,
        "name": "a-b",
        "description": "é: no",
    }
    file = write(tmp_path, arms={"loop": {"set": given}})
    (cell,) = plan(Path(file))[1]
    assert cell.scenario.learner.model_dump()["learning_rate"] == 2e-05
    assert (cell.scenario.measure.every, cell.scenario.name) == (2, "a-b")
    assert cell.scenario.description == "é: no"


def started(file: str, out: Path) -> "subprocess.Popen[str]":
    """Starts a sweep as a user would, and waits for the first committed round."""
    command = [sys.executable, "-m", "simulator", "sweep", file, "--out", str(out)]
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    deadline = time.monotonic() + 120
    while not list(out.rglob("DONE")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def alone(process: "subprocess.Popen[str]") -> bool:
    """Do all other processes of the sweep end, too?"""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    process = started(file, out)
    process.kill()  # the parent alone: its pool must follow
    process.communicate()
    assert alone(process)
    kept = {path: path.read_bytes() for path in out.rglob("DONE")}
    assert kept
    sweep = run_sweep(file, out)
    assert all(member.finished for member in sweep.members)
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_an_interrupted_sweep_stops_at_once(tmp_path: Path) -> None:
    file, out = write(tmp_path, set={**SETTINGS, "rounds": 40}), tmp_path / "out"
    process = started(file, out)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on" in told and "Traceback" not in told
    assert alone(process)


def test_a_run_that_fails_is_named_and_the_others_finish(tmp_path: Path) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    _, cells = plan(Path(file))
    broken = out / "runs" / cells[0].folder
    broken.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"1 of 4 runs failed; .*not a run directory"):
        run_sweep(file, out)
    assert Run(out / "runs" / cells[3].folder).rounds_done == 2


@pytest.mark.parametrize("file", sorted(Path("scenarios/sweeps").glob("*.yaml")), ids=str)
def test_shipped_sweeps_are_valid(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file.resolve()
    monkeypatch.chdir(tmp_path)
    for name in ("honest", "blank"):  # the bases that ablations.yaml says to build first
        shutil.copytree(resolve("organism:0").path, tmp_path / "bases" / name)
    config, cells = plan(file)
    assert config.name == file.stem
    folders = {cell.folder for cell in cells}
    assert len(folders) == len(cells), "two arms of one sweep run the same"


def test_sweeps_share_what_they_can() -> None:
    main = {cell.folder for cell in plan(Path("scenarios/sweeps/dose_response.yaml"))[1]}
    for name, shared in (("controls", 27), ("sensitivity", 18)):
        folders = {cell.folder for cell in plan(Path(f"scenarios/sweeps/{name}.yaml"))[1]}
        assert len(main & folders) == shared
