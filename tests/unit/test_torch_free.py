"""What describes and reads runs loads no model library; a process for each package shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers")
PACKAGES = (
    "simulator.core",
    "simulator.config",
    "agents",
    "simulator.probes",
    "simulator.store",
    "analysis",
)
_PROGRAM = f"""
import importlib, pkgutil, sys

package = importlib.import_module(sys.argv[1])
names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{{package.__name__}}.")]
assert names, "an empty package shows nothing"
for name in names:
    importlib.import_module(name)
    for heavy in {HEAVY}:
        if heavy in sys.modules:
            sys.exit(f"{{name}} loads {{heavy}}")
"""


def heavy_import(package: str, *more_paths: Path) -> str:
    """Which module of a package loads a model library; empty if none does."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*more_paths, ROOT)))}
    command = [sys.executable, "-c", _PROGRAM, package]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        assert " loads " in done.stderr, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_loads_no_model_library(package: str) -> None:
    assert heavy_import(package) == ""


@pytest.mark.parametrize("line", ["import torch", "from simulator.models import devices"])
def test_a_planted_import_is_found(tmp_path: Path, line: str) -> None:
    inner = tmp_path / "planted" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner.parent, inner):
        (folder / "__init__.py").touch()
    (inner / "module.py").write_text(f"{line}\n")
    assert heavy_import("planted", tmp_path) == "planted.inner.module loads torch"
