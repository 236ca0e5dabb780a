"""A run that is killed anywhere and resumed gives the same bytes as one that never stopped."""

import hashlib
import multiprocessing
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simulator.config.loading import load
from simulator.loop import simulate
from simulator.runtime.observers import Silent
from simulator.store.round_files import RoundFiles
from simulator.store.run import Run
from tests.helpers.planting import differs_by_run

OVERRIDES = [
    "population.users=12",
    "conversations.wave_size=6",
    "measure.probes.honesty.items_per_set=3",
    "measure.probes.neutral.items_per_set=3",
    "measure.probes.small_talk.samples=1",
    "backend.threads=1",
]
PATIENCE = 120  # seconds for what takes a few


def play(path: Path, rounds: int, seed: int = 0) -> None:
    """Starts a run, or resumes it."""
    overrides = [f"rounds={rounds}", *OVERRIDES]
    scenario = load(overrides=overrides, biased_frac=0.5, options={"seed": seed})
    if path.exists():
        run = Run.open(path)
    else:
        run = Run.create(path, scenario.model_dump(mode="json"), {"seed": seed})
    with run.locked():
        simulate(scenario, run, Silent())


# Children are forked from a server that has imported everything but loaded nothing.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["simulator.loop", "simulator.backends.transformers", "simulator.learners.trainer"]
)


def names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*")}


def run_and_kill(path: Path, rounds: int, delay: float) -> bool:
    """Kills a run `delay` seconds after it wrote something new; False if it was done before."""
    before = names(path)
    process = PROCESSES.Process(target=play, args=(path, rounds))
    process.start()
    deadline = time.monotonic() + PATIENCE
    while names(path) <= {*before, ".lock"} and process.is_alive():
        assert time.monotonic() < deadline, "the run writes nothing"
        time.sleep(0.002)
    process.join(delay)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def hashes(path: Path, rounds: int) -> dict[str, str]:
    """The hash of every file of every round, as DONE lists them and as the files are."""
    found = {}
    for number in range(rounds + 1):
        folder = Run.open(path).folder(number)
        listed = RoundFiles(folder).hashes
        for name, digest in listed.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            if not differs_by_run(name):
                found[f"{number}/{name}"] = digest
    return found


def differing(a: dict[str, str], b: dict[str, str]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def delays(span: float, kills: int, seed: int) -> Iterator[float]:
    """Random instants, seeded, such that the run is likely not through after all kills."""
    rng = np.random.default_rng(seed)
    return iter(rng.uniform(0, 2 * span / (kills + 1), size=10 * kills).tolist())


def killed_and_resumed(
    path: Path, rounds: int, span: float, kills: int, seed: int = 7
) -> list[Path]:
    """Kills a run `kills` times; starts another one whenever one gets through before that."""
    runs = [path / "killed0"]
    done = 0
    for delay in delays(span, kills, seed):
        if run_and_kill(runs[-1], rounds, delay):
            done += 1
        else:
            runs.append(path / f"killed{len(runs)}")
        if done == kills:
            break
    assert done == kills
    for run in runs:
        process = PROCESSES.Process(target=play, args=(run, rounds))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == 0
    return runs


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An uninterrupted run of one round, and how long it took."""
    path = tmp_path_factory.mktemp("whole") / "run"
    start = time.monotonic()
    play(path, 1)
    return path, time.monotonic() - start


def test_killed_twice(whole: tuple[Path, float], tmp_path: Path) -> None:
    expected = hashes(whole[0], 1)
    assert any(name.endswith("checkpoint/adapter_model.safetensors") for name in expected)
    for run in killed_and_resumed(tmp_path, 1, whole[1], kills=2):
        assert differing(hashes(run, 1), expected) == []
        assert not [name for name in names(run) if "partial" in name]


def test_a_longer_run_repeats_the_shorter_and_another_seed_differs(
    whole: tuple[Path, float], tmp_path: Path
) -> None:
    """The same command again is identical; so a scenario with more rounds starts alike."""
    again, other = tmp_path / "again", tmp_path / "other"
    play(again, 2)
    assert differing(hashes(again, 1), hashes(whole[0], 1)) == []
    play(other, 1, seed=1)
    different = differing(hashes(other, 1), hashes(whole[0], 1))
    for part in ("scores.parquet", "part-0000.parquet", "adapter_model.safetensors"):
        assert any(name.endswith(part) for name in different), part


def test_resuming_what_is_done_changes_nothing(whole: tuple[Path, float]) -> None:
    path = whole[0]
    before = {name: (path / name).stat().st_mtime_ns for name in names(path)}
    play(path, 1)
    after = {name: (path / name).stat().st_mtime_ns for name in names(path)}
    assert {name for name in after if before.get(name) != after[name]} <= {".lock"}


def check_kills(path: Path, kills: int, seed: int) -> None:
    """Kills runs of three rounds up to ten times each, and compares them with one left alone."""
    start = time.monotonic()
    play(path / "whole", 3)
    span = time.monotonic() - start
    expected = hashes(path / "whole", 3)
    for number, first in enumerate(range(0, kills, 10)):
        folder = path / str(number)
        folder.mkdir()
        times = min(10, kills - first)
        for run in killed_and_resumed(folder, 3, span, times, seed + number):
            assert differing(hashes(run, 3), expected) == []
            assert not [name for name in names(run) if "partial" in name]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_killed_at_sixty_points(part: int, tmp_path: Path) -> None:
    """Fifteen of them in each part, so that several processes share them."""
    check_kills(tmp_path, kills=15, seed=100 * part)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_at_two_hundred_points(tmp_path: Path) -> None:
    check_kills(tmp_path, kills=200, seed=1000)
