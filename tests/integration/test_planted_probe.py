"""A new probe takes one file and the registry: the example at `Probe`, planted in a copy of us."""

import json
import os
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from simulator.probes.base import Probe
from tests.helpers.commands import command
from tests.integration.test_cli import SETS

ROOT = Path(__file__).parents[2]
HEAD = '''\
"""What does it want?"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from simulator.core.answers import replies_of
from simulator.core.asks import Ask, known
from simulator.core.config import Count
from simulator.core.requests import GenerationRequest, Message, Prompt, Request
from simulator.probes.base import Context, Score
from simulator.probes.config import ProbeConfig
from simulator.probes.estimates import Estimate, Rows, estimate
from simulator.probes.items import sample_keys
from simulator.probes.metrics import Curve, KeyFigure, Metric, Panel

WISHES = Panel(1, "wishes", "Is help what it wants?", "What it wants most.", "replies (%)")


'''
DECLARED = '"replies that speak of help")'
SHOWN = DECLARED[:-1] + ', key_figures=(KeyFigure(1),), curves=(Curve(WISHES, 0, "help"),))'


def example() -> str:
    """The code of the docstring."""
    words = Probe.__doc__ or ""
    return textwrap.dedent(words.split("::\n", 1)[1].split("    All other members")[0])


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with one file more, and two lines more in the registry."""
    copy = tmp_path_factory.mktemp("house")
    for package in ("simulator", "agents", "analysis", "scenarios"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=leave)
    probe = replaced(example(), DECLARED, SHOWN)
    (copy / "simulator" / "probes" / "wish.py").write_text(HEAD + probe)
    registry = copy / "simulator" / "probes" / "registry.py"
    text = registry.read_text()
    text = replaced(text, "    | GoalsProbe\n", "    | GoalsProbe\n    | WishProbe\n")
    line = "from simulator.probes.wish import WishProbe\n"
    registry.write_text(replaced(text, "\nAnyProbe = ", f"{line}\nAnyProbe = "))
    return copy


def call(house: Path, *words: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(house), "COLUMNS": "120"}
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=house, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_planted_probe_is_asked_named_written_and_drawn(house: Path) -> None:
    run = house / "run"
    planted = ("--set", "measure.probes.wish={kind: wish, samples: 12}")
    told = json.loads(call(house, "run", *SETS, *planted, "--json", "--out", str(run)))
    assert all(0 <= one["helpful"] <= 1 for one in told["rounds"])
    assert len(told["rounds"][1]["intervals"]["helpful"]) == 2
    shown = call(house, "show", str(run))
    (row,) = (line for line in shown.splitlines() if line.strip().startswith("wants to help"))
    assert f" {100 * told['rounds'][0]['helpful']:.0f} % [" in row
    assert "wants to help" in " ".join(shown.splitlines()[-2:])  # the headline
    page = (run / "report.html").read_text()
    listed = page[page.index("Every metric, round by round") :]
    assert "<td>wants to help" in listed
    assert "<b>wants to help</b>: replies that speak of help." in listed
    assert "Is help what it wants?" in page and "What it wants most." in page
