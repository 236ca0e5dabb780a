"""What the project says of its versions agrees, wherever it says it."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

import simulator

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMED = [
    Requirement(line)
    for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"])
]


def test_constraints_are_versions_that_the_project_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {}
    for one in kept:
        (pin,) = one.specifier
        assert pin.operator == "==" and "+" not in pin.version
        versions[one.name.lower()] = pin.version
    for needed in NAMED:
        assert needed.specifier.contains(versions[needed.name.lower()]), needed


def test_the_way_to_the_cpu_build_asks_for_the_projects_torch() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (asked,) = re.findall(r"pip install '(torch[^']*)' --index-url", page)
    (torch,) = [one for one in NAMED if one.name == "torch"]
    assert Requirement(asked) == torch


def test_the_version_is_the_same_everywhere() -> None:
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited and cited[1] == PROJECT["version"] == simulator.__version__
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
