"""The costs of endpoints: recorded at every commit, and stopped at a cap.

costs.jsonl       tokens and cost of every commit
cost_caps.jsonl   the caps of resumed runs; the last one applies
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator.core.errors import CostCapReached
from simulator.core.timing import Usage
from simulator.store.run import COSTS

CAPS = "cost_caps.jsonl"


class CostTracker:
    """Adds up a run's costs, including those before it was resumed."""

    def __init__(self, folder: Path, cap: float | None, usage: Usage) -> None:
        self._folder, self._usage = folder, usage
        self._recorded = Usage()
        caps = [float(line["cap"]) for line in _lines(folder / CAPS)]
        self.cap = caps[-1] if caps else cap
        self.spent = sum(float(line["cost"]) for line in _lines(folder / COSTS))

    def record(self) -> None:
        """Record the costs since the last record."""
        now, before = self._usage, self._recorded
        if (now.read, now.written) == (before.read, before.written):
            return
        spent = now.cost - before.cost
        line = {"read": now.read - before.read, "written": now.written - before.written}
        _add(self._folder / COSTS, {**line, "cost": spent})
        self.spent += spent
        self._recorded = Usage(now.read, now.written, now.cost)

    def check(self) -> None:
        """Stop the run once the cap is reached.

        Raises:
            CostCapReached: the cap is reached; all work so far is committed.
        """
        if self.cap is not None and self.spent >= self.cap:
            raise CostCapReached(
                f"stopped: endpoints have cost {self.spent:.2f}, and the cap is {self.cap:g}; "
                f"what is done is kept, and 'resume {self._folder} --cost-cap MORE' goes on"
            )


def note_cap(folder: Path, cap: float) -> None:
    """Record a new cap, without changing the run's scenario."""
    _add(folder / CAPS, {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cap": cap})


def _add(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines()]
