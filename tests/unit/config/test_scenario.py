"""Scenario files: every mistake is one sentence with its place; merging and overriding."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.config.document import DEEPEST, LARGEST_FILE
from simulator.config.loading import LONGEST_CHAIN, load, shipped_scenarios
from simulator.config.phases import FinetunePhase
from simulator.core.errors import LONGEST_LIST, ScenarioError

BASE = "extends: quickstart\n"  # so that mistakes stand from line 2 on


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def refusal(file: Path, content: str | bytes, **options: object) -> str:
    """The sentence that loading `content` gives, with the file's name shortened."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError) as caught:
        load(str(file), **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert "\n" not in "".join(caught.value.mistakes)
    return sentence.replace(str(file), "mine.yaml")


THREE_TYPES = """
population:
  types:
    benign: {share: 0.6}
    biased: {share: 0.1}
    pushy:
      share: 0.3
      biased: true
      policy: {kind: biased, pressure: 0.5}
      rater: {kind: world, wants: wish}
"""


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("rounds: many", "mine.yaml:2: rounds:", "valid integer"),
        ("rounds: 0", "mine.yaml:2: rounds:", "greater than or equal to 1, not 0"),
        ("rounds: 2.5", "mine.yaml:2: rounds:", "not 2.5"),
        ("\n\nseed: -1", "mine.yaml:4: seed:", "not -1"),
        ("name: ../x", "mine.yaml:2: name:", "not '../x'"),
        ("population: 3", "mine.yaml:2: population:", "not 3"),
        ("population:\n  user: 5", "mine.yaml:3: population.user:", "did you mean 'users'?"),
        ("learner: {decai: 1}", "mine.yaml:2: learner.decai:", "did you mean 'decay'?"),
        ("qqqq: 1", "mine.yaml:2: qqqq:", "unknown key"),
        (
            "population:\n  types:\n    benign:\n      policy:\n        pressure: 2",
            "mine.yaml:6: population.types.benign.policy.pressure:", "less than or equal to 1",
        ),
        (
            "population:\n  types:\n    benign: {share: 0.5}",
            "population.types:", "invalid shares; they must add up to 1, not 0.6",
        ),
        (
            "measure:\n  probes:\n    honesty: {samples: lots}",
            "mine.yaml:4: measure.probes.honesty.samples:", "valid integer",
        ),
        (
            "rounds: 1\nseed: 3\nrounds: 2",
            "mine.yaml:4:", "duplicate key 'rounds' (first defined on line 2)",
        ),
        (
            "population:\n  users: 3\n  users: 3",
            "mine.yaml:4: population:", "duplicate key 'users' (first defined on line 3)",
        ),
        (
            "measure:\n  probes:\n    more: {kind: neutral}",
            "mine.yaml:2: measure:",
            "duplicate probe: 'more' and 'neutral' both measure 'neutral by set'",
        ),
        (
            "measure:\n  probes:\n    a: {kind: capability}\n    b: {kind: sandbagging}",
            "mine.yaml:2: measure:",
            "duplicate metric: 'b' and 'a' both estimate 'capability'",
        ),
        (
            "measure:\n  probes:\n    quiz: {kind: capability}",
            "mine.yaml:4: measure.probes.quiz.kind:",
            "asks in words that 'organism:0' doesn't know; remove the probe",
        ),
        (
            "measure:\n  probes:\n    pairs: {kind: reply_pairs}",
            "mine.yaml:2: measure:",
            "duplicate metric: 'pairs' and 'small_talk' both estimate 'misaligned_talk'",
        ),
        ("selection: {kind: top_bottom}", "mine.yaml:2: selection.top:", "missing key"),
        ("phases: []", "mine.yaml:2: phases:", "at least 1 item"),
        ("phases: [{rounds: 3}]", "mine.yaml:2: phases.0:", "missing key 'kind'"),
        ("phases:\n- {kind: loop, data: []}", "mine.yaml:3: phases.0.data:", "unknown key"),
        (
            "phases:\n- {kind: finetune, data: [{kind: world, rows: 0}]}",
            "mine.yaml:3: phases.0.data.0.rows:", "greater than or equal to 1",
        ),
        (
            "backend: {kind: vllm, adapter_rank: 8}\nlearner: {adapter: {rank: 16}}",
            "mine.yaml:3: learner.adapter.rank:", "raise backend.adapter_rank",
        ),
        ("learner: {kl: {weight: 1}}", "mine.yaml:2: learner.kl:", "set phases.0.anchors"),
        (
            "phases:\n- kind: loop\n- kind: loop\n"
            "  learner: {kind: sft, adapter: {kind: lora, rank: 1}}",
            "mine.yaml:5: phases.1.learner.adapter:", "must be the same as in the phase before",
        ),
        (
            "phases:\n- kind: loop\n  learner: {kind: dpo}",
            "mine.yaml:4: phases.0.learner:", "which selection 'best_of_k' doesn't give",
        ),
        ("selection: {kind: best}", "mine.yaml:2: selection.kind:", "'best_of_k'"),
        ("a: &x [1]\nb: *x", "mine.yaml:3:", "aliases (*name) aren't allowed"),
        ("seed: !!python/object/apply:os.system [exit]", "mine.yaml:2: seed:", "invalid tag"),
        ("seed: !!binary aGk=", "mine.yaml:2: seed:", "invalid tag"),
        ("<<: {rounds: 1}", "mine.yaml:2:", "keys must be plain words"),
        ("? [a]\n: 1", "mine.yaml:2:", "keys must be plain words"),
        ("a: [1, 2", "mine.yaml:2:", "invalid YAML"),
        ("a: {\tb", "mine.yaml:", "invalid YAML"),
        ("name: \x07", "mine.yaml", "invalid YAML"),
        ("---\nseed: 1", "mine.yaml:2:", "invalid YAML"),
    ],
)  # fmt: skip
def test_mistakes_in_the_file(file: Path, text: str, place: str, words: str) -> None:
    sentence = refusal(file, BASE + text)
    assert sentence.startswith(place) or (not place.startswith("mine") and place in sentence)
    assert words in sentence


