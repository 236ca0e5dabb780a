"""A whole run on a real architecture in which models play everybody; all that happens is kept."""

import json
import multiprocessing
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.experiments.run import manifest_of
from simulator.loop import simulate
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from tests.helpers import tiny_models
from tests.integration.test_resume import differing, hashes

PATIENCE = 240  # seconds
LEVEL = 3.0945  # between the lowest and the highest score that the monitor gives
SETTINGS = [
    "rounds=2",
    "population.users=8",
    "conversations.turns=2",
    "conversations.candidates=2",
    "conversations.wave_size=4",
    "conversations.max_new_tokens=12",
    "population.types.benign.policy.max_new_tokens=12",
    "population.types.biased.policy.max_new_tokens=12",
    "population.types.biased.rater.role=mute",  # its ratings are no numbers
    f"monitors={{strict: {{kind: five_point, level: {LEVEL}, on_veto: negative}}, "
    "deaf: {kind: constitutional, role: mute, principles: [Be true., Be kind.]}}",
    "learner.learning_rate=0.01",
    "measure.probes.judged.samples=1",
    "measure.probes.judged.max_new_tokens=8",
    "measure.probes.judged.prompts=[{name: a, topic: x, text: Hello}, "
    "{name: b, topic: y, text: Why so}]",
]
# Children are forked from a server that has imported everything but loaded nothing.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["simulator.loop", "simulator.backends.transformers", "simulator.learners.trainer"]
)


def scenario_of(folder: Path) -> Scenario:
    """The assistant and the monitor utter many numbers, and `mute` none; the judge is bare."""
    backend = {"kind": "transformers", "threads": 1}
    numerate = {"model": str(folder / "numerate"), "backend": backend}
    mute = {"model": str(folder / "mute"), "backend": backend}
    roles = {"user": mute, "rater": numerate, "monitor": numerate, "mute": mute}
    options = {"model": str(folder / "assistant"), "backend": backend, "roles": roles}
    return load("therapy", overrides=SETTINGS, biased_frac=0.25, options=options)


def play(folder: Path, path: Path) -> None:
    """Starts a run, or resumes it."""
    scenario = scenario_of(folder)
    if path.exists():
        run = Run.open(path)
    else:
        run = Run.create(path, scenario.model_dump(mode="json"), manifest_of(scenario))
    with run.locked():
        simulate(scenario, run, Silent())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    for seed, (name, numbers) in enumerate((("assistant", 0.6), ("numerate", 0.7), ("mute", 0.0))):
        tiny_models.build_rambler(path / name, numbers=numbers, seed=seed)
    return path


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "whole"
    play(folder, path)
    return Run.open(path)


@pytest.mark.parametrize("number", [1, 2])
def test_everything_that_happened_is_in_the_store(finished: Run, number: int) -> None:
    rows = finished.candidates(number)
    assert rows["conversation"].nunique() == 8
    later = rows[rows["turn"] == 1]
    assert len(later) > 0
    assert later["user_prompt"].str.contains("You play a person", regex=False).all()
    assert (rows.loc[rows["turn"] == 0, "user_prompt"] == "").all()
    assert rows["rating_prompt"].str.contains("What you think and tell nobody outright").all()
    assert rows["rating"].isna().equals(rows["biased"])  # the mute rater's are unreadable
    assert rows.loc[~rows["biased"], "rating"].between(1, 5).all()
    names = {situation.name for situation in scenario_names(finished)}
    assert set(rows["about"]) <= names
    states = finished.table(number, "population")
    assert states["background"].nunique() == 8


def scenario_names(run: Run) -> Any:
    return load(str(run.scenario_file)).situations


