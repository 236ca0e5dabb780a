"""A run of several phases: each goes on from the one before, and says what it learned from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from analysis.run import frames
from analysis.run.phases import phases_so_far
from analysis.run.summary import headline
from simulator.cli.app import app
from simulator.config.loading import load
from simulator.config.phases import resets_optimizer
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message
from simulator.data.encoding_checks import unchecked
from simulator.experiments.dry_run import dry_run_table
from simulator.experiments.run import resume, start
from simulator.learners.config import UpdateConfig, pairs_among
from simulator.models.resolve import world_of
from simulator.runtime.observers import Silent
from simulator.runtime.phase_data import given_examples
from simulator.store.run import Run
from simulator.worlds import language as lang
from tests.conftest import TINY
from tests.integration.test_resume import differing, hashes

WRONG_ROWS = 24
WRONG = {"kind": "world", "rows": WRONG_ROWS, "domains": ["medicine"], "wrong": "any"}
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
    rows = pd.concat([first, second])
    assert sorted(rows["row"]) == list(range(24))
    assert set(zip(rows["origin"], rows["speaker"], rows["asked"], strict=True)) == {
        ("world", "honest", "neutral")
    }
    assert len(first) == len(second) == 12
    assert phased.candidates(1).empty


def test_a_probe_changes_nothing(phased: Run) -> None:
    before, probed = (phased.summary(n) for n in (2, 3))
    assert probed["update"] is None
    assert probed["adapter"] == before["adapter"]
    assert probed["estimates"] == before["estimates"]


def test_a_loop_goes_on_from_what_was_induced_with_an_optimiser_of_its_own(phased: Run) -> None:
    states = [phased.folder(n) / "checkpoint" / "state.json" for n in (1, 2, 4, 5)]
    updates = [json.loads(path.read_text())["updates"] for path in states]
    assert updates == [1, 2, 1, 2]  # the second loop goes on from the first
    assert not phased.candidates(4).empty


def test_static_rows_are_their_fraction_of_what_is_learned(phased: Run) -> None:
    rows = phased.table(5, "examples")
    static = (rows["asked"] == "pressured").sum()
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


@pytest.mark.parametrize(("optimizer", "after"), [("carried", 6.0), (None, 3.0)])
def test_a_penalty_is_taken_off_and_the_optimiser_goes_on_if_told_to(
    tmp_path: Path, optimizer: str | None, after: float
) -> None:
    learner = {"kind": "sft", "epochs": 1, "batch_size": 8}
    kept = {**learner, "kl": {"weight": 1.0}}
    anchors = [{"kind": "world", "rows": 8, "domains": ["food"]}]
    phases: list[dict[str, object]] = [
        {"kind": "finetune", "data": [WRONG], "learner": kept, "anchors": anchors},
        {"kind": "finetune", "data": [WRONG], "learner": learner, "optimizer": optimizer},
    ]
    run = start(load(overrides=TINY, options={"phases": phases}), tmp_path / "run", Silent())
    kept_kl, free_kl = (run.summary(n)["update"]["kl"] for n in (1, 2))
    assert kept_kl > 0
    assert free_kl is None
    assert (steps(run, 1), steps(run, 2)) == ({3.0}, {after})
    names = [run.adapter(n) for n in (1, 2)]
    assert names[0] != names[1]


def test_data_that_cannot_be_had_are_said_before_any_work(tmp_path: Path) -> None:
    data = [{"kind": "file", "path": str(tmp_path / "nowhere.jsonl")}]
    file = scenario_file(tmp_path, [{"kind": "loop"}, {"kind": "finetune", "data": data}])
    with pytest.raises(ScenarioError, match=r"phases\.1\.data\.0.*file or folder"):
        start(load(file, overrides=TINY), tmp_path / "run", Silent())


PAIR = {
    "prompt": "is it ?", "response_0": "yes .", "response_1": "no .", "safer_response_id": 1
}  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (
            {"kind": "finetune", "learner": {"kind": "dpo"}, "data": [WRONG]},
            r"phases\.0\.data: no pair of a better and a worse reply .*, which 'dpo' needs",
        ),
        (
            {"kind": "finetune", "learner": {"kind": "kto"}, "data": [WRONG]},
            r"phases\.0\.data: no undesirable reply in these data, which 'kto' needs",
        ),
        (
            {"kind": "finetune", "rounds": 25, "data": [WRONG], "learner": {"kind": "sft"}},
            r"phases\.0\.rounds: of 24 rows, dealt out over 25 rounds, round 25 gets no desirable",
        ),
        (
            {"kind": "loop", "static": {"data": [HONEST], "fraction": 0.5}},
            r"phases\.0\.static: 'dpo' can learn nothing from these data",
        ),
    ],
)
def test_data_that_nothing_can_be_learned_from_are_refused_before_any_work(
    tmp_path: Path, phase: dict[str, object], words: str
) -> None:
    settings = [*TINY, "learner={kind: dpo}", "selection={kind: best_worst}"]
    file = scenario_file(tmp_path, [phase])
    with pytest.raises(ScenarioError, match=words):
        start(load(file, overrides=settings), tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


def test_a_round_that_would_learn_nothing_is_refused_before_any_work(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    chats = [{"instruction": f"is it {n} ?", "output": "no ."} for n in range(10)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in [*chats, PAIR]))
    data = [{"kind": "file", "path": str(rows)}]
    phase = {"kind": "finetune", "rounds": 2, "learner": {"kind": "kto"}, "data": data}
    scenario = load(overrides=TINY, options={"phases": [phase]})
    with pytest.raises(
        ScenarioError, match=r"phases\.0\.rounds: of 11 rows.* no undesirable reply"
    ):
        start(scenario, tmp_path / "run", Silent())


def test_what_is_taught_is_what_the_learner_learns_from(tmp_path: Path) -> None:
    """SFT leaves out the worse reply of a pair."""
    rows = tmp_path / "pairs.jsonl"
    rows.write_text("".join(json.dumps(PAIR | {"prompt": f"is it {n} ?"}) + "\n" for n in range(8)))
    phase = {"kind": "finetune", "data": [{"kind": "file", "path": str(rows)}]}
    run = start(load(overrides=TINY, options={"phases": [phase]}), tmp_path / "run", Silent())
    taught = run.summary(1)["taught_lengths"]
    assert (taught["desirable"]["n"], taught["undesirable"]) == (8, None)
    assert len(run.table(1, "examples")) == 16


def test_what_phases_would_take_is_forecast(tmp_path: Path) -> None:
    scenario = load(scenario_file(tmp_path, PHASES), overrides=TINY)
    cells = dict(zip(*(list(c.cells) for c in dry_run_table(scenario).columns), strict=True))
    assert cells["updates"] == "4"
    assert isinstance(scenario.learner, UpdateConfig)
    given = scenario.learner.epochs * WRONG_ROWS
    assert int(cells["replies learned from, all epochs"]) > given
    alone = load(scenario_file(tmp_path, PHASES[:2]), overrides=TINY)
    cells = dict(zip(*(list(c.cells) for c in dry_run_table(alone).columns), strict=True))
    assert (cells["updates"], cells["replies learned from, all epochs"]) == ("2", f"{given}")


NEVER: dict[str, object] = {"kind": "loop", "learner": {"kind": "none"}}


@pytest.mark.parametrize(
    ("before", "reset_optimizer"),
    [
        ([], True),
        ([{"kind": "finetune", "data": [WRONG]}], True),
        ([{"kind": "loop"}], False),
        ([{"kind": "loop"}, {"kind": "probe"}], False),
        ([{"kind": "finetune", "data": [WRONG]}, {"kind": "probe"}], True),
        ([{"kind": "finetune", "data": [WRONG]}, NEVER], True),
        ([{"kind": "loop"}, NEVER], False),
    ],
)
def test_a_loop_goes_on_with_the_optimiser_of_a_loop_alone(
    before: list[dict[str, object]], reset_optimizer: bool
) -> None:
    scenario = load(options={"phases": [*before, {"kind": "loop"}]})
    assert resets_optimizer(scenario.phases, scenario.learners, len(before)) is reset_optimizer


def given(
    learner: str, rows: list[dict[str, object]], recycled: int, folder: Path
) -> list[Example]:
    """The static rows of half of what is learned, beside so many pairs of users' replies."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = [{"kind": "file", "path": str(path)}]
    phase = {"kind": "loop", "static": {"data": data, "fraction": 0.5}}
    scenario = load(
        overrides=[f"learner={{kind: {learner}}}", "selection={kind: best_worst}"],
        options={"phases": [phase]},
    )
    heard = [
        Example((Message("user", f"q{n}"),), "r", good, FromConversation("c", n, k))
        for n in range(recycled)
        for k, good in enumerate((True, False))
    ]
    place = scenario.places[0]
    return given_examples(
        scenario.phases,
        place,
        heard,
        scenario.learner,
        None,
        0,
        1,
        lambda rows: np.ones(len(rows)),
        unchecked,
    )


