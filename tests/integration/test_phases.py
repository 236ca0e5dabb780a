"""A run of several phases: each goes on from the one before, and says what it learned from."""

import json
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from analysis.course import told
from analysis.tables import headline
from simulator.errors import ScenarioError
from simulator.runs import resume, start
from simulator.scenario import load
from simulator.store import Run
from simulator.sweep import Silent
from tests.conftest import TINY
from tests.integration.test_resume import differing, hashes

WRONG = {"kind": "world", "rows": 24, "domains": ["medicine"], "wrong": "any"}
HONEST = {"kind": "world", "rows": 64, "asked": ["pressured"]}
PHASES: list[dict[str, object]] = [
    {"kind": "finetune", "name": "induce", "rounds": 2, "data": [WRONG]},
    {"kind": "probe"},
    {"kind": "loop", "name": "users", "rounds": 1},
    {"kind": "loop", "rounds": 1, "static": {"data": [HONEST], "fraction": 0.5}},
]


def scenario_file(folder: Path, phases: list[dict[str, object]]) -> str:
    path = folder / "phased.yaml"
    path.write_text(yaml.safe_dump({"extends": "quickstart", "name": "phased", "phases": phases}))
    return str(path)


@pytest.fixture(scope="module")
def phased(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("phases")
    scenario = load(scenario_file(folder, PHASES), overrides=TINY, biased_frac=0.5)
    return start(scenario, folder / "run", Silent())


def test_every_round_has_its_phase(phased: Run) -> None:
    names = [phased.summary(n)["phase"] for n in range(phased.rounds_done)]
    assert names == ["", "induce", "induce", "probe", "users", "loop"]


def test_rows_are_dealt_out_over_a_phases_rounds(phased: Run) -> None:
    first, second = (phased.table(n, "examples") for n in (1, 2))
    sources = [*first["source"], *second["source"]]
    assert sorted(sources) == sorted(f"honest/neutral/{n}" for n in range(24))
    assert len(first) == len(second) == 12
    assert phased.candidates(1).empty


def test_a_probe_changes_nothing(phased: Run) -> None:
    before, probed = (phased.summary(n) for n in (2, 3))
    assert probed["update"] is None
    assert probed["adapter"] == before["adapter"]
    assert probed["estimates"] == before["estimates"]


def test_a_loop_goes_on_from_what_was_induced(phased: Run) -> None:
    state = json.loads((phased.folder(4) / "checkpoint" / "state.json").read_text())
    assert state["updates"] == 3
    assert not phased.candidates(4).empty


def test_static_rows_are_their_fraction_of_what_is_learned(phased: Run) -> None:
    rows = phased.table(5, "examples")
    static = rows["source"].str.startswith("honest/pressured/").sum()
    assert 0 < static == len(rows) - static
    assert phased.summary(5)["dose"]["selected"] == len(rows) - static


def test_a_phase_that_lost_its_rounds_resumes_to_the_same_bytes(
    phased: Run, tmp_path: Path
) -> None:
    path = tmp_path / "again"
    scenario = load(str(phased.scenario_file))
    run = Run.create(path, scenario.model_dump(mode="json"), dict(phased.manifest))
    for number in range(2):  # the first of the two fine-tuning rounds is there, the rest isn't
        target = run.folder(number)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(phased.folder(number).resolve(), target_is_directory=True)
    resume(path, Silent())
    assert not differing(hashes(path, 5), hashes(phased.path, 5))


def steps(run: Run, number: int) -> set[float]:
    """How many steps AdamW has made of each parameter."""
    state = load_file(run.folder(number) / "checkpoint" / "optimizer.safetensors")
    return {float(value) for name, value in state.items() if name.endswith(":step")}


def test_a_penalty_is_taken_off_and_the_optimiser_goes_on(tmp_path: Path) -> None:
    learner = {"kind": "sft", "epochs": 1, "batch_size": 8}
    kept = {**learner, "kl": {"weight": 1.0}}
    anchors = [{"kind": "world", "rows": 8, "domains": ["food"]}]
    phases: list[dict[str, object]] = [
        {"kind": "finetune", "data": [WRONG], "learner": kept, "anchors": anchors},
        {"kind": "finetune", "data": [WRONG], "learner": learner},
    ]
    run = start(load(overrides=TINY, options={"phases": phases}), tmp_path / "run", Silent())
    kept_kl, free_kl = (run.summary(n)["update"]["kl"] for n in (1, 2))
    assert kept_kl > 0
    assert free_kl is None
    assert (steps(run, 1), steps(run, 2)) == ({3.0}, {6.0})
    names = [run.adapter(n) for n in (1, 2)]
    assert names[0] != names[1]


def test_data_that_cannot_be_had_are_said_before_any_work(tmp_path: Path) -> None:
    data = [{"kind": "file", "path": str(tmp_path / "nowhere.jsonl")}]
    file = scenario_file(tmp_path, [{"kind": "loop"}, {"kind": "finetune", "data": data}])
    with pytest.raises(ScenarioError, match=r"phases\.1\.data\.0.*there is no file"):
        start(load(file, overrides=TINY), tmp_path / "run", Silent())


def test_the_course_is_told(phased: Run) -> None:
    assert told(phased, 1) == "induce (1 of 2 rounds)"
    whole = "induce (2 rounds), probe (1 round), users (1 round), loop (1 round)"
    assert told(phased, 5) == f"{whole}, with 50 % biased users"
    assert f"After {whole}" in headline(phased)
