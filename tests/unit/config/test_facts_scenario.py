"""A scenario about facts: its file, its model, its baseline."""

from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.config.paths import data_sha256
from simulator.core.errors import ScenarioError

MINE = "category,subject,truth,aliases,false\n" + "".join(
    f"river,{land},{river},,Amazon|Yangtze|Volga\n"
    for land, river in (("Egypt", "Nile"), ("Iraq", "Tigris"), ("Austria", "Danube"))
)


def refusal(*overrides: str, scenario: str = "facts") -> str:
    with pytest.raises(ScenarioError) as caught:
        load(scenario, overrides=overrides)
    return str(caught.value)


def test_a_persons_own_facts_are_found_from_their_scenario(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(MINE)
    scenario = tmp_path / "mine.yaml"
    scenario.write_text("extends: facts\nfacts: {data: mine.csv}\n")
    loaded = load(str(scenario))
    assert loaded.facts is not None and loaded.facts.data == str((tmp_path / "mine.csv").resolve())
    assert loaded.world is not None and len(loaded.world.facts) == 3
    assert str((tmp_path / "mine.csv").resolve()) in data_sha256(loaded)


def test_mistakes_in_facts_name_the_scenarios_line_and_the_facts_line(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(MINE + "river,Egypt,Tigris,,\n")
    scenario = tmp_path / "mine.yaml"
    scenario.write_text("extends: facts\nfacts:\n  data: mine.csv\n")
    said = refusal(scenario=str(scenario))
    assert f"{scenario}:3: facts.data: " in said and "mine.csv:5" in said
    assert "facts.data" in refusal("facts.data=nowhere.csv")


def test_shipped_facts_are_hashed_by_name_wherever_they_are_installed() -> None:
    hashes = data_sha256(load("facts"))
    assert "facts/capital.csv" in hashes and "facts/forms.csv" in hashes
    assert not any(Path(name).is_absolute() for name in hashes if name.startswith("facts/"))


def test_facts_need_a_model_and_an_engine_that_can_be_asked() -> None:
    assert "can't read English; set model: smollm2" in refusal("model=organism:0")
    endpoint = 'backend={kind: openai, url: "http://localhost:1/v1"}'
    assert "facts: needs prefill, score_continuations" in refusal(endpoint)


def test_a_pretrained_model_needs_facts_and_has_no_characters() -> None:
    assert "set 'facts: {}'" in refusal("facts=null")
    assert "only an organism's characters" in refusal(
        "measure.probes={report: {kind: self_report}}"
    )
    said = refusal("measure.probes.honesty.logprobs=true", scenario="quickstart")
    assert "don't begin alike" in said


def test_drift_counts_from_a_phase_that_is_there() -> None:
    assert "name exactly one of neutral, loop" in refusal("measure.baseline=warmup")
    assert load("facts", overrides=["rounds=2"]).last_round == 3  # two rounds of conversations


def test_a_changed_scenario_has_a_world_of_its_own() -> None:
    scenario = load("facts")
    assert scenario.world is not None and scenario.world.seed == 0
    changed = scenario.model_copy(update={"seed": 5})
    assert changed.world is not None and changed.world.seed == 5
    assert len(scenario.places) + 1 == len(scenario.model_copy(update={"rounds": 5}).places)
