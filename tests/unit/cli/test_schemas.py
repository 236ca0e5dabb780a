"""Scenarios, sweeps and studies as files: what editors know of them, and what `validate` says."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from agents.situations import Family
from simulator.cli.app import app
from simulator.cli.schemas import Kind, check, kind_of, schema
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.experiments.executors import Asked
from simulator.experiments.sweep import run_sweep
from simulator.experiments.sweep_config import SweepConfig
from simulator.studies.config import OWN_KEYS
from tests.unit.studies.test_plan import A, study

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "scenarios" / "schemas"
FOLDERS: dict[Kind, str] = {
    "scenario": "*.yaml",
    "sweep": "sweeps/*.yaml",
    "study": "studies/*.yaml",
    "situations": "situations/*/*.yaml",
}
FILES = [
    (kind, path)
    for kind, pattern in FOLDERS.items()
    for path in sorted((ROOT / "scenarios").glob(pattern))
]
SWEEP = """\
name: small
set: {population.users: 12}
arms:
  few: {set: {rounds: 1}, over: {seed: [0, 1]}}
"""


def faults(kind: Kind, data: Any) -> list[str]:
    """Where an editor would draw a line under something."""
    found = jsonschema.Draft202012Validator(schema(kind)).iter_errors(data)
    return [".".join(map(str, one.absolute_path)) for one in found]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_exported_schema_is_in_step(kind: Kind) -> None:
    path = SCHEMAS / f"{kind}.schema.json"
    printed = CliRunner().invoke(app, ["schema", kind]).output
    assert json.loads(path.read_text()) == json.loads(printed) == schema(kind)


@pytest.mark.parametrize(("kind", "path"), FILES, ids=[path.stem for _, path in FILES])
def test_shipped_files_fit_the_schema_that_they_name(kind: Kind, path: Path) -> None:
    first, second, *_ = path.read_text().splitlines()
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named and (second == "#" or kind == "situations")
    assert (path.parent / named[1]).resolve() == SCHEMAS / f"{kind}.schema.json"
    data = yaml.safe_load(path.read_text())
    assert kind_of(data) == kind
    assert faults(kind, data) == []


def test_the_first_example_of_the_docs_fits() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    (example,) = re.findall(r"```yaml\n(# yaml-language-server.*?)```", text, re.S)
    assert faults("scenario", yaml.safe_load(example)) == []


def test_mistakes_are_underlined(tmp_path: Path) -> None:
    nothing_to_extend = {"name": "x", "rounds": 2}
    assert faults("scenario", nothing_to_extend) == [""]
    assert faults("scenario", {**nothing_to_extend, "extends": "quickstart"}) == []
    mistaken = {"extends": "quickstart", "selection": {"kind": "top_bottom", "topp": 0.1}}
    assert faults("scenario", mistaken) == ["selection"]
    assert faults("sweep", {**yaml.safe_load(SWEEP), "armz": {}}) == [""]
    assert faults("situations", {"family": "odd", "situations": []}) == ["situations"]
    declared = yaml.safe_load(Path(study(tmp_path)).read_text())
    assert faults("study", declared) == []
    (finding,) = declared["findings"]
    assert faults("study", {**declared, "findings": [{**finding, "a": [A]}]}) == ["findings.0"]
    assert faults("study", {**declared, "findings": [{**finding, "expected": "up"}]})
    assert faults("study", {**declared, "quick": {"arms": ["users"], "sett": {}}}) == ["quick"]
    assert faults("study", {**declared, "real_models": {"quick": {"armz": []}}}) != []


def test_no_kind_has_the_keys_that_tell_another() -> None:
    assert not OWN_KEYS & set(Scenario.model_fields)
    assert not set(Family.model_fields) & (OWN_KEYS | set(SweepConfig.model_fields))
    assert "family" not in Scenario.model_fields
    assert kind_of({"name": "x"}) == kind_of(None) == kind_of(["arms"]) == "scenario"


def test_files_of_every_kind_are_checked(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(SWEEP)
    assert checked(str(sweep)) == "sweep small, 2 runs"
    assert checked(study(tmp_path)) == "study small, 12 runs, 2 with --quick"
    assert checked("quickstart", "rounds=3") == "quickstart, 3 rounds"
    assert checked("self_awareness").startswith("study self_awareness, ")
    money = ROOT / "scenarios" / "situations" / "therapy" / "money.yaml"
    assert checked(str(money)) == "family money, 5 situations"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SWEEP.replace("over:", "ovre:"), r"4: arms\.few\.ovre: unknown key; did you mean 'over'"),
        (
            SWEEP.replace("rounds: 1", "rounds: 0"),
            r"4: arms\.few\.set\.rounds: rounds: .*greater than",
        ),
        ("name: small\ntitle: T\narms: {a: {}}\n", r"1: source: missing key"),
    ],
)
def test_a_mistake_has_its_line_and_path(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "mistaken.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=rf"mistaken\.yaml:{expected}"):
        checked(str(path))


def test_every_form_of_a_study_is_checked(tmp_path: Path) -> None:
    path = Path(study(tmp_path))
    with pytest.raises(
        ScenarioError, match=r"small\.yaml:\d+: findings\.0\.a.*unknown metric 'honestly'"
    ):
        checked(study(tmp_path, a="{arm: users, metric: honestly}"))
    study(tmp_path)
    right = path.read_text()
    path.write_text(right.replace("set: {rounds: 1}", "set: {rounds: soon}"))
    with pytest.raises(ScenarioError, match="rounds"):
        checked(str(path))
    path.write_text(f"{right}real_models:\n  set: {{}}\n  overr: {{}}\n")
    with pytest.raises(ScenarioError, match=r"small\.yaml:\d+: overr: unknown key"):
        checked(str(path))


def checked(source: str, *overrides: str) -> str:
    return check(source, overrides, lambda sentence: None)


def test_chats_that_are_nowhere_are_found_missing(tmp_path: Path) -> None:
    path = tmp_path / "taught.yaml"
    data = "{kind: file, path: nowhere.jsonl}"
    path.write_text(f"extends: quickstart\nphases: [{{kind: finetune, data: [{data}]}}]\n")
    with pytest.raises(ScenarioError, match=r"phases\.0\.data\.0: file or folder"):
        checked(str(path))
    sides = f"{{positive: [{data}], negative: [{data}]}}"
    path.write_text(f"extends: quickstart\ndirections: {{lies: {sides}}}\n")
    with pytest.raises(
        ScenarioError,
        match=r"directions\.lies\.positive\.0: file or folder 'nowhere.jsonl' not found",
    ):
        checked(str(path))
    path.write_text(
        f"name: few\narms: {{one: {{set: {{phases: [{{kind: loop, anchors: [{data}]}}]}}}}}}\n"
    )
    with pytest.raises(
        ScenarioError, match=r"phases\.0\.anchors\.0: file or folder 'nowhere.jsonl' not found"
    ):
        run_sweep(str(path), tmp_path / "sweeps", Asked(processes=1))
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_family_of_situations_has_its_mistakes_listed(tmp_path: Path) -> None:
    money = (ROOT / "scenarios" / "situations" / "therapy" / "money.yaml").read_text()
    path = tmp_path / "family.yaml"
    path.write_text(money.replace("    task:", "    tsak:", 1))
    with pytest.raises(ScenarioError, match=r"family\.yaml:5: situations\.0\.tsak: unknown key"):
        checked(str(path))
    path.write_text(money.replace("fee_to_release_the_coins", "nephews_third_restaurant"))
    with pytest.raises(ScenarioError, match="duplicate situations: nephews_third"):
        checked(str(path))
    path.write_text(money)
    with pytest.raises(ScenarioError, match="--set rounds=1: a file of situations has no settings"):
        checked(str(path), "rounds=1")
