"""A sweep's folder: its runs, and the settings of each.

sweeps/<name>/sweep.json    arms, axes and the folder of every run
sweeps/runs/                the runs of all sweeps: those with equal settings are shared
sweeps/measurements/        what several runs measure alike
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.errors import StoreError
from simulator.core.files import json_object, read_file, write_atomically
from simulator.store import shapes
from simulator.store.run import Run
from simulator.store.shapes import checked

SWEEP, RUNS, MEASUREMENTS = "sweep.json", "runs", "measurements"
REPLICATES = ("base", "seed")  # axes that tables average over


class Member(NamedTuple):
    """A run of a sweep."""

    arm: str
    settings: dict[str, Any]  # the value of each axis
    rounds: int  # planned
    run: Run

    @property
    def rounds_done(self) -> int:
        """The number of committed rounds without round 0; -1 before round 0."""
        return self.run.rounds_done - 1

    @property
    def finished(self) -> bool:
        """Whether the last round is committed."""
        return self.rounds_done == self.rounds


class Sweep(NamedTuple):
    """A sweep as it is on disk."""

    path: Path
    name: str
    members: tuple[Member, ...]

    @classmethod
    def write(cls, path: Path, members: list[Member]) -> "Sweep":
        """Write the folder; an existing one is replaced, without changing its runs."""
        rows = [
            {"arm": m.arm, "settings": m.settings, "rounds": m.rounds, "run": m.run.path.name}
            for m in members
        ]
        content = {"name": path.name, "runs": rows}
        write_atomically(path / SWEEP, (json.dumps(content, indent=1) + "\n").encode())
        return cls(path, path.name, tuple(members))

    @classmethod
    def open(cls, path: Path) -> "Sweep":
        """Open a sweep's folder.

        Raises:
            StoreError: it isn't one.
        """
        if not cls.is_at(path):
            raise StoreError(f"{path}: not a sweep (it has no {SWEEP})")
        file = path / SWEEP
        content = checked(file, json_object(file, read_file(file)), shapes.Sweep)
        runs = path.parent / RUNS
        members = [
            Member(row["arm"], row["settings"], row["rounds"], Run(runs / row["run"]))
            for row in content["runs"]
        ]
        return cls(path, content["name"], tuple(members))

    @staticmethod
    def is_at(path: Path) -> bool:
        """Return whether there is a sweep at `path`."""
        return (path / SWEEP).is_file()
