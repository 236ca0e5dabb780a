"""What endpoints cost: written down as it is spent, and stopped at a cap."""

import json
from pathlib import Path

from simulator.errors import CostCapReached
from simulator.stopwatch import Usage


class Purse:
    """Adds up what a run has spent, earlier starts included."""

    def __init__(self, path: Path, cap: float | None, usage: Usage) -> None:
        self._path, self._cap, self._usage = path, cap, usage
        self._settled = Usage()
        lines = path.read_text().splitlines() if path.is_file() else []
        self.spent = sum(float(json.loads(line)["cost"]) for line in lines)

    def settle(self) -> None:
        """Writes down what was spent since the last time.

        Raises:
            CostCapReached: that was the cap; everything until here is committed.
        """
        now, before = self._usage, self._settled
        if (now.read, now.written) != (before.read, before.written):
            line = {
                "read": now.read - before.read,
                "written": now.written - before.written,
                "cost": now.cost - before.cost,
            }
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.spent += line["cost"]
            self._settled = Usage(now.read, now.written, now.cost)
        if self._cap is not None and self.spent >= self._cap:
            raise CostCapReached(
                f"stopped: endpoints have cost {self.spent:.2f}, and the cap is {self._cap:g}; "
                f"what is done is kept, and 'resume {self._path.parent} --cost-cap MORE' goes on"
            )