@pytest.mark.parametrize(
    "value",
    ["!!int abc", "!!float x", "!!bool maybe", "0b_", "0x_", "9" * 5000, "!!map x", "!!seq {a: 1}"],
)
def test_scalars_that_lie_about_their_type(file: Path, value: str) -> None:
    assert refusal(file, f"{BASE}seed: {value}").startswith("mine.yaml:2:")


def test_all_mistakes_of_a_file_are_listed(file: Path) -> None:
    told = refusal(file, BASE + "rounds: a\nnam: c\nseed: b\nlearner: {kind: sfx}")
    assert told.splitlines() == [
        "4 mistakes:",
        "  mine.yaml:2: rounds: input should be a valid integer, not 'a'",
        "  mine.yaml:3: nam: unknown key; did you mean 'name'?",
        "  mine.yaml:4: seed: input should be a valid integer, not 'b'",
        "  mine.yaml:5: learner.kind: unknown kind 'sfx' (did you mean 'sft'?); "
        "available: sft, kto, dpo, none",
    ]


def test_all_unmet_needs_are_listed(file: Path) -> None:
    told = refusal(
        file,
        BASE
        + "learner: {kind: dpo}\nscreening: {direction: rude, drop: 0.2}\n"
        + "measure:\n  probes:\n    mask: {kind: mask, data: gone.jsonl}\n",
    ).splitlines()
    assert told[0] == "3 mistakes:"
    for place in ("2: learner:", "3: screening.direction:", "6: measure.probes.mask.data:"):
        assert any(line.startswith(f"  mine.yaml:{place}") for line in told), told


def test_a_long_list_of_mistakes_ends_somewhere(file: Path) -> None:
    told = refusal(file, BASE + "\n".join(f"qq{n}: 1" for n in range(LONGEST_LIST + 7)))
    lines = told.splitlines()
    assert lines[0] == f"{LONGEST_LIST + 7} mistakes:"
    assert lines[-1] == "  and 7 more"
    assert len(lines) == LONGEST_LIST + 2