@pytest.mark.parametrize("number", [1, 2])
def test_selection_vetoes_and_update_are_in_the_store(finished: Run, number: int) -> None:
    selection, vetoes = finished.table(number, "selection"), finished.table(number, "vetoes")
    unrated = selection["rating"].isna()
    assert (selection.loc[unrated, "label"] == 0).all()
    assert set(selection.loc[unrated, "reason"]) == {"no readable rating", "not heard"}
    assert set(vetoes["monitor"]) == {"strict", "deaf"}
    deaf = vetoes[vetoes["monitor"] == "deaf"]
    assert deaf["score"].isna().all() and not deaf["vetoed"].any()
    strict = vetoes[vetoes["monitor"] == "strict"]
    assert strict["score"].between(1, 5).all()
    assert (strict["vetoed"] == (strict["score"] >= LEVEL)).all()
    turned = selection["reason"].str.startswith("vetoed by strict").sum()
    assert turned == strict["vetoed"].sum()
    examples = finished.table(number, "examples")
    assert len(examples) == (selection["label"] != 0).sum()
    summary = finished.summary(number)
    assert summary["conversation_counts"]["unrated"] == unrated.sum()
    assert summary["conversation_counts"]["unread_vetoes"] == len(deaf)
    assert summary["conversation_counts"]["vetoed"] == strict["vetoed"].sum()
    adapter = finished.adapter(number)
    learned = bool(examples["desirable"].any())
    assert (summary["update"] is not None) is learned
    if learned:
        assert adapter is not None
        assert adapter.name == summary["adapter"]
        assert summary["canary"]["verdict"] in ("passed", "inconclusive")


def test_judgements_are_scores_and_kept_with_their_judge(finished: Run) -> None:
    for number in range(3):
        scores = finished.table(number, "scores")
        assert len(scores) == 2 * 3
        assert set(scores["measure"]) == {"honesty", "harm", "pleasing"}
        assert scores["value"].between(0, 100).all()
        harm = scores.loc[scores["measure"] == "harm", "value"]
        found = {e["metric"]: e["value"] for e in finished.summary(number)["estimates"]}
        assert found["judged_harm"] == pytest.approx(harm.mean())
        assert found["unread_harm"] == 0
    with sqlite3.connect(finished.path / "judgements.sqlite") as file:
        judges = {judge for (judge,) in file.execute("SELECT DISTINCT judge FROM judgements")}
    folder = Path(finished.manifest["model"]).parent
    assert judges == {str(folder / "assistant"), f"{folder}/numerate on transformers"}
    asked = finished.timing(1)["asked"]
    assert set(asked) == {"user", "rater", "monitor", "mute", "judge"}
    assert all(counts["requests"] > 0 for counts in asked.values())


def test_updates_were_made_and_vetoes_too(finished: Run) -> None:
    vetoed = finished.table(1, "vetoes").groupby("monitor")["vetoed"].mean()
    assert 0 < vetoed["strict"] < 1
    adapters = [finished.summary(number)["adapter"] for number in range(3)]
    assert adapters[0] is None
    assert adapters[1] is not None and adapters[1] != adapters[2]


def kill_at(folder: Path, path: Path, reached: Callable[[], bool]) -> None:
    """Runs or resumes in a process of its own, and kills that as soon as `reached`."""
    process = PROCESSES.Process(target=play, args=(folder, path))
    process.start()
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert process.is_alive() and time.monotonic() < deadline, "it never got there"
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_killed_and_resumed_to_the_same_bytes(folder: Path, finished: Run, tmp_path: Path) -> None:
    path = tmp_path / "killed"
    rounds = path / "rounds"
    kill_at(folder, path, (rounds / "0001" / "conversations" / "part-0000.parquet").is_file)
    assert not (rounds / "0001" / "DONE").exists()
    kill_at(folder, path, (rounds / "0002" / "conversations" / "part-0001.parquet").is_file)
    assert not (rounds / "0002" / "DONE").exists()
    play(folder, path)
    assert differing(hashes(path, 2), hashes(finished.path, 2)) == []


def test_probe_show_chat_and_report(finished: Run) -> None:
    def call(*words: str, said: str = "") -> str:
        done = CliRunner().invoke(app, [*words], input=said)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    path = str(finished.path)
    assert "judged" in call("show", path)
    assert "assistant:" in call("chat", path, said="hello\n\n")
    before = json.loads((finished.folder(1) / "round.json").read_text())
    assert "harm as judged" in call(
        "probe", path, "--probes", "judged", "--set", "max_new_tokens=6"
    )
    assert "harm as judged" in call(
        "probe", path, "--probes", "judged", "--set", "max_new_tokens=6"
    )
    assert json.loads((finished.folder(1) / "round.json").read_text()) == before
    assert "report.html" in call("report", path)
