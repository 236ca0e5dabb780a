"""The scenarios that models play: what is shipped, what is refused, and what they take at most."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.config.loading import load, measure_only
from simulator.core.errors import ScenarioError
from simulator.core.requests import Completion, Generation, Message, NumberRequest, Numbers
from simulator.probes.base import Context
from simulator.probes.judged.scales import JudgedProbe
from simulator.probes.summary import scores_table, summarise
from simulator.runtime.upper_bounds import bounds, cost
from tests.unit.config.test_situations import shingles, situations

ENDPOINT = {"kind": "openai", "url": "http://localhost/v1", "input_price": 2.0, "output_price": 8.0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def refusal(file: Path, text: str, **options: Any) -> str:
    file.write_text("extends: therapy\n" + text)
    with pytest.raises(ScenarioError) as caught:
        load(str(file), **options)
    assert "\n" not in "".join(caught.value.mistakes)
    return str(caught.value).replace(str(file), "mine.yaml")


def judged_probe(name: str) -> JudgedProbe:
    probe = load(name).measure.probes["judged"]
    assert isinstance(probe, JudgedProbe)
    return probe


@pytest.mark.parametrize(("name", "count"), [("therapy", 50), ("advice", 15)])
def test_what_is_shipped(name: str, count: int) -> None:
    scenario = load(name)
    assert len(scenario.situations) == count
    assert scenario.asked_roles == {"user", "rater", "judge"}
    for user_type in scenario.population.types.values():
        kind = "biased" if user_type.biased else "benign"
        assert (user_type.policy.kind, user_type.rater.kind) == (f"llm_{kind}", "llm")
        assert user_type.rater.thoughts == kind  # type: ignore[union-attr]
    assert scenario.population.users // count == 16


def test_every_knob_of_therapy_has_a_comment() -> None:
    path = Path(__file__).parents[3] / "scenarios" / "therapy.yaml"
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schemas/scenario.schema.json"
    plain = {"name", "description", "seed", "rounds", "kind", "types", "policy", "rater", "share",
             "turns", "rank", "alpha", "learning_rate", "epochs", "batch_size", "biased", "low",
             "high", "role", "temperature", "max_new_tokens", "thoughts", "monitors"}  # fmt: skip
    body = lines[: next(n for n, line in enumerate(lines) if "scales:" in line)]
    for before, line in zip(["", *body], body, strict=False):
        key, colon, value = line.strip().partition(":")
        if colon and value.strip() and not key.startswith("#") and key.isidentifier():
            assert "#" in line or before.startswith("#") or key in plain, line


def test_probe_prompts_are_nobodys_openings() -> None:
    prompts = judged_probe("therapy").prompts
    assert 16 <= len(prompts) <= 24
    assert len({prompt.name for prompt in prompts}) == len(prompts)
    assert len({prompt.topic for prompt in prompts}) >= 8
    said = {
        f"{situation.name}: {text[:40]}": shingles(text)
        for situation in (*situations("therapy"), *situations("advice"))
        for text in (situation.task, *situation.openings)
    }
    for prompt in prompts:
        asked = shingles(prompt.text)
        for name, words in said.items():
            assert len(asked & words) < 0.1 * len(asked | words), (prompt.name, name)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("situations: theraphy", "mine.yaml:2: situations:",
         "unknown situations 'theraphy' (did you mean 'therapy'?); available: advice, therapy"),
        ("situations: []", "population.types.benign.policy:", "missing situations"),
        ("situations: [{name: A}]", "mine.yaml:2: situations.0.", ""),
        ("situations: gone.yaml", "mine.yaml:2: situations:", "unknown situations 'gone.yaml'"),
        (
            "population:\n  types:\n    benign:\n      rater:\n        kind: world",
            "mine.yaml:5: population.types.benign.rater:", "isn't an organism",
        ),
        (
            "population:\n  types:\n    benign:\n      policy:\n        role: extra",
            "mine.yaml:6: population.types.benign.policy.role:",
            "unknown role 'extra'; available: ",
        ),
        (
            "population:\n  types:\n    benign:\n      rater:\n        prompt: '{{ wish }}'",
            "mine.yaml:6: population.types.benign.rater.prompt:",
            "invalid template: unknown name 'wish'",
        ),
        ("measure: {probes: {honesty: {kind: honesty}}}", "mine.yaml:2: measure.probes.honesty:",
         "isn't an organism"),
        ("measure:\n  probes:\n    again: {kind: judged, prompts: [{name: a, topic: a, text: a}], "
         "scales: {harm: {question: q}}}",
         "mine.yaml:2: measure:",
         "duplicate probe: 'again' and 'judged' both measure 'judged harm'"),
        ("monitors:\n  m: {kind: binary, levl: 1}", "mine.yaml:3: monitors.m.levl:", "'level'"),
        ("monitors:\n  m: {kind: nary}", "mine.yaml:3: monitors.m.kind:",
         "unknown kind 'nary' (did you mean 'binary'?); available: binary, five_point"),
        ("monitors:\n  m: {kind: fact_check}", "mine.yaml:3: monitors.m:", "isn't an organism"),
        ("model: organism:0\nmonitors:\n  m: {kind: fact_check}", "mine.yaml:4: monitors.m:",
         "the users talk about situations"),
        ("roles: {judge: {backend: {kind: auto}}}", "mine.yaml:2: roles.judge.model:", "missing"),
        ("backend: {kind: openai, url: http://x/v1}", "mine.yaml:2: backend:",
         "can't serve the adapters that updates make"),
        ("monitors:\n  m: {kind: five_point, level: 0.5}", "mine.yaml:3: monitors.m",
         "level: must be from 1 to 5, not 0.5"),
        (
            "population:\n  types:\n    benign:\n      rater: {low: 10}",
            "mine.yaml:5: population.types.benign.rater", "low (10) must be below high (10)",
        ),
        ("cost_cap: 0", "mine.yaml:2: cost_cap:", "greater than 0, not 0"),
        ("selection: {kind: top_bottom, top: 1, unit: x}", "mine.yaml:2: selection.unit:", ""),
    ],
)  # fmt: skip
def test_mistakes_have_file_line_and_path(file: Path, text: str, place: str, words: str) -> None:
    sentence = refusal(file, text)
    assert place in sentence
    assert words in sentence


def test_broken_situations_are_named_in_their_own_file(file: Path, tmp_path: Path) -> None:
    story = {"name": "boat", "task": "t", "benign_thoughts": "b", "biased_thoughts": "c",
             "openings": ["o"]}  # fmt: skip
    folder = tmp_path / "stories"
    folder.mkdir()
    one, two = folder / "a.yaml", folder / "b.yaml"
    one.write_text(yaml.safe_dump({"family": "f", "situations": [story]}))
    text = "situations: stories\n"
    file.write_text("extends: therapy\n" + text)
    assert [situation.name for situation in load(str(file)).situations] == ["boat"]
    two.write_text(yaml.safe_dump({"family": "f", "situations": [story]}))
    assert "duplicate situations: boat" in refusal(file, text)
    two.write_text("family: f\nsituations:\n- name: x\n  tsk: y\n")
    assert f"{two}:3: situations.0.task: missing key" in refusal(file, text)
    two.write_text("family: [")
    assert f"{two}:1: invalid YAML" in refusal(file, text)
    two.unlink()
    one.unlink()
    assert "no YAML files in" in refusal(file, text)


# Backends


@pytest.mark.parametrize("installed", [True, False])
def test_auto_is_decided_told_and_recorded(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed or None)
    told: list[str] = []
    roles = {"judge": {"model": "x"}, "rater": {"model": "y", "backend": ENDPOINT}}
    scenario = load("therapy", options={"roles": roles}, notify=told.append)
    kind, why = ("vllm", "is") if installed else ("transformers", "isn't")
    assert told == [
        f"{path}: {kind} (auto: vLLM {why} installed)"
        for path in ("roles.judge.backend", "backend")
    ]
    assert isinstance(scenario.backend, VLLMConfig if installed else TransformersConfig)
    assert scenario.backend.context == 4096
    assert scenario.roles["judge"].backend.kind == kind
    assert scenario.roles["rater"].backend.kind == "openai"
    named = load("therapy", options={"backend": {"kind": "transformers"}}, notify=told.append)
    assert named.backend == TransformersConfig(context=4096)
    assert len(told) == 2


# The judged probe


def test_every_reply_is_judged_on_every_scale() -> None:
    probe = judged_probe("therapy").model_copy(update={"samples": 2})
    context = Context(None, 3)
    requests = probe.requests(context)
    assert len(requests) == len(probe.prompts)
    replies = [
        Generation("", tuple(Completion(f"reply {n} {s}", 2, "end") for s in range(2)))
        for n in range(len(requests))
    ]
    asked = probe.score(context, requests, replies)
    assert {request.role for request in asked.requests} == {"judge"}
    assert len(asked.requests) == len(requests) * 2 * 3
    first = asked.requests[0].request
    assert isinstance(first, NumberRequest)
    assert (first.low, first.high) == (0, 100)
    assert probe.prompts[0].text in first.prompt.shown
    assert "reply 0 0" in first.prompt.shown
    answers = [Numbers({n % 101: 1.0}, 1.0, "") for n in range(len(asked.requests) - 1)]
    scores = asked.read([*answers, Numbers({5: 0.1}, 0.1, "")])
    assert [score.value for score in scores[:4]] == [0.0, 1.0, 2.0, 3.0]
    assert (scores[-1].label, scores[-1].measure) == ("unread", "pleasing")
    table = scores_table({"judged": scores})
    found = {e.metric: e for e in summarise({"judged": probe}, table, table)}
    assert found["unread_pleasing"].value == pytest.approx(1 / 44)
    assert found["unread_harm"].value == 0
    assert found["judged_pleasing"].n == 43  # what wasn't read is left out, and counted
    values = table.loc[table["measure"] == "harm", "value"]
    assert found["judged_harm"].value == pytest.approx(values.mean())


def test_samples_have_the_same_keys_in_every_round() -> None:
    probe = judged_probe("therapy")
    assert probe.requests(Context(None, 3)) == probe.requests(Context(None, 3))
    keys = [key for r in probe.requests(Context(None, 3)) for key in r.keys]  # type: ignore[union-attr]
    assert len(set(keys)) == len(keys) == 4 * len(probe.prompts)
    assert all(message.role == "user" for r in probe.requests(Context(None, 0))
               for message in r.prompt.messages if isinstance(message, Message))  # fmt: skip


def test_a_run_is_probed_again_with_its_own_settings() -> None:
    scenario = load("therapy")
    again = measure_only(["judged"], ["samples=9"], scenario).probes["judged"]
    assert isinstance(again, JudgedProbe)
    assert again.samples == 9
    assert again.prompts == judged_probe("therapy").prompts
    with pytest.raises(ScenarioError, match=r"--probes: probes\.judged\.prompts: missing key"):
        measure_only(["judged"], [], load())


# Bounds


def test_endpoints_cost_prices_times_tokens() -> None:
    roles = {"judge": {"model": "j", "backend": ENDPOINT}}
    scenario = load("advice", overrides=["rounds=1"], options={"roles": roles})
    found = bounds(scenario)
    judged = [bound for bound in found if bound.role == "judge"]
    assert [bound.requests for bound in judged] == [2 * 22 * 4 * 3]  # measured before and after
    total = sum(b.tokens_read * 2.0 + b.tokens_written * 8.0 for b in judged) / 1e6
    assert cost(scenario, found) == pytest.approx(total) and total > 0
    assert cost(load("advice"), bounds(load("advice"))) == 0
    talks = 240
    by_what = {bound.what: bound for bound in found}
    assert by_what["replies in conversations"].requests == talks * 4
    assert by_what["how biased users rate"].requests == 24 * 4
    assert by_what["what benign users say"].requests == 216 * 3  # openings are nobody's work


def test_raters_within_mixtures_are_counted() -> None:
    part = "{weight: 0.5, rater: {kind: llm}}"
    inner = f"{{weight: 0.5, rater: {{kind: composite, parts: [{part}]}}}}"
    override = f"population.types.biased.rater={{kind: composite, parts: [{part}, {inner}]}}"
    found = bounds(load("advice", overrides=["rounds=1", override]))
    assert sum(b.requests for b in found if b.what == "how biased users rate") == 2 * 24 * 4
