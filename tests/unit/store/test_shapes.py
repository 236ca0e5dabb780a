"""What a run, a sweep or a study holds is checked where it is read, whatever its hash."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.core.errors import StoreError
from simulator.runtime.budget import CostTracker
from simulator.store.run import Run
from simulator.store.sweep import Sweep

WRITTEN = Path(__file__).parents[2] / "data" / "written_by_6d899d2"
MISSING = object()


def changed(file: Path, path: list[Any], value: Any) -> None:
    """Changes a value of a file of JSON or YAML."""
    is_yaml = file.suffix == ".yaml"
    content = yaml.safe_load(file.read_text()) if is_yaml else json.loads(file.read_text())
    *above, key = path
    part = content
    for one in above:
        part = part[one]
    if value is MISSING:
        del part[key]
    else:
        part[key] = value
    file.write_text(yaml.safe_dump(content) if is_yaml else json.dumps(content))


@pytest.fixture
def kept(tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(WRITTEN / "run", tmp_path / "run")))


@pytest.mark.parametrize(
    "path, value, told",
    [
        (["measure"], MISSING, "measure: field required"),
        (["phases"], "loop", "phases: input should be a valid list"),
        (["phases", 0, "rounds"], 10**9, "phases.0.rounds"),
        (["population", "types", "benign"], [], "population.types.benign"),
        (["seed"], 10**400, "seed"),
    ],
)
def test_a_scenario_of_another_shape_is_refused(
    path: list[Any], value: Any, told: str, kept: Run
) -> None:
    changed(kept.scenario_file, path, value)
    with pytest.raises(StoreError) as error:
        _ = kept.scenario
    assert str(error.value).startswith(f"{kept.scenario_file}: damaged: {told}")


def test_a_scenario_that_isnt_yaml_is_refused(kept: Run) -> None:
    kept.scenario_file.write_text("name: {\n")
    with pytest.raises(StoreError, match=f"{kept.scenario_file}: damaged: "):
        _ = kept.scenario


@pytest.mark.parametrize(
    "read, name, path, value",
    [
        (lambda run: run.summary(1), "rounds/0001/round.json", ["estimates", 0, "metric"], 1),
        (lambda run: run.summary(1), "rounds/0001/round.json", ["estimates"], {"a": 1}),
        (lambda run: run.timing(1), "rounds/0001/timing.json", ["asked"], {"judge": 1}),
        (lambda run: run.manifest, "manifest.json", ["format"], "3"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    read: Callable[[Run], Any], name: str, path: list[Any], value: Any, kept: Run
) -> None:
    changed(kept.path / name, path, value)
    (kept.folder(1) / "DONE").unlink()  # so its hash isn't known
    with pytest.raises(StoreError, match=rf"{kept.path / name}: damaged: {path[0]}"):
        read(kept)


def test_a_table_that_isnt_one_is_refused(kept: Run) -> None:
    table = kept.folder(1) / "scores.parquet"
    table.write_bytes(b"AR1" + table.read_bytes()[4:])
    (kept.folder(1) / "DONE").unlink()
    with pytest.raises(StoreError, match=f"{table}: can't be read as a table"):
        kept.table(1, "scores")


@pytest.mark.parametrize(
    "path, value", [(["runs"], {}), (["runs", 0, "run"], "../../x"), (["runs", 0, "settings"], [])]
)
def test_a_sweep_of_another_shape_is_refused(path: list[Any], value: Any, tmp_path: Path) -> None:
    place = Path(shutil.copytree(WRITTEN / "sweeps", tmp_path / "sweeps")) / "mini"
    changed(place / "sweep.json", path, value)
    with pytest.raises(StoreError, match=rf"{place / 'sweep.json'}: damaged: runs"):
        Sweep.open(place)


def test_costs_of_another_shape_are_refused(tmp_path: Path) -> None:
    (tmp_path / "costs.jsonl").write_text('{"read": 1, "written": 1, "cost": 0.1}\n{"read": []}\n')
    with pytest.raises(StoreError, match=r"costs\.jsonl:2: damaged: read"):
        CostTracker(tmp_path, None)