def test_a_list_whose_items_are_mistaken_is_not_called_too_short(file: Path) -> None:
    told = refusal(file, BASE + "phases: [{kind: loop, rounds: 0}]")
    assert told.startswith("mine.yaml:2: phases.0.rounds: ")


def test_files_that_are_no_mapping(file: Path) -> None:
    for text in ("", "# nothing\n", "- rounds\n- 3\n", "just words"):
        assert refusal(file, text) == (
            "mine.yaml:1: invalid scenario; it must be a mapping of keys to values"
        )


def test_missing_and_unreadable_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="file not found"):
        load(str(file))
    with pytest.raises(
        ScenarioError, match=r"unknown scenario 'quickstrat' .*; available: .*quickstart"
    ):
        load("quickstrat")
    with pytest.raises(ScenarioError, match="unknown scenario 'x"):
        load("x" * 300)  # longer than any file's name
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ScenarioError, match="not a file"):
        load(str(tmp_path / "folder.yaml"))
    assert "mine.yaml:1: has the byte 0xff, which isn't UTF-8" in refusal(file, b"name: \xff\xfe")
    assert f"too large; at most {LARGEST_FILE:,} bytes" in refusal(file, "#" * (LARGEST_FILE + 1))


def test_bombs_are_refused_quickly(file: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    laughs = refusal(file, f"a0: &a0 [lol]\n{levels}")
    assert laughs.startswith("mine.yaml:2: aliases")
    for text in ("a: " + "[" * 100_000, "a: " + "{b: " * 50_000, "a: " + "[" * 99 + "]" * 99):
        assert f"mine.yaml:2: too deep; at most {DEEPEST} levels" in refusal(file, BASE + text)


def test_parents_that_loop_or_are_missing(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("extends: mine.yaml\n")
    assert "it is circular" in refusal(file, "extends: other.yaml\n")
    assert "it is circular" in refusal(file, "extends: mine.yaml\n")
    for n in range(12):
        (tmp_path / f"c{n}.yaml").write_text(f"extends: c{n + 1}.yaml\n")
    assert f"longer than {LONGEST_CHAIN}" in refusal(file, "extends: c0.yaml\n")
    missing = refusal(file, "\nextends: gone.yaml\n")
    assert missing.startswith("mine.yaml:2: extends: file '")
    assert missing.endswith("gone.yaml' not found")
    assert refusal(file, "extends: gone\n").startswith("mine.yaml:1: extends: unknown scenario")
    assert refusal(file, f"extends: {'x' * 300}\n").startswith("mine.yaml:1: extends:")
    assert refusal(file, "extends: [a]\n").startswith("mine.yaml:1: extends:")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rounds", "--set rounds: invalid override; write path.to.key=value"),
        ("=3", "--set =3: invalid override; write path.to.key=value"),
        ("a..b=3", "--set a..b=3: invalid override; write path.to.key=value"),
        ("rounds=[1", "--set rounds=[1: invalid YAML"),
        ("rounds=lots", "--set rounds=lots: rounds: "),
        ("population.usrs=3", "--set population.usrs=3: population.usrs: unknown key"),
        ("rounds=*x", "--set rounds=*x: aliases"),
        ("rounds.a=1", "--set rounds.a=1: rounds: "),
    ],
)
def test_malformed_overrides(override: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(overrides=[override])
    assert str(caught.value).startswith(sentence)


def test_biased_fraction_out_of_reach(file: Path) -> None:
    for fraction in (-0.1, 1.1, float("nan")):
        with pytest.raises(ScenarioError, match="must be from 0 to 1"):
            load(biased_frac=fraction)
    alone = (
        "population:\n  types:\n    benign: {share: 1.0}\n    biased: {share: 0, biased: false}\n"
    )
    assert "has no biased user type" in refusal(file, BASE + alone, biased_frac=0.1)
    assert load(str(file), biased_frac=0).biased_share == 0


@pytest.mark.parametrize(
    "text",
    ["population:", "population: [1]", "population: {types: [1]}", "population: {types: }",
     "population: {types: {benign: 3}}", "population: {types: {benign: {share: much}}}"],
)  # fmt: skip
def test_biased_fraction_of_a_broken_population(file: Path, text: str) -> None:
    assert refusal(file, BASE + text, biased_frac=0.1).startswith("mine.yaml:2: population")


def test_biased_fraction_rescales_three_types(file: Path) -> None:
    file.write_text(BASE + THREE_TYPES)
    types = load(str(file), biased_frac=0.2).population.types
    shares = {name: user_type.share for name, user_type in types.items()}
    assert shares == pytest.approx({"benign": 0.8, "biased": 0.05, "pushy": 0.15})
    assert load(str(file)).biased_share == pytest.approx(0.4)
    assert load(str(file), biased_frac=1).population.types["benign"].share == 0


def test_children_override_their_parents(file: Path, tmp_path: Path) -> None:
    parent = tmp_path / "parent.yaml"
    parent.write_text(BASE + "rounds: 3\nseed: 5\nselection: {threshold: 3.5}\n")
    file.write_text("extends: parent.yaml\nrounds: 4\npopulation: {users: 30}\n")
    scenario = load(str(file), overrides=["seed=6", "population.active=0.5"])
    assert (scenario.rounds, scenario.seed) == (4, 6)
    assert (scenario.population.users, scenario.population.active) == (30, 0.5)
    assert scenario.selection.model_dump() == {"kind": "best_of_k", "threshold": 3.5}
    default = load()
    assert scenario.population.types == default.population.types
    assert scenario.measure == default.measure


def test_options_come_after_the_file_and_then_overrides_in_order() -> None:
    scenario = load(overrides=["rounds=3", "rounds=4"], options={"seed": 9, "rounds": 2})
    assert (scenario.rounds, scenario.seed) == (4, 9)
    with pytest.raises(ScenarioError, match=r"^--seed: seed: "):
        load(options={"seed": -1})


def test_numbers_override_items_of_lists(file: Path) -> None:
    rows = "{kind: world, rows: 8}"
    file.write_text(f"{BASE}phases:\n  - kind: finetune\n    data: [{rows}, {rows}]\n")
    phase = load(str(file), overrides=["phases.0.data.1.rows=5", "phases.0.rounds=2"]).phases[0]
    assert isinstance(phase, FinetunePhase) and phase.rounds == 2
    assert [source.rows for source in phase.data] == [8, 5]
    with pytest.raises(ScenarioError, match=r"^--set phases\.0\.data\.1\.rows=0: phases\.0\.data"):
        load(str(file), overrides=["phases.0.data.1.rows=0"])
    with pytest.raises(ScenarioError, match=r"phases: input should be a valid list"):
        load(str(file), overrides=["phases.1.rounds=2"])


def test_another_kind_replaces_the_mapping(file: Path) -> None:
    file.write_text(BASE + "selection:\n  kind: top_bottom\n  top: 0.2\nlearner: {kind: none}\n")
    scenario = load(str(file))
    assert scenario.selection.model_dump() == {
        "kind": "top_bottom", "top": 0.2, "bottom": 0, "unit": "reply", "scope": "global"
    }  # fmt: skip
    assert scenario.learner.model_dump() == {"kind": "none"}
    set_to = ["learner.kind=sft", "learner.adapter.rank=4"]
    same_kind = load(overrides=set_to).learner.model_dump()
    assert (same_kind["adapter"]["rank"], same_kind["adapter"]["alpha"]) == (4, 16)
    assert same_kind["epochs"] == load().learner.model_dump()["epochs"]


@pytest.mark.parametrize(
    "given",
    [
        {"options": {"backend": {"kind": "vllm"}}, "overrides": ["backend.arguments=[--x]"]},
        {"overrides": ["backend.kind=vllm", "backend.arguments=[--x]"]},
    ],
)
def test_another_engine_keeps_what_engines_have_in_common(
    file: Path, given: dict[str, Any]
) -> None:
    """And nothing else: a batch size means nothing to vLLM."""
    own = "backend: {kind: transformers, dtype: bfloat16, context: 99, threads: 3, batch_size: 7}"
    file.write_text(f"{BASE}{own}\n")
    assert load(str(file), **given).backend == VLLMConfig(
        dtype="bfloat16", context=99, threads=3, arguments=("--x",), memory_share=0.5
    )


def test_an_endpoint_has_nothing_in_common_with_other_engines(file: Path) -> None:
    """Its URL ends in /v1, and vLLM's doesn't; its threads are nobody's business."""
    file.write_text(f"{BASE}backend: {{kind: openai, url: http://x/v1, deadline: 5.0}}\n")
    assert load(str(file), options={"backend": {"kind": "vllm"}}).backend == VLLMConfig(
        memory_share=0.5
    )
    with pytest.raises(ScenarioError, match="which 'openai' doesn't have"):  # and no unknown key
        load(overrides=["learner.kind=none", "backend={kind: openai, url: http://x/v1}"])


def test_probes_that_need_what_the_backend_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransformersConfig, "capabilities", frozenset(("adapters",)))
    lacking = r"yaml:\d+: measure\.probes\.honesty: needs next_token_logprobs, which 'transformers'"
    with pytest.raises(ScenarioError, match=lacking):
        load()


