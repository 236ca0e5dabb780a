"""Measuring once what several runs of a sweep would measure alike.

Runs that differ in their users alone have the same base, and the same fine-tuning before they meet
their users. Equal models that are asked equal questions answer equally, so each such measurement is
made once. What a table depends on is its key: all settings but those that only conversations and
updates see, the versions, and the adapter's bytes.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from simulator.core.adapters import Adapter
from simulator.core.files import file_sha256
from simulator.store.measurements import SHOWN, Measurements
from simulator.store.run import LEFT_OUT

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

# A setting that isn't named here counts.
BESIDES = (
    "name", "description", "rounds", "phases", "population", "conversations", "selection",
    "monitors", "screening", "learner", "measure", "cost_cap",
)  # fmt: skip
MANIFEST_BESIDES = ("started", "scenario", "biased_share", LEFT_OUT)
WEIGHTS = ("adapter_config.json", "*.safetensors")  # of an adapter
STATE = "optimizer.safetensors"


class SharedMeasurements:
    """The measurements of one run, some of which other runs have made, or will use."""

    def __init__(self, folder: Path | None, scenario: "Scenario", manifest: dict[str, Any]) -> None:
        """Look into a folder; without one, or where answers may differ, nothing is shared."""
        exact = manifest.get("determinism") == "exact"
        probes = scenario.measure.probes.values()
        judged = any(probe.roles for probe in probes)  # their answers are kept in the run
        self._kept = Measurements(folder) if folder and exact and not judged else None
        self._content = {
            "scenario": scenario.model_dump(mode="json", exclude=set(BESIDES)),
            "probes": scenario.model_dump(mode="json")["measure"]["probes"],
            "manifest": {k: v for k, v in manifest.items() if k not in MANIFEST_BESIDES},
        }
        if any(probe.phases for probe in probes):  # they ask about what was taught
            self._content["phases"] = scenario.model_dump(mode="json")["phases"]

    def table(
        self, name: str, number: int, adapter: Adapter | None, measure: Callable[[], pd.DataFrame]
    ) -> pd.DataFrame:
        """Return a table of measurements; make it if no run has.

        Args:
            name: of its schema.
            number: of the round.
            adapter: that is served; None for the base.
            measure: makes the table.
        """
        if self._kept is None:
            return measure()
        key = self._key(name, number, adapter)
        found = self._kept.read(key)
        if found is None:
            found = measure()
            self._kept.write(key, name, found)
        return found

    def _key(self, name: str, number: int, adapter: Adapter | None) -> str:
        files = [p for w in WEIGHTS for p in adapter.path.glob(w)] if adapter else []
        weights = {p.name: file_sha256(p) for p in files if p.name != STATE}
        content = {**self._content, "table": name, "round": number, "adapter": weights}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:SHOWN]
