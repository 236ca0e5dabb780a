"""What checking costs: the time of hashes in the main command, and growth over forty rounds."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.config.loading import load
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from simulator.store.round_files import RoundFiles

pytestmark = pytest.mark.benchmark
FORTY = """
import json, sys, time
from pathlib import Path
from simulator.config.loading import load
from simulator.experiments.run import start
from simulator.runtime.observers import Silent

class Watch(Silent):
    def __init__(self):
        self.rounds = []
    def round(self, record):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.rounds.append({"memory": pages, "time": time.process_time()})

watch = Watch()
overrides = ["rounds=40", "backend.threads=1", "measure.every=40"]
done = start(load(overrides=overrides, biased_frac=0.1), Path(sys.argv[1]), watch)
timings = [done.timing(n) for n in range(1, 41)]
outside = [t["wall"] - t["model"] - t["learner"] for t in timings]
print(json.dumps({"memory": [r["memory"] for r in watch.rounds], "outside": outside}))
"""


def test_checking_takes_little_of_the_main_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and writing of a round's files counts whole, though most of it isn't hashing."""
    spent, depth = 0.0, 0

    def timed(name: str) -> None:
        real: Callable[..., Any] = getattr(RoundFiles, name)

        def method(*given: Any) -> Any:
            nonlocal spent, depth
            started, depth = time.perf_counter(), depth + 1
            try:
                return real(*given)
            finally:
                depth -= 1
                spent += 0 if depth else time.perf_counter() - started

        monkeypatch.setattr(RoundFiles, name, method)

    for name in ("read", "check", "check_folder", "write", "commit", "holds", "below"):
        timed(name)
    started = time.perf_counter()
    start(load(biased_frac=0.1), tmp_path / "run", Silent())
    share = spent / (time.perf_counter() - started)
    print(f"\nfiles of rounds: {spent:.2f} s, {share:.1%} of the run")
    assert share <= 0.02


def test_forty_rounds_cost_alike(tmp_path: Path) -> None:
    """Replies differ in length from round to round, so the time outside the model is compared.

    Disks and other processes only ever add to it, so lower quartiles tell. Memory is compared with
    that of round 15: until then, libraries keep what each new shape of a batch needs.
    """
    command = [sys.executable, "-c", FORTY, str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    memory = found["memory"][-1] / found["memory"][14]
    early, late = found["outside"][5:20], found["outside"][-16:-1]  # the last one is measured
    ratio = float(np.quantile(late, 0.25) / np.quantile(early, 0.25))
    print(f"\nmemory after round 40 ÷ round 15: {memory:.3f}, time outside the model: {ratio:.2f}")
    assert memory <= 1.02
    assert ratio <= 1.05
