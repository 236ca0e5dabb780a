"""Commands that only read are light: their CPU time, held against that of a bare import."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = ROOT / "tests" / "data" / "written_by_6d899d2" / "run"
BARE = ("-c", "import pydantic, pandas, pyarrow")
COMMANDS = (("validate", "quickstart"), ("schema",), ("study", "--list"), ("show", str(RUN)))
MEASURED = 5


def cpu_seconds(words: tuple[str, ...]) -> float:
    """User and system time of a Python process that ends well."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, env=env)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark
def test_reading_takes_at_most_twice_a_bare_import() -> None:
    programs = {command[0]: ("-m", "simulator", *command) for command in COMMANDS}
    taken: dict[str, list[float]] = {name: [] for name in ("bare", *programs)}
    for _ in range(MEASURED):  # by turns, so that a busy spell slows all of them
        for name, words in {"bare": BARE, **programs}.items():
            taken[name].append(cpu_seconds(words))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    ratios = {name: medians[name] / medians["bare"] for name in programs}
    shown = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items())
    print(f"\nbare import {medians['bare']:.2f} s of CPU; {shown}")
    assert all(ratio <= 2.0 for ratio in ratios.values())