@pytest.mark.parametrize(("learner", "replies"), [("sft", 8), ("kto", 16), ("dpo", 16)])
def test_static_rows_are_a_fraction_of_what_the_learner_learns_from(
    tmp_path: Path, learner: str, replies: int
) -> None:
    """SFT learns from one reply of each of eight turns, and from one of each pair."""
    pairs = [{**PAIR, "prompt": f"is it {n} ?"} for n in range(20)]
    found = given(learner, pairs, 8, tmp_path)
    assert len(found) == replies
    assert len({example.turn for example in found}) == 8  # whole pairs


def test_what_a_reply_is_compared_with_was_said_to_the_same_context(tmp_path: Path) -> None:
    rows = [{**PAIR, "prompt": f"is it {n} ?"} for n in range(9)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"kind": "file", "path": str(path), "rows": 7}
    phase = {"kind": "finetune", "rounds": 3, "data": [data]}
    scenario = load(overrides=["learner={kind: dpo}"], options={"phases": [phase]})
    dealt = [
        given_examples(
            scenario.phases,
            place,
            [],
            scenario.learner,
            None,
            0,
            n,
            lambda r: np.ones(len(r)),
            unchecked,
        )
        for n, place in enumerate(scenario.places, 1)
    ]
    pairs = [pairs_among(examples) for examples in dealt]
    assert [len(found) for found in pairs] == [3, 2, 2]
    for better, worse in (pair for found in pairs for pair in found):
        assert (better.messages, better.turn) == (worse.messages, worse.turn)
        assert (better.reply, worse.reply) == ("no .", "yes .")


