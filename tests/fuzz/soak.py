"""Fuzzes for as long as one likes: `python -m tests.fuzz.soak --cases 20000 --seed 1`.

Prints how many cases of each kind were refused, and each fault once, with its smallest case.
"""

import argparse
import os
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from simulator.config.loading import load
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from tests.conftest import TINY
from tests.fuzz.targets import Target, targets
from tests.helpers.scripted_endpoint import scripted

OURS = ("simulator", "agents", "analysis", "fuzz")


class Fault(NamedTuple):
    """An error that isn't a sentence, and the smallest case that leads to it."""

    told: str
    case: Any


def soak(target: Target, cases: int, seed: int) -> tuple[int, int, list[Fault]]:
    """Runs cases of a target; returns how many, how many were refused, and the faults."""
    faults: dict[str, Fault] = {}
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
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                place = place_of(error)
                told = f"{type(error).__name__} in {place}: {str(error)[:300]}"
                if place not in faults or len(repr(case)) < len(repr(faults[place].case)):
                    faults[place] = Fault(told, case)

    run()
    return count, refused, list(faults.values())


def place_of(error: BaseException) -> str:
    """The last line of ours that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if set(OURS) & set(Path(frame.filename).parts)]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


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
            told = f"{count:,} cases, {refused:,} refused, {len(faults)} faults"
            print(f"{target.name}: {told}, {seconds:.0f} s of CPU", flush=True)
            for fault in faults:
                print(f"  {fault.told}\n    {repr(fault.case)[:600]}", flush=True)


if __name__ == "__main__":
    main()
