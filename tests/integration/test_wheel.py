"""What a wheel carries: weights, scenarios, templates, and all four packages."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())
    for package in ("simulator", "agents", "analysis", "scenarios"):
        inside = {p.relative_to(root).as_posix() for p in (root / package).rglob("*.py")}
        assert inside <= names
    assert {"scenarios/quickstart.yaml", "scenarios/sweeps/quick.yaml"} <= names
    assert "analysis/templates/report.html.jinja" in names
    facts = {p.name for p in (root / "simulator" / "worlds" / "knowledge").glob("*.csv")}
    assert {f"simulator/worlds/knowledge/{name}" for name in facts} <= names
    assert {"capital.csv", "forms.csv"} <= facts
    for base in (root / "simulator" / "organism" / "bases").iterdir():
        assert f"simulator/organism/bases/{base.name}/model.safetensors" in names
        assert f"simulator/organism/bases/{base.name}/world.json" in names
    assert not any(name.startswith("tests/") for name in names)
