"""A run that fails before anything is computed leaves nothing that bars the corrected command."""

from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.errors import BackendError, Interrupted, StoreError
from simulator.core.requests import Message, NumberRequest, Numbers, Prompt
from simulator.experiments.run import manifest_of, start
from simulator.experiments.unstarted import is_unstarted, remove_unstarted, removed_if_unstarted
from simulator.runtime.observers import Silent
from simulator.simulation.answer_cache import AnswerCache
from simulator.store.run import Run
from tests.conftest import TINY


class Stopped(Silent):
    """Someone presses Ctrl-C at a stage of the run."""

    def __init__(self, number: int, what: str) -> None:
        self.at = number, what

    def stage(self, number: int, what: str) -> None:
        if (number, what) == self.at:
            raise KeyboardInterrupt


def scenario(*more: str) -> Scenario:
    return load(overrides=[*TINY, "rounds=1", *more], biased_frac=0.5)


def made(path: Path) -> Run:
    """A run's directory as it is before the model is loaded."""
    return Run.create(path, scenario().model_dump(mode="json"), manifest_of(scenario()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_the_corrected_command_works(path: Path) -> None:
    with pytest.raises(BackendError, match="cuda:99"):
        start(scenario("backend.device=cuda:99"), path, Silent())
    assert not path.exists()
    assert start(scenario(), path, Silent()).rounds_done == 2


@pytest.mark.parametrize("what", ["loading the model", "probes"])
def test_ctrl_c_before_anything_is_computed(path: Path, what: str) -> None:
    with pytest.raises(Interrupted, match="before anything was computed; start it again"):
        start(scenario(), path, Stopped(0, what))
    assert not path.exists()


def test_ctrl_c_later_keeps_what_is_done(path: Path) -> None:
    with pytest.raises(Interrupted, match=f"resume {path}' goes on"):
        start(scenario(), path, Stopped(1, "conversations"))
    assert Run.open(path).rounds_done == 1
    with pytest.raises(StoreError, match="already exists"):
        start(scenario(), path, Silent())
    assert Run.open(path).rounds_done == 1


def test_a_killed_start_is_replaced(path: Path) -> None:
    made(path)
    (path / "server.log").write_text("killed")
    (path / "left_out_rows.jsonl").write_text("{}")
    other = scenario("seed=7")
    assert start(other, path, Silent()).scenario["seed"] == 7


def test_a_start_that_another_process_works_on_stays(path: Path) -> None:
    with made(path).locked(), pytest.raises(StoreError, match="another process is working on"):
        start(scenario(), path, Silent())
    assert Run.open(path).rounds_done == 0


def test_the_log_of_a_failed_server_is_kept(path: Path) -> None:
    run = made(path)
    log = path / "server.log"
    with pytest.raises(BackendError) as caught, removed_if_unstarted(run):
        log.write_text("no such option")
        raise BackendError(f"the server ended with code 2: no such option (see {log})")
    kept = path.with_name("run.server.log")
    assert str(caught.value) == f"the server ended with code 2: no such option (see {kept})"
    assert kept.read_text() == "no such option" and not path.exists()


@pytest.mark.parametrize("name", ["costs.jsonl", "rounds/0000/scores.parquet", "notes.txt"])
def test_whatever_else_is_there_is_work(path: Path, name: str) -> None:
    made(path)
    file = path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert not is_unstarted(path)
    remove_unstarted(path)
    assert file.exists()


@pytest.mark.parametrize("answered", [False, True])
def test_answers_that_were_paid_for_are_work(path: Path, answered: bool) -> None:
    made(path)
    cache = AnswerCache(path / "judgements.sqlite")
    cache.answer("judge", [], lambda requests: [])
    assert is_unstarted(path)
    if answered:
        asked = [NumberRequest(Prompt((Message("user", "?"),)), 1, 2)]
        cache.answer("judge", asked, lambda requests: [Numbers({1: 1.0}, 1.0, "1")])
        assert not is_unstarted(path)


def test_folders_that_are_no_runs_are_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "server.log").touch()
    assert not is_unstarted(path)