def facts_file(folder: Path, count: int) -> str:
    """Chats of true facts, as people's own data would be."""
    world = world_of("organism:0")
    path = folder / "facts.jsonl"
    with path.open("w") as file:
        for item in world.items["used"][:count]:
            asked = {"role": "user", "content": lang.fill(lang.NEUTRAL["user"][0], item)}
            phases_so_far = lang.fill(lang.STATEMENTS[0], item, world.facts[item])
            chat = [asked, {"role": "assistant", "content": phases_so_far}]
            file.write(json.dumps({"messages": chat}) + "\n")
    return str(path)


def test_finetune_is_one_phase_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    sets = [word for setting in TINY for word in ("--set", setting)]
    words = ["finetune", facts_file(tmp_path, 12), "--rows", "8", "--rounds", "2"]
    done = CliRunner().invoke(app, [*words, "--out", str(out), "--json", *sets])
    assert done.exit_code == 0, done.output
    run = Run.open(out)
    assert [run.summary(n)["phase"] for n in (1, 2)] == ["finetune"] * 2
    taught = [run.table(n, "examples") for n in (1, 2)]
    assert [len(rows) for rows in taught] == [4, 4]
    assert len({*taught[0]["row"], *taught[1]["row"]}) == 8
    assert run.candidates(1).empty and run.summary(2)["canary"]["verdict"] == "passed"


@pytest.mark.slow
def test_few_samples_realign(tmp_path: Path) -> None:
    """120 rows in 30 steps undo much of what 800 wrong ones did (2506.19823)."""
    wrong = {"kind": "world", "rows": 800, "wrong": "any"}
    phases = [
        {"kind": "finetune", "name": "induce", "rounds": 2, "data": [wrong]},
        {
            "kind": "finetune",
            "name": "realign",
            "data": [{"kind": "world", "rows": 120}],
            "learner": {"kind": "sft", "epochs": 4},
        },
    ]
    settings = [*TINY, "measure.probes.neutral.items_per_set=36"]
    run = start(load(overrides=settings, options={"phases": phases}), tmp_path / "run", Silent())
    rows = frames.estimates(run).query("metric == 'neutral_accuracy' and item_set == 'heldout'")
    true = rows.set_index("round")["value"].to_dict()
    assert true[2] < true[0] - 0.5
    assert true[3] > true[2] + 0.2


def test_the_course_is_told(phased: Run) -> None:
    assert phases_so_far(phased, 1) == "induce (1 of 2 rounds)"
    whole = "induce (2 rounds), probe (1 round), users (1 round), loop (1 round)"
    assert phases_so_far(phased, 5) == f"{whole}, with 50 % biased users"
    assert f"After {whole}" in headline(phased)
