"""What Ray costs beside the local pool: sixteen short arms, the same runs, two at a time.

It is about five seconds for a cluster of this machine, to start and to stop it, whatever runs.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.benchmark
ARMS, PAIRS = 16, 3


def seconds(file: Path, out: Path, *words: str) -> float:
    """The wall time of a whole sweep, from command to report."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "simulator", "sweep", str(file), "--out", str(out), *words],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def test_ray_costs_little_beside_the_pool(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    content = {
        "name": "short",
        "processes": 2,
        "set": {"population.users": 30, "rounds": 4, "backend.threads": 1},
        "over": {"seed": list(range(ARMS))},
        "arms": {"loop": {}},
    }
    file.write_text(yaml.safe_dump(content))
    ratios = []
    for pair in range(PAIRS):
        ray = seconds(file, tmp_path / f"ray{pair}", "--engine", "ray")
        pool = seconds(file, tmp_path / f"pool{pair}")
        ratios.append(ray / pool)
        print(f"{ARMS} short arms, two at a time: Ray {ray:.1f} s, pool {pool:.1f} s")
    ratio = statistics.median(ratios)
    print(f"Ray / pool: {ratio:.2f}")
    assert ratio <= 1.1
