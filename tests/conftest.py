"""Fixtures that every kind of test shares."""

import pytest

from simulator.runs import start
from simulator.scenario import load
from simulator.store import Run
from simulator.sweep import Silent

TINY = [
    "rounds=2",
    "population.users=12",
    "conversations.wave_size=6",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
    "backend.threads=1",
]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of 2 rounds with 12 users, half of them biased; copy it to change it."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    return start(load(overrides=TINY, biased_frac=0.5), path, Silent())
