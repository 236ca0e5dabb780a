"""Study files: what is run in which tier, and every mistake with its line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.studies.findings import Contrast
from simulator.core.errors import ScenarioError
from simulator.experiments.sweep_config import plan
from simulator.studies.findings import metrics_in
from simulator.studies.plan import Tier, plan_study
from simulator.studies.shipped import listed, shipped_studies

STUDY = """\
name: small
title: T
source: S
question: Q?
over: {base: [0, 1], seed: [0, 1]}
set:
  rounds: 2
  phases:
    - {kind: finetune, name: mis, data: [{kind: world, rows: 8, wrong: any}]}
    - {kind: loop}
arms:
  none: {set: {learner: {kind: none}}}
  users: {over: {biased_frac: [0, 0.5]}}
quick:
  arms: [users]
  over: {base: [2], seed: [5]}
  set: {rounds: 1}
findings:
  - claim: C
    reported: R
    kind: contrast
"""
A, B = "{arm: users, metric: honesty, item_set: ood}", "{arm: none, metric: belief, phase: mis}"


def study(folder: Path, a: str = A, b: str = B, text: str = STUDY) -> str:
    path = folder / "small.yaml"
    path.write_text(f"{text}    a: {a}\n    b: {b}\n    expected: lower\n")
    return str(path)


def runs(file: str, tier: Tier) -> set[tuple[str, str, int, float]]:
    return {
        (cell.arm, cell.scenario.model, cell.scenario.seed, cell.settings.get("biased_frac", -1))
        for cell in plan_study(file, tier).cells
    }


def test_tiers(tmp_path: Path) -> None:
    file = study(tmp_path)
    assert len(runs(file, Tier())) == 4 + 8
    quick = plan_study(file, Tier(quick=True))
    assert quick.config.name == "small-quick"
    assert runs(file, Tier(quick=True)) == {
        ("users", "organism:2", 5, 0), ("users", "organism:2", 5, 0.5)
    }  # fmt: skip
    assert {cell.scenario.rounds for cell in quick.cells} == {1}


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    file = study(tmp_path)
    tier = Tier(quick=True, bases=(0, 1), overrides=("rounds=4", "phases.0.data.0.rows=5"))
    planned = plan_study(file, tier)
    assert planned.config.name.startswith("small-quick-base0-base1-set-")
    assert {cell.scenario.model for cell in planned.cells} == {"organism:0", "organism:1"}
    for cell in planned.cells:
        assert cell.scenario.rounds == 4
        assert cell.scenario.phases[0].model_dump()["data"][0]["rows"] == 5
    again = tier._replace(overrides=("rounds=5",))
    assert plan_study(file, again).config.name != planned.config.name
    other = plan_study(file, Tier(model="organism:2"))
    assert {cell.scenario.model for cell in other.cells} == {"organism:2"}
    assert len(other.cells) == 2 + 4 and other.config.name == "small-organism-2"


def test_a_small_model_is_asked_about_facts_unless_told_otherwise() -> None:
    facts = plan_study("self_awareness", Tier(quick=True, model="smollm2"))
    assert facts.cells[0].scenario.facts is not None
    assert facts.config.name == "self_awareness-quick-smollm2"
    assert {m for f in facts.config.findings for m in metrics_in(f)} >= {"neutral_accuracy"}
    other = plan_study("self_awareness", Tier(model="some/model", facts=True))
    assert other.cells[0].scenario.model == "some/model"
    with_data = plan_study("self_awareness", Tier(model="smollm2", facts=False))
    assert with_data.cells[0].scenario.facts is None
    assert with_data.config.name == "self_awareness-smollm2-real_models"


def test_a_study_of_a_pretrained_model_takes_others_in_the_same_form() -> None:
    planned = plan_study("facts_dose", Tier(quick=True, model="gemma3-270m"))
    assert {cell.scenario.model for cell in planned.cells} == {"gemma3-270m"}


def test_the_sweep_of_facts_has_the_runs_of_its_study() -> None:
    _, found = plan(Path("scenarios/sweeps/facts_dose.yaml"))
    study = plan_study("facts_dose", Tier())
    assert [cell.folder for cell in found] == [cell.folder for cell in study.cells]


@pytest.mark.parametrize(
    ("a", "place", "words"),
    [
        (
            "{arm: user, metric: belief}",
            "a.arm",
            "unknown arm 'user' (did you mean 'users'?); available: none, users",
        ),
        ("{arm: users, metric: belif}", "a.metric", "did you mean 'belief'?"),
        ("{arm: users, metric: em_rate}", "a.metric", "unknown metric 'em_rate'; available: "),
        (
            "{arm: users, metric: honesty}",
            "a.item_set",
            "'honesty': unknown item set ''; available: heldout, ood, used",
        ),
        (
            "{arm: users, metric: belief, item_set: [ood, x]}",
            "a.item_set",
            "unknown item set 'x'; available: '', heldout, ood, used",
        ),
        (
            "{arm: users, metric: belief, phase: re}",
            "a.phase",
            "unknown phase 're'; available: mis, loop",
        ),
        (
            "{arm: users, metric: belief, round: 4}",
            "a.round",
            "round 4 isn't measured; available: 0, 1, 2, 3",
        ),
        (
            "{arm: users, metric: belief, where: {dose: 1}}",
            "a.where",
            "unknown axis 'dose'; available: base, seed, biased_frac",
        ),
        (
            "{arm: users, metric: belief, where: {seed: 9}}",
            "a.where",
            "unknown value '9'; available: 0, 1",
        ),
        ("{arm: users, metric: belief, rounds: 9}", "a", "unknown key; did you mean 'round'?"),
        (
            "[{arm: users, metric: belief}, {arm: nil, metric: belief}]",
            "a.1.arm",
            "unknown arm 'nil'",
        ),
    ],
)
def test_findings_about_what_is_not_there(tmp_path: Path, a: str, place: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        plan_study(study(tmp_path, a), Tier(quick=True))
    told = str(caught.value).replace(str(tmp_path), "")
    assert told.startswith(f"/small.yaml:22: findings.0.{place}"), told
    assert words in told


def test_what_findings_can_be_about(tmp_path: Path) -> None:
    for a in (
        "{arm: users, metric: satisfaction_biased, where: {biased_frac: 0.5}}",
        "{arm: users, metric: conversation_gap}",
        "{arm: none, metric: overclaim, round: 0, from_start: true}",
        "{arm: none, metric: belief, phase: loop}",
    ):
        (finding,) = plan_study(study(tmp_path, a), Tier()).config.findings
        assert isinstance(finding, Contrast)
        (quantity,) = finding.a
        assert quantity.model_dump(exclude_unset=True) == yaml.safe_load(a)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("arms: [users]", "arms: [user]"), "small.yaml:15: quick.arms: unknown arm 'user'"),
        (("rounds: 2", "ronds: 2"), "small.yaml:7: set.ronds: ronds: unknown key"),
        (("title: T", "titel: T"), "small.yaml:1: title: missing key\n  "),
        (
            ("kind: contrast", "kind: contrasts"),
            "unknown kind 'contrasts' (did you mean 'contrast'?); available: contrast, equivalence",
        ),
        (("question: Q?\n", ""), "question: missing key"),
    ],
)
def test_mistakes_elsewhere(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        plan_study(study(tmp_path, text=STUDY.replace(*change)), Tier(quick=True))
    assert words in str(caught.value)


def test_studies_of_real_models_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match="missing key 'real_models': this study has no such form"
    ):
        plan_study(study(tmp_path), Tier(model="some/model"))
    with pytest.raises(ScenarioError, match="unknown study 'smal'; available: character"):
        plan_study("smal", Tier())


@pytest.mark.parametrize("name", shipped_studies())
@pytest.mark.parametrize("quick", [False, True])
def test_shipped_studies_are_valid(name: str, quick: bool) -> None:
    planned = plan_study(name, Tier(quick))
    assert planned.config.name == name + ("-quick" if quick else "")
    folders = [(cell.folder, cell.arm) for cell in planned.cells]
    assert len({folder for folder, _ in folders}) == len(folders), "two arms run the same"
    if not quick:
        data: Any = yaml.safe_load(shipped_studies()[name].read_text())
        assert {"quick", "findings"} <= data.keys()


def test_studies_are_listed() -> None:
    names = [name for name, question, source in listed() if question and source]
    assert names == list(shipped_studies())
    page = (Path(__file__).parents[3] / "docs" / "studies.md").read_text(encoding="utf-8")
    assert [name for name in names if page.count(f"| `{name}` |") < 2] == []  # listed, and found


@pytest.mark.parametrize(
    "change, told",
    [
        ({"over": [1]}, "over: must be a mapping"),
        ({"set": "rounds"}, "set: must be a mapping"),
        ({"arms": [1], "quick": {"arms": ["a"]}}, "arms: "),
        ({"quick": {"arms": [["a"]]}}, "quick.arms: unknown arm '['a']'"),
    ],
)
def test_a_study_with_parts_of_another_type_is_refused(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    shipped = yaml.safe_load(shipped_studies()["self_awareness"].read_text())
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps({**shipped, **change}))
    with pytest.raises(ScenarioError) as error:
        plan_study(str(file), Tier(quick=True))
    assert str(error.value).startswith(f"{file}:1: {told}")


def test_a_metric_in_place_of_anothers_is_a_name(tmp_path: Path) -> None:
    shipped = yaml.safe_load(shipped_studies()["self_awareness"].read_text())
    (metric, *_) = shipped["real_models"]["instead"]
    shipped["real_models"]["instead"][metric] = [1]
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(shipped))
    with pytest.raises(ScenarioError, match=f"real_models.instead.{metric}: must be a metric"):
        plan_study(str(file), Tier(model="some/model", facts=False))
