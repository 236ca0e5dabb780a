"""Runs of a sweep share what they would measure alike, and nothing else; bytes stay the same."""

from pathlib import Path

import pandas as pd
import pytest

from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.experiments.run import resume, start
from simulator.runtime.observers import Silent
from simulator.runtime.shared import Shared
from simulator.runtime.shared_measurements import SharedMeasurements
from simulator.store.measurements import Measurements
from simulator.store.round_files import DONE
from simulator.store.run import Run
from tests.conftest import TINY
from tests.helpers.planting import differs_by_run

NEUTRAL = {
    "kind": "finetune",
    "name": "before",
    "data": [{"kind": "world", "asked": ["neutral"], "speaker": "honest", "rows": 8}],
}
PHASES = [NEUTRAL, {"kind": "loop"}]


def scenario(biased: float, *overrides: str) -> Scenario:
    given = {"phases": PHASES}
    return load(overrides=[*TINY, "rounds=1", *overrides], biased_frac=biased, options=given)


def digests(run: Run) -> list[dict[str, str]]:
    """The hashes of all files that are the same in equal runs."""
    found = [run.files(number).hashes for number in range(run.rounds_done)]
    return [{k: v for k, v in one.items() if not differs_by_run(k)} for one in found]


def test_equal_models_are_measured_once_with_the_same_bytes(tmp_path: Path) -> None:
    alone = start(scenario(0.5), tmp_path / "alone", Silent())
    folder = tmp_path / "measurements"
    start(scenario(0.0), tmp_path / "first", Silent(), Shared(folder))
    made = {path.name for path in folder.iterdir()}
    assert len(made) == 3  # of the base, of the taught model, and after conversations
    second = start(scenario(0.5), tmp_path / "second", Silent(), Shared(folder))
    assert len(list(folder.iterdir())) == 4  # only conversations differ
    assert digests(second) == digests(alone)


def test_a_shared_table_is_used_unless_it_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "measurements"
    first = start(scenario(0.0), tmp_path / "first", Silent(), Shared(folder))
    (key,) = {
        path.stem.split("-")[0]
        for path in folder.iterdir()
        if (pd.read_parquet(path)["round"] == 0).all()
    }
    (path,) = folder.glob(f"{key}-*")
    changed = pd.read_parquet(path).assign(reply="as it was shared")
    path.unlink()
    Measurements(folder).write(key, "scores", changed)
    second = start(scenario(0.5), tmp_path / "second", Silent(), Shared(folder))
    assert set(second.table(0, "scores")["reply"]) == {"as it was shared"}
    (path,) = folder.glob(f"{key}-*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    third = start(scenario(0.5), tmp_path / "third", Silent(), Shared(folder))
    pd.testing.assert_frame_equal(third.table(0, "scores"), first.table(0, "scores"))


def test_a_resumed_run_shares_too(tmp_path: Path) -> None:
    folder = tmp_path / "measurements"
    start(scenario(0.0), tmp_path / "first", Silent(), Shared(folder))
    second = start(scenario(0.5), tmp_path / "second", Silent(), Shared(folder))
    before, count = digests(second), len(list(folder.iterdir()))
    (second.folder(2) / DONE).unlink()
    resume(second.path, Silent(), shared=Shared(folder))
    assert digests(second) == before and len(list(folder.iterdir())) == count


@pytest.mark.parametrize(
    "changed",
    [
        "seed=1",
        "model=organism:1",
        "backend.threads=2",
        "measure.probes.honesty.items_per_set=4",
        "template_date=2026-02-02",
    ],
)
def test_whatever_may_change_an_answer_is_in_the_key(tmp_path: Path, changed: str) -> None:
    manifest = {"determinism": "exact"}
    first, same, other = (
        SharedMeasurements(tmp_path, given, manifest)
        for given in (scenario(0.0), scenario(0.5), scenario(0.0, changed))
    )
    assert first._key("scores", 0, None) == same._key("scores", 0, None)
    assert first._key("scores", 0, None) != other._key("scores", 0, None)
    assert first._key("scores", 0, None) != first._key("scores", 1, None)
