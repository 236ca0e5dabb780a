"""Fuzzes for as long as one likes: `python -m tests.fuzz.soak --cases 20000 --seed 1`.

Prints how many cases of each kind were refused, and each different fault once, with its smallest case.
"""

import argparse
import os
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from simulator.config.loading import load
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from tests.conftest import TINY
from tests.fuzz.targets import Target, targets
from tests.helpers.scripted_endpoint import scripted


def soak(target: Target, cases: int, seed: int) -> tuple[int, int, dict[str, tuple[str, Any]]]:
    """Runs cases of a target; returns how many, how many were refused, and the faults."""
    faults: dict[str, tuple[str, Any]] = {}
    count = refused = 0

    @settings(max_examples=cases, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @hypothesis.seed(seed)
    @given(target.cases)
    def run(case: Any) -> None:
        nonlocal count, refused
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            try:
                refused += target.run(case, Path(folder))
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                where = [
                    f
                    for f in traceback.extract_tb(error.__traceback__)
                    if "/simulator/" in f.filename
                    or "/agents/" in f.filename
                    or "/analysis/" in f.filename
                ]
                last = where[-1] if where else traceback.extract_tb(error.__traceback__)[-1]
                said = (
                    str(error).replace(folder, "")[:50] if isinstance(error, AssertionError) else ""
                )
                key = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno} {said}"
                if key not in faults or len(repr(case)) < len(repr(faults[key][1])):
                    faults[key] = (f"{key} {str(error)[:300]}", case)

    run()
    return count, refused, faults


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, scripted() as server:
        run = start(load(overrides=TINY, biased_frac=0.5), Path(folder) / "run", Silent())
        for target in targets(run.path, server):
            if asked.only and target.name not in asked.only.split(","):
                continue
            started = time.process_time()
            count, refused, faults = soak(target, round(asked.cases * target.share), asked.seed)
            seconds = time.process_time() - started
            print(
                f"{target.name}: {count:,} cases, {refused:,} refused, {len(faults)} faults, {seconds:.0f} s of CPU",
                flush=True,
            )
            for told, case in faults.values():
                print(f"  {told}\n    {repr(case)[:600]}", flush=True)


if __name__ == "__main__":
    main()