KTO, DPO = "learner={kind: kto}", "learner={kind: dpo}"
PAIRS = "selection={kind: best_worst}"
STEERING = "learner.adapter={kind: steering, layer: 1}"
NEGATIVE = "monitors={safety: {kind: binary, on_veto: negative}}"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ([KTO],
         "learner: 'kto' learns from undesirable replies as well, which selection 'best_of_k' "
         "doesn't give; set selection: {kind: best_worst}"),
        ([KTO, "selection={kind: top_bottom, top: 0.1}"], "selection 'top_bottom' doesn't give"),
        ([KTO, "selection={kind: random, like: {kind: best_worst}}"], "'random' doesn't give"),
        ([DPO], "learner: 'dpo' learns from pairs of a better and a worse reply to one context"),
        ([DPO, "selection={kind: top_bottom, top: 0.1, bottom: 0.1}"], "'top_bottom' doesn't give"),
        ([DPO, NEGATIVE], "which selection 'best_of_k' doesn't give"),
        ([DPO, PAIRS, "conversations.candidates=1"],
         "conversations.candidates: selection 'best_worst' compares several replies of a turn"),
        ([STEERING, "backend={kind: vllm}"],
         "learner.adapter: 'vllm' can't serve steering vectors; set backend: {kind: transformers}"),
        ([STEERING, "backend={kind: openai, url: 'http://x/v1'}"],
         "can't serve the adapters that updates make"),
        (["learner.adapter={kind: steering, layer: -1}"], "learner.adapter.layer:"),
        (["learner.adapter.rank=0"], "learner.adapter.rank:"),
        (["learner.kl={weight: 0}"], "learner.kl.weight:"),
    ],
)  # fmt: skip
def test_learners_that_could_learn_nothing(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(overrides=overrides)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [KTO, PAIRS],
        [KTO, "selection={kind: top_bottom, top: 0.1, bottom: 0.1}"],
        [KTO, NEGATIVE],
        [KTO, "selection={kind: shuffled, like: {kind: best_worst}}"],
        [DPO, PAIRS],
        [DPO, "selection={kind: shuffled, like: {kind: best_worst}}"],
        [STEERING],
    ],
)
def test_learners_that_can_learn(overrides: list[str]) -> None:
    assert load(overrides=overrides).learner.kind != "none"


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_shipped_scenarios_load(name: str) -> None:
    assert load(name).rounds >= 1


def test_a_resolved_scenario_says_everything(file: Path) -> None:
    file.write_text(BASE + THREE_TYPES)
    scenario = load(str(file), overrides=["selection.kind=random"], biased_frac=0.25)
    resolved = file.with_name("resolved.yaml")
    resolved.write_text(yaml.safe_dump(scenario.model_dump(mode="json"), sort_keys=False))
    assert load(str(resolved)) == scenario
