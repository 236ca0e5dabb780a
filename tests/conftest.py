"""Fixtures that every kind of test shares."""

from typing import Any

import pytest

from simulator.loop import simulate
from simulator.scenario import load
from simulator.store import Run

TINY = [
    "rounds=2",
    "population.users=12",
    "conversations.wave_size=6",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
    "backend.threads=1",
]


class Silent:
    """An observer that shows nothing."""

    def stage(self, number: int, what: str) -> None:
        pass

    def wave(self, conversations: int, tokens: int) -> None:
        pass

    def round(self, number: int, summary: dict[str, Any]) -> None:
        pass


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of 2 rounds with 12 users, half of them biased; copy it to change it."""
    scenario = load(overrides=TINY, biased_frac=0.5)
    manifest = {"name": "tiny", "seed": scenario.seed, "determinism": "exact"}
    path = tmp_path_factory.mktemp("runs") / "tiny"
    run = Run.create(path, scenario.model_dump(mode="json"), manifest)
    simulate(scenario, run, Silent())
    return run
