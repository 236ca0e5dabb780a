"""2,000 and 20,000 users, one round without update: time per conversation, and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from simulator.loop import simulate
from simulator.config.loading import load
from simulator.store.run import Run
from simulator.runtime.observers import Silent

users, path = int(sys.argv[1]), Path(sys.argv[2])
small = [f"measure.probes.{p}.items_per_set=3" for p in ("honesty", "neutral")]
scenario = load(overrides=[f"population.users={users}", "rounds=1", "backend.threads=1",
                           "learner={kind: none}", *small], biased_frac=0.1)
run = Run.create(path, scenario.model_dump(mode="json"), {})
simulate(scenario, run, Silent())
print(json.dumps({"seconds": run.timing(1)["wall"],
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def measure(users: int, path: Path) -> dict[str, float]:
    command = [sys.executable, "-c", _PROGRAM, str(users), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.benchmark
def test_ten_times_the_users_cost_ten_times_as_much(tmp_path: Path) -> None:
    small, large = measure(2_000, tmp_path / "small"), measure(20_000, tmp_path / "large")
    time_ratio = (large["seconds"] / 20_000) / (small["seconds"] / 2_000)
    memory_ratio = large["peak"] / small["peak"]
    print(f"\ntime per conversation {time_ratio:.2f}x, peak memory {memory_ratio:.2f}x")
    assert time_ratio <= 1.25
    assert memory_ratio <= 2
