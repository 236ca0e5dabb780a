"""The costs of endpoints: recorded with every answer, and stopped at a cap.

costs.jsonl            tokens and cost of every commit, and of each answer since the last one
cost_caps.jsonl        the caps of resumed runs; the last one applies
paid_answers.jsonl     the answers since the last commit; see `simulator.store.paid_answers`
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator.backends.ledger import Spent
from simulator.core.errors import CostCapReached
from simulator.core.files import append_line, lines_of, write_atomically
from simulator.store.paid_answers import PaidAnswers
from simulator.store.run import COSTS
from simulator.store.shapes import Cap, Cost, checked_lines

CAPS = "cost_caps.jsonl"
ANSWERS = "paid_answers.jsonl"


class CostTracker:
    """Adds up a run's costs, including those before it was resumed, and keeps paid answers."""

    def __init__(self, folder: Path, cap: float | None, answers: Path | None = None) -> None:
        """Read what a run has cost so far.

        Args:
            folder: the run directory.
            cap: the scenario's; a later one of the run applies instead.
            answers: the folder of the answers since the last commit; by default the run's.
        """
        self._folder = folder
        caps = [
            float(line["cap"])
            for line in checked_lines(folder / CAPS, lines_of(folder / CAPS), Cap)
        ]
        self.cap = caps[-1] if caps else cap
        self._lines = checked_lines(folder / COSTS, lines_of(folder / COSTS), Cost)
        self._answers = PaidAnswers((answers or folder) / ANSWERS)

    @property
    def spent(self) -> float:
        """The cost of all answers."""
        return sum(float(line["cost"]) for line in self._lines)

    def recall(self, key: str) -> Mapping[str, Any] | None:
        """Return an answer since the last commit, which an earlier process has paid for."""
        return self._answers.recall(key)

    def enter(self, key: str, answer: Mapping[str, Any], spent: Spent, cost: float) -> None:
        """Record the cost of an answer, and keep the answer until the next commit."""
        line = {"read": spent.read, "written": spent.written, "cost": cost}
        line |= {"estimated": True} if spent.estimated else {}
        self._lines.append(line | {"committed": False})
        append_line(self._folder / COSTS, self._lines[-1])
        self._answers.keep(key, answer)

    def record(self) -> None:
        """Note a commit: what was spent since the last one becomes one entry."""
        open_lines = [line for line in self._lines if line.get("committed") is False]
        if open_lines:
            done = [line for line in self._lines if "committed" not in line]
            self._lines = [*done, *_summed(open_lines)]
            text = "".join(json.dumps(line) + "\n" for line in self._lines)
            write_atomically(self._folder / COSTS, text.encode())
        self._answers.clear()

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
    append_line(folder / CAPS, {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cap": cap})


def _summed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry for what endpoints reported, and one for what was estimated."""
    found = []
    for more in ({}, {"estimated": True}):
        alike = [line for line in lines if bool(more) == line.get("estimated", False)]
        if alike:
            total = {name: sum(line[name] for line in alike) for name in ("read", "written")}
            found.append({**total, "cost": sum(line["cost"] for line in alike), **more})
    return found
